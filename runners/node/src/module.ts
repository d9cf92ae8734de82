// One file of the project that has been read, and the function its text was made into.
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import vm from 'node:vm'
import { messageOf } from './errors'
import { LoadError, positionOf } from './load-error'
import { typeOf } from './stack'
import type { Compiled, StaticImport } from './transform'

const PARAMETERS = [
  'exports',
  'require',
  'module',
  '__filename',
  '__dirname',
  '__import',
  '__importMeta',
  '__load',
]

/** What user code sees as `module`. */
interface ModuleObject {
  exports: unknown
  id: string
  filename: string
  path: string
  loaded: boolean
  children: unknown[]
  paths: string[]
  require: unknown
}

/** A module's pauses: the indices of its imports go out, their exports come in. */
export type Pauses = Generator<number, void, unknown>

/** Runs the module, or begins to. */
export type Body = (this: unknown, ...args: unknown[]) => Promise<void> | Pauses | undefined

export class Module {
  state: 'new' | 'running' | 'done' = 'new'
  /** Set while it runs asynchronously. */
  promise: Promise<void> | undefined
  /** The import that it waits for, to tell circles from things that take their time. */
  awaiting: Module | undefined
  imports: StaticImport[] = []
  /** What they turned out to be, as far as they are files; an edit may replace them meanwhile. */
  readonly imported: (Module | undefined)[] = []
  body: Body | undefined
  readonly object: ModuleObject
  readonly file: string
  /** What the file looked like on disk when it was read. */
  readonly version: string

  constructor(file: string, version: string, require: unknown) {
    this.file = file
    this.version = version
    this.object = {
      exports: {},
      id: file,
      filename: file,
      path: dirname(file),
      loaded: false,
      children: [],
      paths: [],
      require,
    }
  }

  get exports(): unknown {
    return this.object.exports
  }
}

/** The function for a text that needs no transforming. Throws SyntaxError. */
export function bodyOf(code: string, file: string): Body {
  return vm.compileFunction(code, PARAMETERS, { filename: file }) as Body
}

const WRAPPINGS: Record<Compiled['kind'], [string, string]> = {
  plain: ['', ''],
  generator: ['return (function* () {', '\n}).call(this)'],
  async: ['return (async () => {', '\n})()'],
}

/** The function for a transformed text. */
export function compiledBody(compiled: Compiled, file: string): Body {
  // What is put around the code is on one line with its first: lines stay where they are.
  const [before, after] = WRAPPINGS[compiled.kind]
  try {
    return bodyOf(`${before}${compiled.code}${after}`, file)
  } catch (error) {
    throw new LoadError(messageOf(error), {
      type: typeOf(error),
      file,
      line: positionOf(error)?.line ?? 1,
      cause: error,
    })
  }
}

export function finish(module: Module): void {
  module.state = 'done'
  module.promise = undefined
  module.object.loaded = true
  module.body = undefined
}

/** Whether `module` waits, directly or not, for `other`. */
export function leadsTo(module: Module, other: Module): boolean {
  for (let next = module.awaiting; next !== undefined; next = next.awaiting) {
    if (next === other) return true
  }
  return false
}

/** Whether a module that was begun pauses at its imports. */
export function isPauses(running: Pauses): boolean {
  return Object.prototype.toString.call(running) === '[object Generator]'
}

/** What the file looks like on disk; empty if it is not there. */
export function versionOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.mtimeMs}:${stat.size}:${stat.ino}`
}
