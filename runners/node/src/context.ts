// The second argument of a handler: everything it can reach.
import { currentScope } from './current'
import { cancelEvent, type Emit, emit } from './emitter'
import { Logger } from './logger'
import type { Scope } from './scope'
import { type Events, sse, type SseResponse } from './sse'
import { State } from './state'
import { type Streams, streamsOf } from './streams'

/** One of the events that a handler was given together. */
export interface BatchedEvent {
  id: string
  topic: string
  attempt: number
}

/**
 * One per invocation. The fields are the object's own, so that middleware may spread, extend or
 * replace them.
 */
export class Context {
  readonly emit: Emit
  readonly logger: Logger
  readonly state: State
  readonly streams: Streams
  readonly traceId: string
  readonly flows: string[]
  readonly attempt: number
  /** Of a step that takes several events at once: one for each item of its input. */
  readonly events: BatchedEvent[]
  readonly #scope: Scope

  constructor(scope: Scope, flows: string[], attempt: number, events: unknown) {
    this.emit = (event) => emit(scope, event)
    this.logger = new Logger(scope)
    this.state = new State(scope)
    this.streams = streamsOf(scope)
    this.traceId = scope.traceId
    this.flows = flows
    this.attempt = attempt
    this.events = Array.isArray(events) ? events.map(batched) : []
    this.#scope = scope
  }

  /** Aborts when the invocation is cancelled, by its deadline or by a client that has left. */
  get signal(): AbortSignal {
    return Context.scopeOf(this, 'signal').signal
  }

  /** When the handler is cancelled if it still runs; undefined if never. */
  get deadline(): Date | undefined {
    return Context.scopeOf(this, 'deadline').deadline.date
  }

  /** Milliseconds until the deadline, 0 when it has passed, Infinity without one. */
  remainingMs(): number {
    return Context.scopeOf(this, 'remainingMs').deadline.remainingMs()
  }

  /** Withdraws an event that was emitted; resolves with how many deliveries will not run now. */
  async cancelEvent(id: string): Promise<number | null> {
    return cancelEvent(Context.scopeOf(this, 'cancelEvent'), id)
  }

  /** The response of an API step that is a stream of server-sent events. */
  sse(events: Events, headers?: Record<string, unknown>): SseResponse {
    return sse(events, headers)
  }

  /** The scope of a context, or of the running handler for a method that was taken out of one. */
  private static scopeOf(context: Context | undefined, what: string): Scope {
    const isContext = typeof context === 'object' && context !== null && #scope in context
    return isContext ? context.#scope : currentScope(what)
  }
}

function batched(given: unknown): BatchedEvent {
  const { event, topic, attempt } = given as { event: string; topic: string; attempt: number }
  return { id: event, topic, attempt }
}
