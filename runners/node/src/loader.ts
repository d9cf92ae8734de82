// Runs the project's own files, TypeScript and JavaScript, ESM and CommonJS, in a registry of its
// own: so a file can be forgotten and read anew, which Node's registries do not allow.
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { messageOf } from './errors'
import { namespaceOf, parseJson } from './exports'
import { INERT } from './inert'
import { failedImport, LoadError, missing, notFound, withCode } from './load-error'
import {
  bodyOf,
  compiledBody,
  finish,
  isPauses,
  leadsTo,
  Module,
  type Pauses,
  versionOf,
} from './module'
import { ModuleGraph } from './module-graph'
import type { NativeModules } from './native'
import type { Resolved, Resolver } from './resolve'
import { typeOf } from './stack'
import { type StaticImport, Transformer } from './transform'

export interface LoaderParts {
  resolver: Resolver
  transformer: Transformer
  native: NativeModules
  /** The exports of the virtual modules. */
  virtual: Record<string, unknown>
}

export class Loader {
  readonly graph = new ModuleGraph()
  private readonly parts: LoaderParts
  private readonly modules = new Map<string, Module>()

  constructor(parts: LoaderParts) {
    this.parts = parts
  }

  /** Loads a file and all it imports; a promise only if something in there awaits. */
  load(file: string): Module | Promise<Module> {
    const module = this.obtain(file)
    const pending = this.run(module)
    return pending === undefined ? module : pending.then(() => module)
  }

  /**
   * Forgets the files and all that import them, so that the next load reads them anew; returns
   * what was reached. Code that runs goes on with what it has.
   */
  invalidate(files: Iterable<string>): Set<string> {
    this.parts.resolver.forget()
    const reached = this.graph.reaching(files)
    for (const file of reached) this.modules.delete(file)
    return reached
  }

  /** Forgets a file, and what it imports as far as that has changed on disk. */
  refresh(file: string): void {
    const stale = [file]
    for (const path of this.graph.reachedFrom(file)) {
      const module = this.modules.get(path)
      if (module !== undefined && module.version !== versionOf(path)) stale.push(path)
    }
    this.invalidate(stale)
  }

  /** The project files that a file is made of, itself included. */
  watched(file: string): string[] {
    return [...this.graph.reachedFrom(file)].filter((path) => this.modules.has(path))
  }

  private obtain(file: string): Module {
    const known = this.modules.get(file)
    if (known !== undefined) return known
    this.graph.reset(file)
    const module = new Module(file, versionOf(file), (specifier: unknown) =>
      this.require(module, specifier),
    )
    this.addResolve(module)
    const source = this.read(file)
    if (file.endsWith('.json')) module.object.exports = parseJson(source, file)
    else this.prepare(module, source)
    this.modules.set(file, module)
    return module
  }

  private read(file: string): string {
    try {
      return readFileSync(file, 'utf8')
        .replace(/^\uFEFF/, '')
        .replace(/^#!/, '//')
    } catch (error) {
      throw new LoadError(`${file} cannot be read: ${messageOf(error)}`, {
        type: typeOf(error),
        file,
        cause: error,
      })
    }
  }

  private prepare(module: Module, source: string): void {
    const { file } = module
    if (Transformer.runsAsIs(source, file)) {
      try {
        module.body = bodyOf(source, file)
        return
      } catch {
        // Syntax that this Node does not know: decorators, JSX, `using`; or a mistake, which the
        // transformer words better.
      }
    }
    const compiled = this.parts.transformer.compile(source, file)
    module.imports = compiled.imports
    module.body = compiledBody(compiled, file)
  }

  /** Runs a module after what it imports; a promise only if something awaits. */
  private run(module: Module, importer?: Module): Promise<void> | undefined {
    if (module.state === 'done') return undefined
    if (module.state === 'running') {
      // A circle gets what is there so far, as in CommonJS.
      const isCircle = importer !== undefined && leadsTo(module, importer)
      return isCircle ? undefined : module.promise
    }
    module.state = 'running'
    let pending: Promise<void> | undefined
    try {
      pending = this.execute(module)
    } catch (error) {
      this.drop(module)
      throw error
    }
    if (pending === undefined) {
      finish(module)
      return undefined
    }
    module.promise = pending.then(
      () => finish(module),
      (error: unknown) => {
        this.drop(module)
        throw error
      },
    )
    return module.promise
  }

  private execute(module: Module): Promise<void> | undefined {
    const { body, file, object } = module
    if (body === undefined) return undefined
    const running = body.call(
      object.exports,
      object.exports,
      object.require,
      object,
      file,
      object.path,
      (specifier: unknown) => this.import(module, String(specifier)),
      this.importMeta(module),
      (index: number) => this.importAsync(module, index),
    )
    if (running === undefined || running instanceof Promise) return running
    return isPauses(running) ? this.resume(module, running, undefined) : undefined
  }

  /** Lets a module run from pause to pause; a promise only if an import takes its time. */
  private resume(module: Module, pauses: Pauses, input: unknown): Promise<void> | undefined {
    let next = pauses.next(input)
    while (next.done !== true) {
      const index = next.value
      const pending = this.runImport(module, index)
      if (pending !== undefined) {
        return pending.then(() => this.resume(module, pauses, this.imported(module, index)))
      }
      next = pauses.next(this.imported(module, index))
    }
    return undefined
  }

  private async importAsync(module: Module, index: number): Promise<[unknown]> {
    await this.runImport(module, index)
    return [this.imported(module, index)]
  }

  /** Runs what the import with this index names; a promise only if that awaits. */
  private runImport(module: Module, index: number): Promise<void> | undefined {
    const from = module.imports[index] as StaticImport
    const resolved = this.resolve(module, from.specifier)
    if (resolved.kind === 'missing') throw missing(module.file, from)
    if (resolved.kind === 'virtual') return undefined
    if (resolved.kind === 'native') {
      try {
        const pending = this.parts.native.load(resolved.specifier, module.file)
        return pending?.catch((error: unknown) => {
          throw failedImport(error, module.file, from)
        })
      } catch (error) {
        throw failedImport(error, module.file, from)
      }
    }
    const imported = this.obtain(resolved.file)
    module.imported[index] = imported
    module.awaiting = imported
    const pending = this.run(imported, module)
    if (pending === undefined) module.awaiting = undefined
    return pending?.finally(() => (module.awaiting = undefined))
  }

  /** The exports of an import that has run, or as far as it has run in a circle. */
  private imported(module: Module, index: number): unknown {
    const file = module.imported[index]
    if (file !== undefined) return file.exports
    const { specifier } = module.imports[index] as StaticImport
    const resolved = this.resolve(module, specifier)
    return resolved.kind === 'native'
      ? this.parts.native.require(resolved.specifier, module.file)
      : this.virtual(resolved)
  }

  private virtual(resolved: Resolved): Record<string, unknown> {
    return 'isInert' in resolved ? INERT : this.parts.virtual
  }

  /** A module that failed is read anew when it is asked for again. */
  private drop(module: Module): void {
    if (this.modules.get(module.file) === module) this.modules.delete(module.file)
  }

  /** `require()` in a file. */
  private require(module: Module, specifier: unknown): unknown {
    if (typeof specifier !== 'string') throw new TypeError('require needs the name of a module')
    const resolved = this.resolve(module, specifier)
    switch (resolved.kind) {
      case 'virtual':
        return this.virtual(resolved)
      case 'native':
        return this.parts.native.require(resolved.specifier, module.file)
      case 'missing':
        throw notFound(specifier, module.file)
      case 'file': {
        const required = this.obtain(resolved.file)
        const pending = this.run(required, module)
        if (pending === undefined) return required.exports
        pending.catch(() => {})
        throw withCode(
          'ERR_REQUIRE_ASYNC_MODULE',
          `${resolved.file} awaits at its top level: load it with import instead of require`,
        )
      }
    }
  }

  /** `import()` in a file. */
  private async import(module: Module, specifier: string): Promise<unknown> {
    const resolved = this.resolve(module, specifier)
    switch (resolved.kind) {
      case 'virtual':
        return this.virtual(resolved)
      case 'missing':
        throw notFound(specifier, module.file)
      case 'native':
        await this.parts.native.load(resolved.specifier, module.file)
        return namespaceOf(this.parts.native.require(resolved.specifier, module.file))
      case 'file':
        return namespaceOf((await this.load(resolved.file)).exports)
    }
  }

  private resolve(module: Module, specifier: string): Resolved {
    const resolved = this.parts.resolver.resolve(specifier, module.file)
    if (resolved.kind === 'file') this.graph.add(module.file, resolved.file)
    // When one of these appears, the importer has to be loaded again.
    if (resolved.kind === 'missing') {
      for (const file of resolved.tried) this.graph.add(module.file, file)
    }
    return resolved
  }

  private resolvePath(module: Module, specifier: string): string {
    const resolved = this.resolve(module, specifier)
    if (resolved.kind === 'file') return resolved.file
    if (resolved.kind === 'virtual') return specifier
    if (resolved.kind === 'missing') throw notFound(specifier, module.file)
    return this.parts.native.resolve(resolved.specifier, module.file)
  }

  private addResolve(module: Module): void {
    Object.assign(module.object.require as object, {
      resolve: (specifier: string) => this.resolvePath(module, specifier),
      cache: {},
      main: undefined,
      extensions: {},
    })
  }

  private importMeta(module: Module): Record<string, unknown> {
    const { file, object } = module
    return {
      url: pathToFileURL(file).href,
      filename: file,
      dirname: object.path,
      main: false,
      resolve: (specifier: string) => {
        const path = this.resolvePath(module, specifier)
        return path.startsWith('/') ? pathToFileURL(path).href : path
      },
    }
  }
}
