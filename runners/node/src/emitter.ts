// ctx.emit and ctx.cancelEvent
import type { Params } from './peer'
import type { Scope } from './scope'
import { text } from './state'
import { encode } from './values'

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
  delayMs?: number
  delaySeconds?: number
  /** Deliver not before: a Date, Unix ms or ISO text. */
  at?: Date | number | string
  /** −1000 to 1000: those of a higher one go first. */
  priority?: number
}

export type Emit = (event: EmittedEvent) => Promise<string>

const OPTIONS = new Set([
  'topic',
  'data',
  'id',
  'messageGroupId',
  'group',
  'delay',
  'delayMs',
  'delaySeconds',
  'at',
  'priority',
])
const SHOWN = 'topic, data, id, messageGroupId, group, delay, delaySeconds, at, priority'
const MOST_WARNINGS = 1000
const warned = new Set<string>()

/** Publishes an event; resolves with its id once it is recorded. Without a topic: TypeError. */
export async function emit(scope: Scope, event: EmittedEvent): Promise<string> {
  if (typeof event !== 'object' || event === null || typeof event.topic !== 'string') {
    throw new TypeError(
      'emit needs a topic: emit({ topic: "order.created", data: { … } }), ' +
        `but got ${describe(event)}`,
    )
  }
  const params: Params = { scope: 0, topic: event.topic, data: encode(event.data) }
  for (const key in event) {
    if (key === 'topic' || key === 'data') continue
    addOptions(scope, params, event)
    break
  }
  return ((await scope.call('emit', params)) as { event: string }).event
}

/**
 * Withdraws an event, given by the id that `emit` resolved with; resolves with how many of its
 * deliveries will not run now. Those that have run or run just now are not among them. In an atomic
 * step that is not known before its end, and null.
 */
export async function cancelEvent(scope: Scope, id: string): Promise<number | null> {
  if (typeof id !== 'string') {
    throw new TypeError(`cancelEvent needs the id that emit gave, but got ${describe(id)}`)
  }
  return (await scope.call('event.cancel', { scope: 0, event: id })) as number | null
}

function addOptions(scope: Scope, params: Params, event: EmittedEvent): void {
  for (const key in event) if (!OPTIONS.has(key)) ignore(scope, key)
  const group = event.messageGroupId ?? event.group
  if (group !== undefined && group !== null) params['group'] = text(group, 'group of an event')
  if (event.id !== undefined && event.id !== null) params['id'] = text(event.id, 'id of an event')
  const delay = event.delay ?? event.delayMs ?? null
  const seconds = event.delaySeconds ?? null
  if (delay !== null) params['delay_ms'] = milliseconds(delay, 'delay')
  else if (seconds !== null) params['delay_ms'] = milliseconds(seconds, 'delaySeconds', 1000)
  if (event.at !== undefined && event.at !== null) {
    const at = typeof event.at === 'boolean' ? Number.NaN : new Date(event.at).getTime()
    params['at'] = milliseconds(at, 'at')
  }
  const priority = event.priority ?? null
  if (priority === null) return
  if (!Number.isInteger(priority) || Math.abs(priority) > 1000) {
    throw new TypeError(`emit: "priority" is a whole number from -1000 to 1000, not ${priority}`)
  }
  params['priority'] = priority
}

/** Says once per step and key that an option does nothing, since it may be misspelled. */
function ignore(scope: Scope, key: string): void {
  const once = `${scope.step}\n${key}`
  if (warned.has(once) || warned.size >= MOST_WARNINGS) return
  warned.add(once)
  const message = `emit has no option "${key}", which was ignored; it takes ${SHOWN}`
  scope.logs.write(scope, { level: 'warn', message })
}

function milliseconds(value: number, what: string, factor = 1): number {
  if (Number.isFinite(value)) return Math.round(value * factor)
  throw new TypeError(`emit: "${what}" is not a time`)
}

function describe(event: unknown): string {
  if (typeof event !== 'object' || event === null) return event === null ? 'null' : typeof event
  const keys = Object.keys(event)
  return keys.length === 0 ? 'an empty object' : `an object with ${keys.join(', ')}`
}
