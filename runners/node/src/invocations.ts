// The invocations that run: from the request to its one answer.
// Not the global ones, which tests of user code replace with fakes.
import { clearTimeout, setTimeout } from 'node:timers'
import { endLines } from './console'
import { Context } from './context'
import { scopes } from './current'
import { Deadline } from './deadline'
import { invalidParams, messageOf, StepweaveError } from './errors'
import type { Handler } from './middleware'
import { InvalidInput, parsing } from './parsing'
import type { Params, Peer } from './peer'
import { ApiRequest } from './request'
import { responseOf } from './response'
import { Scope, type ScopeLogs } from './scope'
import type { Stacks } from './stack'
import type { Step, Steps } from './steps'
import { Streamed } from './streaming'
import { decode, encode } from './values'

type Kind = 'api' | 'event' | 'cron'

export class Invocations {
  private readonly running = new Map<number, Scope>()
  private readonly peer: Peer
  private readonly logs: ScopeLogs
  private readonly stacks: Stacks
  private readonly window: number
  private readonly idle: (() => void)[] = []
  private stopping = false

  /** `window` is how many may run at once. */
  constructor(peer: Peer, logs: ScopeLogs, stacks: Stacks, window: number) {
    this.peer = peer
    this.logs = logs
    this.stacks = stacks
    this.window = window
  }

  /** Runs a handler and answers request `id`. Throws what is wrong with the request itself. */
  start(id: number, params: Params, steps: Steps): void {
    if (this.stopping) throw new StepweaveError('shutting_down', 'the runner is stopping')
    if (this.running.size >= this.window) {
      throw new StepweaveError('busy', `${this.window} invocations are running`)
    }
    const { step: handle, revision, kind, input, trace, attempt } = params
    if (typeof handle !== 'string') throw invalidParams('invoke: "step" is missing')
    if (typeof revision !== 'number') throw invalidParams('invoke: "revision" is missing')
    if (kind !== 'api' && kind !== 'event' && kind !== 'cron') {
      throw invalidParams('invoke: "kind" is api, event or cron')
    }
    if (typeof input !== 'object' || input === null) {
      throw invalidParams('invoke: "input" is missing')
    }
    const step = steps.get(handle, revision)
    if (step.handler === undefined) throw new MissingHandler(step)
    const traceId = typeof trace === 'string' ? trace.slice(3, 35) : ''
    const { deadline_ms: left } = params
    const deadline = new Deadline(typeof left === 'number' ? left : undefined)
    const scope = new Scope(id, traceId, this.peer, this.logs, handle, deadline)
    const tries = typeof attempt === 'number' ? attempt : 1
    const context = new Context(scope, step.flows, tries, (input as Params)['events'])
    const given = argumentsOf(step, kind, input as Params, context)
    this.running.set(id, scope)
    let result: unknown
    try {
      result = scopes.run(scope, handlerOf(step, step.handler, input as Params, scope), ...given)
    } catch (error) {
      this.fail(scope, error)
      return
    }
    if (isThenable(result)) {
      result.then(
        (value) => this.succeed(scope, kind, value),
        (error) => this.fail(scope, error),
      )
    } else this.succeed(scope, kind, result)
  }

  /** Gives up an invocation: its answer leaves now, whatever its handler still does. */
  cancel(id: number, reason: string): void {
    const scope = this.running.get(id)
    if (scope === undefined) return
    this.end(scope)
    this.peer.fail(id, { code: 'cancelled', message: `cancelled: ${reason}` })
    // Last, since it runs code of the handler.
    scopes.run(scope, () => scope.cancel(reason))
  }

  /** Takes nothing new; resolves when nothing runs any more, at the latest after `grace_ms`. */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true
    if (this.running.size === 0) return
    const timer = setTimeout(() => {
      for (const id of [...this.running.keys()]) this.cancel(id, 'shutdown')
    }, graceMs)
    await new Promise<void>((resolve) => this.idle.push(resolve))
    clearTimeout(timer)
  }

  private succeed(scope: Scope, kind: Kind, value: unknown): void {
    if (scope.closed) return
    let result: unknown
    try {
      result = kind === 'api' ? responseOf(value) : this.resultOf(value, scope)
    } catch (error) {
      const fields = this.stacks.ownFields(error, 'handler_failed')
      this.finish(scope, () => this.peer.fail(scope.id, fields))
      return
    }
    if (result instanceof Streamed) {
      const streamed = result
      scopes
        .run(scope, () => streamed.send(scope))
        .then(
          () => this.finish(scope, () => this.peer.answer(scope.id, null)),
          (error: unknown) => this.fail(scope, error),
        )
      return
    }
    this.finish(scope, () => {
      try {
        this.peer.answer(scope.id, result)
      } catch (error) {
        this.peer.fail(scope.id, this.stacks.ownFields(error, 'internal'))
      }
    })
  }

  private fail(scope: Scope, error: unknown): void {
    if (scope.closed) return
    const fields = InvalidInput.is(error)
      ? error.fields()
      : this.stacks.fields('handler_failed', error)
    this.finish(scope, () => this.peer.fail(scope.id, fields))
  }

  /** What an event or cron handler gave, for people to see; nil if it cannot travel. */
  private resultOf(value: unknown, scope: Scope): unknown {
    if (value === undefined) return null
    try {
      return encode(value)
    } catch (error) {
      const message = `what the handler returned is not kept: ${messageOf(error)}`
      this.logs.write(scope, { level: 'debug', message })
      return null
    }
  }

  private finish(scope: Scope, answer: () => void): void {
    if (scope.waiting === 0) {
      this.end(scope)
      answer()
    } else {
      // Calls that the handler did not await leave before its answer.
      this.peer.afterCalls(scope, () => {
        if (scope.closed) return
        this.end(scope)
        answer()
      })
    }
  }

  private end(scope: Scope): void {
    endLines(scope)
    scope.closed = true
    this.running.delete(scope.id)
    if (this.running.size > 0) return
    for (const resolve of this.idle.splice(0)) resolve()
  }
}

/** The handler, behind the step's schemas where the orchestrator asks for that. */
function handlerOf(step: Step, handler: Handler, input: Params, scope: Scope): Handler {
  const how = input['parse']
  if ((how !== true && how !== 'warn') || step.parsers.length === 0) return handler
  return parsing(step.parsers, handler, {
    refuses: how === true,
    isBatch: Array.isArray(input['events']),
    isOver: () => scope.closed,
    warn: (message) => scope.logs.write(scope, { level: 'warn', message }),
  })
}

type Arguments = [input: unknown, context?: Context]

/** What the handler is called with. Throws invalid_payload. */
function argumentsOf(step: Step, kind: Kind, input: Params, context: Context): Arguments {
  if (kind === 'event') return [decode(input['data']), context]
  if (kind === 'api') return [new ApiRequest(input), context]
  // A cron handler gets the context alone; one that names two arguments gets it as the second.
  return step.arity > 1 ? [{ scheduled: input['scheduled'] }, context] : [context]
}

/** The file is fine, but has nothing to run. */
export class MissingHandler extends Error {
  override name = 'MissingHandler'
  readonly code = 'handler_failed'

  constructor(step: Step) {
    super(
      `${step.path} exports no handler; ` +
        'add: export const handler = async (input, context) => { … }',
    )
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}
