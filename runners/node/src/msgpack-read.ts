// MessagePack as the protocol uses it, inward: every form of the data model and nothing beyond it,
// no extension types and no text that is not UTF-8.
import { isAscii, isUtf8 } from 'node:buffer'

/** Bytes that are not exactly one value of the data model. */
export class Malformed extends Error {
  override name = 'Malformed'
}

// The reader's state lives here and not in an object: one read runs at a time, and it is the
// hottest loop of the runner.
let source: Buffer = Buffer.alloc(0)
let position = 0
let limit = 0

/**
 * The one value in `bytes` from `start` to `end`; byte strings in it are views, not copies.
 * Throws Malformed.
 */
export function decode(bytes: Buffer, start = 0, end = bytes.length): unknown {
  source = bytes
  position = start
  limit = end
  try {
    const value = read()
    if (position !== end) throw new Malformed(`${end - position} bytes follow the value`)
    return value
  } catch (error) {
    if (error instanceof Malformed) throw error
    // A read past the end of the buffer, or nesting beyond the stack.
    throw new Malformed('the value is cut short or nested too deep', { cause: error })
  }
}

function read(): unknown {
  if (position >= limit) throw new Malformed('the value ends early')
  const token = source[position++] as number
  if (token < 0x80) return token
  if (token < 0x90) return readMap(token & 0x0f)
  if (token < 0xa0) return readArray(token & 0x0f)
  if (token < 0xc0) return readText(token & 0x1f)
  if (token >= 0xe0) return token - 0x100
  switch (token) {
    case 0xc0:
      return null
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xc4:
      return readBytes(unsigned(1))
    case 0xc5:
      return readBytes(unsigned(2))
    case 0xc6:
      return readBytes(unsigned(4))
    case 0xca:
      return source.readFloatBE(advance(4))
    case 0xcb:
      return source.readDoubleBE(advance(8))
    case 0xcc:
      return unsigned(1)
    case 0xcd:
      return unsigned(2)
    case 0xce:
      return unsigned(4)
    case 0xcf:
      return unsigned(4) * 0x100000000 + unsigned(4)
    case 0xd0:
      return source.readInt8(advance(1))
    case 0xd1:
      return source.readInt16BE(advance(2))
    case 0xd2:
      return source.readInt32BE(advance(4))
    case 0xd3:
      return source.readInt32BE(advance(4)) * 0x100000000 + unsigned(4)
    case 0xd9:
      return readText(unsigned(1))
    case 0xda:
      return readText(unsigned(2))
    case 0xdb:
      return readText(unsigned(4))
    case 0xdc:
      return readArray(unsigned(2))
    case 0xdd:
      return readArray(unsigned(4))
    case 0xde:
      return readMap(unsigned(2))
    case 0xdf:
      return readMap(unsigned(4))
    default:
      throw new Malformed(`no value begins with 0x${token.toString(16)}`)
  }
}

/** Moves past `size` bytes and returns where they begin. */
function advance(size: number): number {
  const start = position
  if (start + size > limit) throw new Malformed('the value ends early')
  position = start + size
  return start
}

function unsigned(size: 1 | 2 | 4): number {
  const at = advance(size)
  if (size === 1) return source[at] as number
  return size === 2 ? source.readUInt16BE(at) : source.readUInt32BE(at)
}

function readBytes(size: number): Buffer {
  const start = advance(size)
  return source.subarray(start, start + size)
}

function readArray(length: number): unknown[] {
  // Each element takes a byte or more: a length beyond that is a lie and allocates nothing.
  if (length > limit - position) throw new Malformed('the value ends early')
  const values = new Array<unknown>(length)
  for (let index = 0; index < length; index++) values[index] = read()
  return values
}

function readMap(count: number): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (let index = 0; index < count; index++) {
    const key = readKey()
    const value = read()
    if (key === '__proto__') {
      Object.defineProperty(values, key, { value, enumerable: true, writable: true })
    } else values[key] = value
  }
  return values
}

function readKey(): string {
  const key = read()
  if (typeof key === 'string') return key
  // SPEC: keys are text. Other encoders write numbers for them, which read the same in JSON.
  if (typeof key === 'number' || typeof key === 'boolean') return String(key)
  throw new Malformed('the key of a map is not text')
}

// The same short texts come again and again (fields, methods, topics): one slot per hash.
const SLOTS = 1024
const LONGEST_KNOWN = 32
const known = new Array<string | undefined>(SLOTS)

function readText(size: number): string {
  const start = advance(size)
  const end = start + size
  if (size > LONGEST_KNOWN) return readLongText(start, end)
  let hash = size
  for (let index = start; index < end; index++) {
    const byte = source[index] as number
    if (byte > 0x7f) return readLongText(start, end)
    hash = (hash * 31 + byte) | 0
  }
  const slot = hash & (SLOTS - 1)
  const text = known[slot]
  if (text !== undefined && text.length === size && equals(text, start)) return text
  return (known[slot] = source.toString('latin1', start, end))
}

function equals(text: string, start: number): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== source[start + index]) return false
  }
  return true
}

function readLongText(start: number, end: number): string {
  const bytes = source.subarray(start, end)
  const text = utf8(bytes)
  if (text === undefined) throw new Malformed('a text is not UTF-8')
  return text
}

/** Bytes as text, or undefined if they are not UTF-8. */
export function utf8(bytes: Buffer): string | undefined {
  if (isAscii(bytes)) return bytes.toString('latin1')
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}
