// What an API handler returned, in its form on the wire.
import { inspect } from 'node:util'
import { StepweaveError } from './errors'
import { NULL, Payload } from './payload'
import { bytesOf, encodeJson } from './values'

export interface WireResponse {
  status: number
  headers: Record<string, string | string[]>
  body: Payload | null
}

/** A handler's answer that is none. */
export class InvalidResponse extends Error {
  override name = 'InvalidResponse'
  readonly code = 'handler_failed'
}

const NO_HEADERS = {}

/** Throws InvalidResponse, or invalid_payload for a body without a form on the wire. */
export function responseOf(result: unknown): WireResponse {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) {
    throw new InvalidResponse(`${EXPECTED}, but it returned ${shown(result)}`)
  }
  const { status, headers, body } = result as Record<string, unknown>
  if (!Number.isInteger(status)) {
    throw new InvalidResponse(`${EXPECTED} with an integer status, not ${shown(status)}`)
  }
  return {
    status: status as number,
    headers: headers === undefined || headers === null ? NO_HEADERS : headersOf(headers),
    body: bodyOf(body),
  }
}

const EXPECTED = 'an API step returns { status: 200, body: … }'

function bodyOf(body: unknown): Payload | null {
  if (body === undefined) return null
  if (body === null) return NULL
  if (typeof body === 'string') return new Payload('text', body)
  const bytes = bytesOf(body)
  if (bytes !== undefined) return new Payload('bytes', bytes)
  if (isStream(body)) {
    throw new InvalidResponse('the body of an API step is data, not a stream; collect it first')
  }
  try {
    return encodeJson(body)
  } catch (error) {
    if (!(error instanceof StepweaveError)) throw error
    throw new StepweaveError(error.code, `the body of the response: ${error.message}`)
  }
}

function isStream(body: unknown): boolean {
  return (
    body instanceof ReadableStream ||
    (typeof body === 'object' && body !== null && 'pipe' in body && typeof body.pipe === 'function')
  )
}

/** Plain objects, Headers and Maps; values as text, absent ones left out. */
function headersOf(headers: unknown): Record<string, string | string[]> {
  if (typeof headers !== 'object' || headers === null) {
    throw new InvalidResponse(`the headers of an API step are an object, not ${shown(headers)}`)
  }
  if (headers instanceof Headers) return fromHeaders(headers)
  const entries = headers instanceof Map ? headers.entries() : Object.entries(headers)
  const result: Record<string, string | string[]> = {}
  for (const [name, value] of entries as Iterable<[unknown, unknown]>) {
    if (value === undefined || value === null) continue
    result[String(name)] = Array.isArray(value) ? value.map(String) : String(value)
  }
  return result
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
