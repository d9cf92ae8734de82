// The steps that are loaded: revisions by handle.
import { configPayload, exportNames, middlewareOf, type StepParts, partsOf } from './config'
import { StepweaveError } from './errors'
import type { Loader } from './loader'
import { isParsed, type Parser, parsersOf, parsesNothing } from './parsing'
import type { Params } from './peer'
import type { Nearby } from './schemas'
import { compose, type Handler, type Middleware } from './middleware'

export interface Step {
  handle: string
  revision: number
  path: string
  flows: string[]
  /** The handler within its middleware; undefined if the file has none. */
  handler: Handler | undefined
  /** How many arguments the author's handler names. */
  arity: number
  parts: StepParts
  /** The schemas that can be run on the input. */
  parsers: Parser[]
}

/** A handle that was asked for, also when its file could not be loaded. */
interface Entry {
  path: string
  revisions: Map<number, Step>
}

export class Steps {
  private readonly entries = new Map<string, Entry>()
  private readonly loader: Loader
  private readonly nearby: (file: string) => Nearby
  private readonly parses: boolean
  private readonly middleware: string[]

  /**
   * `parses` is whether configs that say nothing of it have their input parsed, `middleware` the
   * files of functions around all API steps.
   */
  constructor(
    loader: Loader,
    nearby: (file: string) => Nearby,
    parses: boolean,
    middleware: string[],
  ) {
    this.loader = loader
    this.nearby = nearby
    this.parses = parses
    this.middleware = middleware
  }

  /** Loads a file as a revision of a handle; gives the result of `load`. Throws as the file does. */
  async load(handle: string, path: string, revision: number): Promise<Params> {
    const known = this.entries.get(handle)
    if (known !== undefined) this.loader.refresh(path)
    const entry = known ?? { path, revisions: new Map<number, Step>() }
    entry.path = path
    this.entries.set(handle, entry)
    const loading = this.loader.load(path)
    const module = loading instanceof Promise ? await loading : loading
    const parts = await partsOf(module.exports)
    const isRead = isParsed(parts.config, this.parses)
    const { payload, warnings } = configPayload(parts.config, this.nearby(path), isRead)
    if (parsesNothing(parts.config)) {
      warnings.push("validate: 'parse' has no effect: none of the schemas is an object that parses")
    }
    const { flows, type } = parts.config
    // Middleware stands between a request or event and its handler; a cron handler gets neither.
    const own = type === 'cron' ? [] : (parts.middleware as Middleware[])
    const middleware = type === 'api' ? [...(await this.around(path)), ...own] : own
    entry.revisions.set(revision, {
      handle,
      revision,
      path,
      flows: Array.isArray(flows) ? flows.map(String) : [],
      handler: parts.handler && compose(middleware, parts.handler as Handler),
      arity: parts.handler?.length ?? 0,
      parts,
      parsers: parsersOf(parts.config),
    })
    return {
      config: payload,
      exports: exportNames(parts),
      warnings,
      watch: this.loader.watched(path),
    }
  }

  /** The project's middleware. An edit of its files is one of every step that it stands around. */
  private async around(path: string): Promise<Middleware[]> {
    for (const file of this.middleware) this.loader.graph.add(path, file)
    const found: Middleware[] = []
    for (const file of this.middleware) {
      const module = await this.loader.load(file)
      found.push(...(middlewareOf(module.exports, file) as Middleware[]))
    }
    return found
  }

  /** Forgets one revision, or all. */
  unload(handle: string, revision: number | undefined): void {
    const entry = this.entries.get(handle)
    if (entry === undefined) return
    if (revision !== undefined) entry.revisions.delete(revision)
    if (revision === undefined || entry.revisions.size === 0) this.entries.delete(handle)
  }

  /** Forgets the code of changed files; returns the handles that they reach, in order of name. */
  changed(paths: string[]): string[] {
    const reached = this.loader.invalidate(paths)
    const handles = [...this.entries].filter(([, { path }]) => reached.has(path))
    return handles.map(([handle]) => handle).sort()
  }

  /** Throws unknown_step or stale_revision. */
  get(handle: string, revision: number): Step {
    const revisions = this.entries.get(handle)?.revisions
    const step = revisions?.get(revision)
    if (step !== undefined) return step
    if (revisions === undefined || revisions.size === 0) {
      throw new StepweaveError('unknown_step', `no step "${handle}" is loaded`)
    }
    const there = [...revisions.keys()].join(', ')
    throw new StepweaveError(
      'stale_revision',
      `revision ${revision} of "${handle}" is not loaded; there is ${there}`,
    )
  }

  /** The newest revision of a handle. Throws unknown_step. */
  newest(handle: string): Step {
    const revisions = this.entries.get(handle)?.revisions
    return this.get(handle, Math.max(...(revisions?.keys() ?? [0])))
  }
}
