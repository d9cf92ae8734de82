// Native values to payloads and back, under the rules that every runner keeps (SPEC 4).
import { invalidPayload, messageOf, StepweaveError } from './errors'
import { decode as decodeMsgpack, Malformed, utf8 } from './msgpack-read'
import { Writer } from './msgpack-write'
import { NULL, Payload } from './payload'

// Deeper values take the careful way, which notices circles.
const QUICK_DEPTH = 60

/** What becomes of bytes inside a value: they make it msgpack, or they turn into base64 text. */
type Bytes = 'keep' | 'base64'

/**
 * The payload of any value; null stands for "no value" (undefined, a function).
 * Throws `invalid_payload` naming the path of what cannot be written.
 */
export function encode(value: unknown): Payload | null {
  if (value === undefined || typeof value === 'function') return null
  if (value === null) return NULL
  const alone = bytesOf(value)
  if (alone !== undefined) return new Payload('bytes', alone)
  const quick = quickJson(value)
  if (quick !== undefined) return new Payload('json', quick)
  const walk = new Walk('keep')
  const plain = walk.plain(value, '')
  if (plain === undefined) return null
  return walk.sawBytes ? new Payload('msgpack', msgpack(plain)) : new Payload('json', json(plain))
}

/** As `encode`, but always json: bytes inside become base64 text. */
export function encodeJson(value: unknown): Payload | null {
  if (value === undefined || typeof value === 'function') return null
  const quick = quickJson(value)
  if (quick !== undefined) return new Payload('json', quick)
  const plain = new Walk('base64').plain(value, '')
  return plain === undefined ? null : new Payload('json', json(plain))
}

/** The value in a payload as it came off the wire; undefined if there is none. */
export function decode(payload: unknown): unknown {
  if (payload === null || payload === undefined) return undefined
  const [format, bytes] = wire(payload)
  switch (format) {
    case 'json':
      return parse(bytes)
    case 'bytes':
      return own(bytes)
    case 'text':
      return textOf(bytes)
    case 'msgpack':
      return unpack(bytes)
    default:
      throw invalidPayload(`no payload has the format "${format}"`)
  }
}

/** The format and bytes of a payload as it came off the wire. */
export function wire(payload: unknown): [string, Buffer] {
  if (Array.isArray(payload) && payload.length === 2) {
    const [format, bytes] = payload as unknown[]
    if (typeof format === 'string' && Buffer.isBuffer(bytes)) return [format, bytes]
  }
  throw invalidPayload('a payload is [format, bytes]')
}

export function textOf(bytes: Buffer): string {
  const text = utf8(bytes)
  if (text === undefined) throw invalidPayload('the text is not UTF-8')
  return text
}

function parse(bytes: Buffer): unknown {
  const text = textOf(bytes)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalidPayload(`not JSON: ${messageOf(error)}`, error)
  }
}

function unpack(bytes: Buffer): unknown {
  try {
    return decodeMsgpack(own(bytes))
  } catch (error) {
    throw error instanceof Malformed ? invalidPayload(error.message, error) : error
  }
}

/** Bytes that outlive the frame they came in: short ones leave it, so that it can be freed. */
function own(bytes: Buffer): Buffer {
  return bytes.length * 2 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes
}

function json(plain: unknown): string {
  try {
    return wellFormed(JSON.stringify(plain) ?? 'null')
  } catch (error) {
    throw invalidPayload(`the value cannot be written: ${messageOf(error)}`, error)
  }
}

// JSON.stringify escapes halves of surrogate pairs, which are no text.
const ESCAPE = /\\(?:u(d[89a-f][\da-f]{2})|.)/g

/** The JSON with U+FFFD for halves of surrogate pairs. */
function wellFormed(text: string): string {
  if (!text.includes('\\ud')) return text
  return text.replace(ESCAPE, (escape, half?: string) => (half === undefined ? escape : '\ufffd'))
}

function msgpack(plain: unknown): Buffer {
  const writer = new Writer()
  writer.value(plain)
  return Buffer.concat(writer.take())
}

/** A view of the bytes if the value is bytes and nothing else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    return new Uint8Array(value as ArrayBuffer)
  }
  return undefined
}

/** The JSON of a value that JSON.stringify alone writes by our rules; undefined for any other. */
function quickJson(value: unknown): string | undefined {
  try {
    return isQuick(value, 0) ? wellFormed(JSON.stringify(value)) : undefined
  } catch {
    // Code of the author's that throws: the careful way names the place.
    return undefined
  }
}

function isQuick(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'bigint':
    case 'symbol':
      return false
    case 'object':
      break
    default:
      return true
  }
  if (value === null) return true
  if (depth > QUICK_DEPTH) return false
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (!isQuick(value[index], depth + 1)) return false
    }
    return true
  }
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Date.prototype) return true
  if (prototype !== Object.prototype && prototype !== null) return false
  const fields = value as Record<string, unknown>
  for (const key in fields) {
    const field = fields[key]
    if (typeof field === 'function' ? key === 'toJSON' : !isQuick(field, depth + 1)) return false
  }
  return true
}

/** One pass over a value that needs more than JSON.stringify does. */
class Walk {
  sawBytes = false
  private readonly open = new Set<object>()
  private readonly bytes: Bytes

  constructor(bytes: Bytes) {
    this.bytes = bytes
  }

  /** The value in plain arrays, objects, texts, numbers and bytes; undefined if it is dropped. */
  plain(value: unknown, path: string): unknown {
    switch (typeof value) {
      case 'bigint':
        return value.toString()
      case 'symbol':
        return value.description ?? ''
      case 'number':
        return Number.isFinite(value) ? value : null
      case 'function':
        return undefined
      case 'object':
        return value === null ? null : this.object(value, path)
      default:
        return value
    }
  }

  private object(value: object, path: string): unknown {
    const bytes = bytesOf(value)
    if (bytes !== undefined) return this.binary(bytes)
    if (this.open.has(value)) throw invalidPayload(`${place(path)} leads back to itself`)
    this.open.add(value)
    try {
      return this.contents(value, path)
    } catch (error) {
      if (error instanceof StepweaveError) throw error
      const reason = error instanceof RangeError ? 'is nested too deep' : messageOf(error)
      throw invalidPayload(`${place(path)} cannot be written: ${reason}`, error)
    } finally {
      this.open.delete(value)
    }
  }

  private binary(bytes: Uint8Array): unknown {
    if (this.bytes === 'keep') {
      this.sawBytes = true
      return bytes
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  }

  private contents(value: object, path: string): unknown {
    if (value instanceof Error) return errorFields(value)
    if ('toJSON' in value && typeof value.toJSON === 'function') {
      return this.plain(value.toJSON(path.slice(path.lastIndexOf('.') + 1)), path)
    }
    if (Array.isArray(value)) return this.list(value, path)
    if (value instanceof Map) return this.fields(value.entries(), path)
    if (value instanceof Set) return this.list([...value], path)
    if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
      return this.list([...(value as unknown as Iterable<unknown>)], path)
    }
    if (value instanceof Number || value instanceof String || value instanceof Boolean) {
      return this.plain(value.valueOf(), path)
    }
    return this.fields(Object.entries(value), path)
  }

  private list(values: readonly unknown[], path: string): unknown[] {
    return Array.from(values, (value, index) => this.plain(value, `${path}[${index}]`) ?? null)
  }

  private fields(entries: Iterable<[unknown, unknown]>, path: string): Record<string, unknown> {
    const result: Record<string, unknown> = {}
    for (const [key, value] of entries) {
      const name = typeof key === 'symbol' ? (key.description ?? '') : String(key)
      const plain = this.plain(value, path === '' ? name : `${path}.${name}`)
      if (plain !== undefined) setField(result, name, plain)
    }
    return result
  }
}

function setField(target: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') target[name] = value
  else Object.defineProperty(target, name, { value, enumerable: true, writable: true })
}

const LONGEST_PATH = 100

function place(path: string): string {
  if (path.length > LONGEST_PATH) return `"${path.slice(0, LONGEST_PATH)}…"`
  return path === '' ? 'the value' : `"${path}"`
}

/** What is told of an error object, everywhere. */
export function errorFields(error: Error): { name: string; message: string; stack: string } {
  return {
    name: String(error.name),
    message: messageOf(error),
    stack: typeof error.stack === 'string' ? error.stack : '',
  }
}
