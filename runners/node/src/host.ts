// The methods that a runner serves (SPEC 9).
import { setImmediate } from 'node:timers'
import { CompileCache } from './cache'
import type { Connection } from './connection'
import { complain } from './complain'
import { capture } from './console'
import { invalidParams, StepweaveError } from './errors'
import { HandlerFailure, LoadFailure } from './failures'
import { Invocations } from './invocations'
import { Loader } from './loader'
import type { Logs } from './logs'
import { NativeModules } from './native'
import { text, whole } from './params'
import { NULL } from './payload'
import type { ErrorFields, Params, Peer, Service } from './peer'
import { Resolver } from './resolve'
import type { Stacks } from './stack'
import { Steps } from './steps'
import { Transformer } from './transform'
import { readTsConfig, type TsConfig } from './tsconfig'
import { decode, encode } from './values'
import { virtualModule } from './virtual'
import { watchParent } from './watchdog'

declare const __VERSION__: string

const PROTOCOL = 1
export const MAX_FRAME = 16 * 1024 * 1024
const WINDOW = 1024
const EXTENSIONS = ['.ts', '.js', '.mts', '.cts', '.mjs', '.cjs']

/** What the host stands on. */
export interface HostParts {
  peer: Peer
  connection: Connection
  logs: Logs
  stacks: Stacks
}

export class Host implements Service {
  private readonly peer: Peer
  private readonly parts: HostParts
  private readonly invocations: Invocations
  private steps: Steps | undefined
  private config: TsConfig | undefined
  private root = ''
  private isWatching = false
  // Before anything can happen to the parent.
  private readonly parent = process.ppid

  constructor(parts: HostParts) {
    this.parts = parts
    this.peer = parts.peer
    this.invocations = new Invocations(parts.peer, parts.logs, parts.stacks, WINDOW)
  }

  request(id: number, method: string, params: Params): void {
    try {
      const result = this.serve(id, method, params)
      if (result instanceof Promise) {
        result.then(
          (value) => this.answer(id, value),
          (error) => this.refuse(id, error),
        )
      } else if (result !== LATER) this.answer(id, result)
    } catch (error) {
      this.refuse(id, error)
    }
  }

  notification(method: string, params: Params): void {
    const { id, reason } = params
    if (method === 'cancel' && typeof id === 'number') {
      this.invocations.cancel(id, typeof reason === 'string' ? reason : 'client')
    }
  }

  /** The orchestrator is gone, whatever runs here; or it says what makes no sense. */
  closed(error: Error | undefined): void {
    if (error === undefined) process.exit(0)
    this.parts.connection.flushNow()
    complain(`protocol_error: ${error.message}`)
    process.exit(1)
  }

  private serve(id: number, method: string, params: Params): unknown {
    if (this.steps === undefined) {
      if (method === 'initialize') return this.initialize(params)
      throw new StepweaveError('not_initialized', `"${method}" came before initialize`)
    }
    switch (method) {
      case 'load':
        return this.load(params, this.steps)
      case 'unload':
        return this.unload(params, this.steps)
      case 'changed':
        return this.changed(params, this.steps)
      case 'invoke':
        this.invocations.start(id, params, this.steps)
        return LATER
      case 'authorize':
        return this.authorize(params, this.steps)
      case 'shutdown':
        return this.invocations.stop(whole(params, method, 'grace_ms')).then(() => null)
      case 'ping':
        return {}
      case 'initialize':
        throw new StepweaveError('protocol_error', 'initialize has been answered already')
      default:
        throw new StepweaveError('unknown_method', `this runner has no method "${method}"`)
    }
  }

  private initialize(params: Params): Params {
    const versions = params['protocol']
    const [oldest, newest] = Array.isArray(versions) ? (versions as unknown[]) : []
    if (typeof oldest !== 'number' || typeof newest !== 'number') {
      throw invalidParams('initialize: "protocol" is [oldest, newest]')
    }
    if (oldest > PROTOCOL || newest < PROTOCOL) {
      throw new StepweaveError(
        'unsupported_version',
        `the orchestrator speaks protocol [${oldest}, ${newest}], ` +
          `this runner [${PROTOCOL}, ${PROTOCOL}]`,
      )
    }
    this.root = text(params, 'initialize', 'root').replace(/(?<=.)\/+$/, '')
    const { capabilities } = params
    this.peer.takesParts = (capabilities as Params | undefined)?.['streaming'] === true
    this.peer.window = whole(params, 'initialize', 'window')
    this.parts.connection.peerMaxFrame = whole(params, 'initialize', 'max_frame')
    this.parts.stacks.root = this.root
    const { environment, validate } = params
    const middleware = Array.isArray(params['middleware']) ? params['middleware'].map(String) : []
    if (typeof environment === 'string') process.env['NODE_ENV'] ??= environment
    this.open(validate === 'parse', middleware)
    return {
      protocol: PROTOCOL,
      runner: {
        name: 'node',
        version: __VERSION__,
        language: 'node',
        language_version: process.versions.node,
      },
      extensions: EXTENSIONS,
      max_frame: MAX_FRAME,
      window: WINDOW,
      capabilities: {
        concurrent: true,
        cancel: true,
        reload: true,
        parse: true,
        console: true,
        authorize: true,
        streaming: true,
        middleware: true,
      },
    }
  }

  /** Everything that loads and runs user code. */
  private open(parses: boolean, middleware: string[]): void {
    const { logs } = this.parts
    this.config = readTsConfig(this.root)
    const native = new NativeModules()
    const cache = process.env['STEPWEAVE_CACHE']
    const loader = new Loader({
      resolver: new Resolver(this.config),
      transformer: new Transformer(this.config.options, new CompileCache(cache || undefined)),
      native,
      virtual: virtualModule(logs),
    })
    this.steps = new Steps(loader, (file) => (name) => native.require(name, file), parses, middleware)
    capture(logs)
    // After the answer to initialize, which must come first.
    setImmediate((problems: string[]) => {
      for (const message of problems) logs.write(undefined, { level: 'warn', message })
    }, this.config.problems)
  }

  private load(params: Params, steps: Steps): Promise<Params> {
    const handle = text(params, 'load', 'step')
    const path = text(params, 'load', 'path')
    if (!this.isWatching) {
      this.isWatching = true
      setImmediate(() => watchParent(this.parent))
    }
    return steps.load(handle, path, whole(params, 'load', 'revision')).catch((error: unknown) => {
      throw new LoadFailure(error, path)
    })
  }

  private unload(params: Params, steps: Steps): null {
    const { revision } = params
    steps.unload(
      text(params, 'unload', 'step'),
      typeof revision === 'number' ? revision : undefined,
    )
    return null
  }

  private changed(params: Params, steps: Steps): Params {
    const { paths } = params
    if (!Array.isArray(paths) || paths.some((path) => typeof path !== 'string')) {
      throw invalidParams('changed: "paths" is a list of paths')
    }
    return {
      steps: steps.changed(paths as string[]),
      restart: (paths as string[]).some((path) => this.needsRestart(path)),
    }
  }

  /** What Node has loaded itself, and what decides how files are found, is not read anew. */
  private needsRestart(path: string): boolean {
    const settings = ['package.json', 'tsconfig.json', 'jsconfig.json']
    return (
      path.includes('/node_modules/') ||
      this.config?.files.includes(path) === true ||
      settings.some((name) => path === `${this.root}/${name}`)
    )
  }

  private async authorize(params: Params, steps: Steps): Promise<unknown> {
    const handle = text(params, 'authorize', 'step')
    const { revision, kind } = params
    const step = typeof revision === 'number' ? steps.get(handle, revision) : steps.newest(handle)
    if (kind !== 'canAccess' && kind !== 'streamAuth') {
      throw invalidParams('authorize: "kind" is canAccess or streamAuth')
    }
    const check = step.parts[kind]
    if (check === undefined) {
      throw new StepweaveError('handler_failed', `${step.path} has no ${kind}`)
    }
    const input = (decode(params['input']) ?? {}) as Params
    const args = kind === 'canAccess' ? [input['subscription'], input['auth'] ?? null] : [input]
    let result: unknown
    try {
      result = await (check as (...args: unknown[]) => unknown)(...args)
    } catch (error) {
      throw new HandlerFailure(error)
    }
    return kind === 'canAccess' ? encode(Boolean(result)) : (encode(result) ?? NULL)
  }

  private answer(id: number, result: unknown): void {
    try {
      this.peer.answer(id, result)
    } catch (error) {
      this.refuse(id, error)
    }
  }

  private refuse(id: number, error: unknown): void {
    this.peer.fail(id, this.describe(error))
  }

  private describe(error: unknown): ErrorFields {
    const { stacks } = this.parts
    if (error instanceof LoadFailure) return error.fields(stacks)
    if (error instanceof HandlerFailure) return stacks.fields('handler_failed', error.cause)
    return stacks.ownFields(error, 'internal')
  }
}

/** The answer is given elsewhere. */
const LATER = Symbol('later')
