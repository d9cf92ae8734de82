// Server-sent events: the response whose body is a list or generator of events.
import { encodeJson } from './values'

/** Data that is not text is sent as JSON. */
export interface ServerSentEvent {
  data?: unknown
  event?: string
  id?: string | number
  /** Milliseconds after which a client that lost its connection comes back. */
  retry?: number
}

export type Events =
  AsyncIterable<ServerSentEvent | string> | Iterable<ServerSentEvent | string>

export interface SseResponse {
  status: number
  headers: Record<string, unknown>
  body: AsyncGenerator<string>
}

const FIELDS = ['event', 'id', 'retry', 'data'] as const
const HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  // Else nginx keeps events back.
  'x-accel-buffering': 'no',
}

/** Throws TypeError for what cannot be gone through. */
export function sse(events: Events, headers: Record<string, unknown> = {}): SseResponse {
  const isIterable =
    typeof events === 'object' &&
    events !== null &&
    (Symbol.asyncIterator in events || Symbol.iterator in events)
  if (!isIterable) throw new TypeError('sse needs a list or generator of events')
  return { status: 200, headers: { ...HEADERS, ...headers }, body: written(events) }
}

async function* written(events: Events): AsyncGenerator<string> {
  for await (const event of events) yield textOf(event)
}

function textOf(event: ServerSentEvent | string): string {
  const isEvent = typeof event === 'object' && event !== null && !Array.isArray(event)
  const fields = (isEvent ? event : { data: event }) as Record<string, unknown>
  const names = Object.keys(fields)
  const unknown = names.find((name) => !(FIELDS as readonly string[]).includes(name))
  if (unknown !== undefined || names.length === 0) {
    const what = unknown === undefined ? 'nothing' : `"${unknown}"`
    throw new TypeError(`an event has data, event, id and retry, not ${what}`)
  }
  let text = ''
  for (const name of FIELDS) {
    const value = fields[name]
    if (name === 'data' && 'data' in fields) {
      for (const line of lineOf(value).split('\n')) text += `data: ${line}\n`
    } else if (value !== undefined && value !== null) {
      const line = lineOf(value)
      if (/[\n\0]/.test(line)) throw new TypeError(`the ${name} of an event is one line`)
      if (name === 'retry' && !/^\d+$/.test(line)) {
        throw new TypeError('the retry of an event is in whole milliseconds')
      }
      text += `${name}: ${line}\n`
    }
  }
  return `${text}\n`
}

function lineOf(value: unknown): string {
  const text = typeof value === 'string' ? value : String(encodeJson(value)?.body ?? 'null')
  return text.replace(/\r\n?/g, '\n')
}
