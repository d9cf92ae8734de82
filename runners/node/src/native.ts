// Packages and builtins: Node loads them itself, once per process, as seen from the importing file.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import vm from 'node:vm'
import { codeOf } from './errors'
import { requirable } from './exports'

// A package that cannot be required, but imported: written for import alone, or awaiting at its
// top level.
const IMPORT_ONLY = new Set([
  'ERR_REQUIRE_ESM',
  'ERR_REQUIRE_ASYNC_MODULE',
  'ERR_PACKAGE_PATH_NOT_EXPORTED',
])

type Import = (specifier: string) => Promise<object>

export class NativeModules {
  private readonly requires = new Map<string, NodeJS.Require>()
  private readonly imports = new Map<string, Import>()
  private readonly imported = new Map<string, unknown>()

  /** The exports; throws ERR_REQUIRE_ASYNC_MODULE if they can only be had by `load`. */
  require(specifier: string, importer: string): unknown {
    const known = this.imported.get(key(specifier, importer))
    return known === undefined ? this.requireFrom(importer)(specifier) : known
  }

  /**
   * Makes sure that `require` will succeed: returns undefined if it did at once, or a promise.
   * Throws what the package throws.
   */
  load(specifier: string, importer: string): Promise<void> | undefined {
    try {
      this.require(specifier, importer)
      return undefined
    } catch (error) {
      if (!IMPORT_ONLY.has(codeOf(error) ?? '')) throw error
      return this.importFrom(importer)(specifier).then((namespace) => {
        this.imported.set(key(specifier, importer), requirable(namespace))
      })
    }
  }

  resolve(specifier: string, importer: string): string {
    return this.requireFrom(importer).resolve(specifier)
  }

  private requireFrom(importer: string): NodeJS.Require {
    const folder = dirname(importer)
    let require = this.requires.get(folder)
    if (require === undefined) this.requires.set(folder, (require = createRequire(importer)))
    return require
  }

  /** Node's own import(), which resolves relative to the file that it claims to be from. */
  private importFrom(importer: string): Import {
    const folder = dirname(importer)
    let load = this.imports.get(folder)
    if (load === undefined) {
      load = vm.compileFunction('return import(specifier)', ['specifier'], {
        filename: importer,
        importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
      }) as Import
      this.imports.set(folder, load)
    }
    return load
  }
}

function key(specifier: string, importer: string): string {
  return `${dirname(importer)}\0${specifier}`
}
