// What an API handler returned, in its form on the wire.
import { inspect } from 'node:util'
import { InvalidResponse, StepweaveError } from './errors'
import { NULL, Payload } from './payload'
import { isStream, Streamed } from './streaming'
import { bytesOf, encodeJson } from './values'

export interface WireResponse {
  status: number
  headers: Record<string, string | string[]>
  body: Payload | null
}

const NO_HEADERS = {}

/**
 * The response to send, or the one whose body is still to be made.
 * Throws InvalidResponse, or invalid_payload for a body without a form on the wire.
 */
export function responseOf(result: unknown): WireResponse | Streamed {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) {
    throw new InvalidResponse(`${EXPECTED}, but it returned ${shown(result)}`)
  }
  const { status, headers, body } = result as Record<string, unknown>
  if (!Number.isInteger(status)) {
    throw new InvalidResponse(`${EXPECTED} with an integer status, not ${shown(status)}`)
  }
  const sent = headers === undefined || headers === null ? NO_HEADERS : headersOf(headers)
  if (typeof body === 'object' && body !== null && isStream(body)) {
    return new Streamed(status as number, sent, body)
  }
  return { status: status as number, headers: sent, body: bodyOf(body) }
}

const EXPECTED = 'an API step returns { status: 200, body: … }'

function bodyOf(body: unknown): Payload | null {
  if (body === undefined) return null
  if (body === null) return NULL
  if (typeof body === 'string') return new Payload('text', body)
  const bytes = bytesOf(body)
  if (bytes !== undefined) return new Payload('bytes', bytes)
  try {
    return encodeJson(body)
  } catch (error) {
    if (!(error instanceof StepweaveError)) throw error
    throw new StepweaveError(error.code, `the body of the response: ${error.message}`)
  }
}

/** Plain objects, Headers and Maps; values as text, absent ones left out. */
function headersOf(headers: unknown): Record<string, string | string[]> {
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw new InvalidResponse(`the headers of an API step are an object, not ${shown(headers)}`)
  }
  if (headers instanceof Headers) return fromHeaders(headers)
  const entries = headers instanceof Map ? headers.entries() : Object.entries(headers)
  const result: Record<string, string | string[]> = {}
  for (const [name, value] of entries as Iterable<[unknown, unknown]>) {
    if (value === undefined || value === null) continue
    result[String(name)] = Array.isArray(value)
      ? value.map((item) => textOf(name, item))
      : textOf(name, value)
  }
  return result
}

/** Dates and the like have a text of their own; that of a plain object says nothing. */
function textOf(name: unknown, value: unknown): string {
  const text = String(value)
  if (text !== '[object Object]') return text
  throw new InvalidResponse(
    `the header ${String(name)} is a text or a list of texts, not ${shown(value)}`,
  )
}

function fromHeaders(headers: Headers): Record<string, string | string[]> {
  const result: Record<string, string | string[]> = Object.fromEntries(headers.entries())
  const cookies = headers.getSetCookie()
  if (cookies.length > 0) result['set-cookie'] = cookies
  return result
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  return inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY }).slice(0, 80)
}
