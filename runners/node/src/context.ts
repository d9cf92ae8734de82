// The second argument of a handler: everything it can reach.
import { currentScope } from './current'
import { Logger } from './logger'
import { encode } from './values'
import type { Params } from './peer'
import type { Scope } from './scope'
import { State } from './state'
import { type Streams, streamsOf } from './streams'

/** What `emit` takes. */
export interface EmittedEvent {
  topic: string
  data?: unknown
  /** For deduplication: a second event with this id is dropped. */
  id?: string
  /** Events of one group reach a fifo step in order. */
  messageGroupId?: string
  group?: string
  /** Deliver after this time, in ms. */
  delay?: number
  delaySeconds?: number
  /** Deliver not before: a Date, Unix ms or ISO text. */
  at?: Date | number | string
}

export type Emit = (event: EmittedEvent) => Promise<{ event: string }>

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
  readonly #scope: Scope

  constructor(scope: Scope, flows: string[], attempt: number) {
    this.emit = (event) => emit(scope, event)
    this.logger = new Logger(scope)
    this.state = new State(scope)
    this.streams = streamsOf(scope)
    this.traceId = scope.traceId
    this.flows = flows
    this.attempt = attempt
    this.#scope = scope
  }

  /** Aborts when the invocation is cancelled, by its deadline or by a client that has left. */
  get signal(): AbortSignal {
    return (#scope in this ? this.#scope : currentScope('signal')).signal
  }
}

/** Publishes an event; resolves with its id once it is recorded. Without a topic: TypeError. */
export async function emit(scope: Scope, event: EmittedEvent): Promise<{ event: string }> {
  if (typeof event !== 'object' || event === null || typeof event.topic !== 'string') {
    throw new TypeError(
      'emit needs a topic: emit({ topic: "order.created", data: { … } }), ' +
        `but got ${describe(event)}`,
    )
  }
  const params: Params = { scope: 0, topic: event.topic, data: encode(event.data) }
  const group = event.messageGroupId ?? event.group
  if (group !== undefined && group !== null) params['group'] = String(group)
  if (event.id !== undefined && event.id !== null) params['id'] = String(event.id)
  const delay =
    event.delay ?? (event.delaySeconds === undefined ? undefined : event.delaySeconds * 1000)
  if (delay !== undefined) params['delay_ms'] = milliseconds(delay, 'delay')
  if (event.at !== undefined && event.at !== null) {
    params['at'] = milliseconds(new Date(event.at).getTime(), 'at')
  }
  return (await scope.call('emit', params)) as { event: string }
}

function milliseconds(value: number, what: string): number {
  if (Number.isFinite(value)) return Math.round(value)
  throw new TypeError(`emit: "${what}" is not a time`)
}

function describe(event: unknown): string {
  if (typeof event !== 'object' || event === null) return event === null ? 'null' : typeof event
  const keys = Object.keys(event)
  return keys.length === 0 ? 'an empty object' : `an object with ${keys.join(', ')}`
}
