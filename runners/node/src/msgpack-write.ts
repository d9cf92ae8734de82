// MessagePack as the protocol uses it, outward: always the shortest form, so that equal values
// are equal bytes (protocol/vectors). Written for the runner: the codecs there are write integers beyond
// 32 bits as floats and copy each payload twice.
import { Payload } from './payload'

const INITIAL_SIZE = 64 * 1024
// Longer bytes are not copied into the writer's buffer: they leave as a part of their own.
const LARGE = 32 * 1024

/** A frame that has been begun. */
export interface Mark {
  position: number
  cuts: number
  cutSize: number
}

/** Where bytes of the caller belong between the bytes of the buffer. */
interface Cut {
  at: number
  bytes: Uint8Array
}

/** Writes values one after the other into a buffer that grows; `take` hands them out. */
export class Writer {
  private buffer = Buffer.allocUnsafeSlow(INITIAL_SIZE)
  private position = 0
  private cuts: Cut[] = []
  private cutSize = 0

  /** How many bytes wait to be taken. */
  get size(): number {
    return this.position + this.cutSize
  }

  /** Starts a frame and returns what `end` needs. */
  begin(): Mark {
    this.reserve(4)
    const mark = { position: this.position, cuts: this.cuts.length, cutSize: this.cutSize }
    this.position += 4
    return mark
  }

  /** Ends a frame: writes its length and returns it. */
  end(mark: Mark): number {
    const length = this.position - mark.position - 4 + this.cutSize - mark.cutSize
    this.buffer.writeUInt32BE(length, mark.position)
    return length
  }

  /** Forgets everything since `begin`. */
  rollback(mark: Mark): void {
    this.position = mark.position
    this.cuts.length = mark.cuts
    this.cutSize = mark.cutSize
  }

  /** What was written since the last call, in order; valid until more is written, see `renew`. */
  take(): Uint8Array[] {
    const parts: Uint8Array[] = []
    let from = 0
    for (const cut of this.cuts) {
      if (cut.at > from) parts.push(this.buffer.subarray(from, cut.at))
      parts.push(cut.bytes)
      from = cut.at
    }
    if (this.position > from) parts.push(this.buffer.subarray(from, this.position))
    this.position = 0
    this.cutSize = 0
    if (this.cuts.length > 0) this.cuts = []
    return parts
  }

  /** The taken bytes are still in use: go on in a new buffer. */
  renew(): void {
    this.buffer = Buffer.allocUnsafeSlow(INITIAL_SIZE)
  }

  value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.text(value)
      case 'number':
        return this.number(value)
      case 'boolean':
        return this.byte(value ? 0xc3 : 0xc2)
      case 'object':
        if (value === null) return this.byte(0xc0)
        if (value instanceof Payload) return this.payload(value)
        if (value instanceof Uint8Array) return this.bytes(value)
        if (Array.isArray(value)) return this.array(value)
        return this.map(value as Record<string, unknown>)
      default:
        return this.byte(0xc0)
    }
  }

  nil(): void {
    this.byte(0xc0)
  }

  number(value: number): void {
    this.reserve(9)
    const { buffer } = this
    if (value >= 0 && value <= 0xffffffff && value >>> 0 === value) {
      if (value < 0x80) buffer[this.position++] = value
      else if (value < 0x100) {
        buffer[this.position++] = 0xcc
        buffer[this.position++] = value
      } else if (value < 0x10000) {
        buffer[this.position] = 0xcd
        this.position = buffer.writeUInt16BE(value, this.position + 1)
      } else {
        buffer[this.position] = 0xce
        this.position = buffer.writeUInt32BE(value, this.position + 1)
      }
    } else if (!Number.isSafeInteger(value)) {
      buffer[this.position] = 0xcb
      this.position = buffer.writeDoubleBE(value, this.position + 1)
    } else if (value >= 0) {
      buffer[this.position] = 0xcf
      this.position = buffer.writeBigUInt64BE(BigInt(value), this.position + 1)
    } else if (value >= -0x20) {
      buffer[this.position++] = value + 0x100
    } else if (value >= -0x80) {
      buffer[this.position] = 0xd0
      this.position = buffer.writeInt8(value, this.position + 1)
    } else if (value >= -0x8000) {
      buffer[this.position] = 0xd1
      this.position = buffer.writeInt16BE(value, this.position + 1)
    } else if (value >= -0x80000000) {
      buffer[this.position] = 0xd2
      this.position = buffer.writeInt32BE(value, this.position + 1)
    } else {
      buffer[this.position] = 0xd3
      this.position = buffer.writeBigInt64BE(BigInt(value), this.position + 1)
    }
  }

  text(value: string): void {
    const { length } = value
    this.reserve(5 + length * 3)
    if (length < 32 && this.shortText(value, length)) return
    // The header's size depends on the length in bytes: guess from the longest it can be.
    const header = length * 3 < 32 ? 1 : length * 3 < 0x100 ? 2 : length * 3 < 0x10000 ? 3 : 5
    const size = this.buffer.write(value, this.position + header, 'utf8')
    const needed = size < 32 ? 1 : size < 0x100 ? 2 : size < 0x10000 ? 3 : 5
    if (needed < header) {
      const start = this.position + header
      this.buffer.copyWithin(this.position + needed, start, start + size)
    }
    if (needed === 1) this.buffer[this.position++] = 0xa0 + size
    else this.header(size, 0xd9, needed)
    this.position += size
  }

  /** Writes ASCII of fewer than 32 characters; answers false at the first other character. */
  private shortText(value: string, length: number): boolean {
    const { buffer } = this
    const start = this.position + 1
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index)
      if (code > 0x7f) return false
      buffer[start + index] = code
    }
    buffer[this.position] = 0xa0 + length
    this.position = start + length
    return true
  }

  bytes(value: Uint8Array): void {
    const size = value.length
    this.binaryHeader(size)
    if (size >= LARGE) {
      this.cuts.push({ at: this.position, bytes: value })
      this.cutSize += size
      return
    }
    this.reserve(size)
    this.buffer.set(value, this.position)
    this.position += size
  }

  payload(payload: Payload): void {
    this.byte(0x92)
    this.text(payload.format)
    const { body } = payload
    if (typeof body !== 'string') return this.bytes(body)
    if (body.length >= LARGE) return this.bytes(Buffer.from(body, 'utf8'))
    // Straight into the buffer: room for the longest header first, then move up if it was too long.
    const { length } = body
    this.reserve(5 + length * 3)
    const header = length * 3 < 0x100 ? 2 : length * 3 < 0x10000 ? 3 : 5
    const size = this.buffer.write(body, this.position + header, 'utf8')
    const needed = size < 0x100 ? 2 : size < 0x10000 ? 3 : 5
    if (needed < header) {
      const start = this.position + header
      this.buffer.copyWithin(this.position + needed, start, start + size)
    }
    this.header(size, 0xc4, needed)
    this.position += size
  }

  array(values: readonly unknown[]): void {
    this.arrayHeader(values.length)
    for (const value of values) this.value(value)
  }

  arrayHeader(length: number): void {
    this.reserve(5)
    if (length < 16) this.buffer[this.position++] = 0x90 + length
    else this.header(length, 0xdb, length < 0x10000 ? 3 : 5)
  }

  /** A map of the object's own keys; what is undefined is left out. */
  map(values: Record<string, unknown>): void {
    const keys = Object.keys(values)
    let count = 0
    for (const key of keys) if (values[key] !== undefined) count++
    this.mapHeader(count)
    for (const key of keys) {
      const value = values[key]
      if (value === undefined) continue
      this.text(key)
      this.value(value)
    }
  }

  mapHeader(count: number): void {
    this.reserve(5)
    if (count < 16) this.buffer[this.position++] = 0x80 + count
    else this.header(count, 0xdd, count < 0x10000 ? 3 : 5)
  }

  private binaryHeader(size: number): void {
    this.reserve(5)
    this.header(size, 0xc4, size < 0x100 ? 2 : size < 0x10000 ? 3 : 5)
  }

  /** `first` is the token of the form with one length byte; those with two and four follow it. */
  private header(size: number, first: number, bytes: number): void {
    const { buffer } = this
    if (bytes === 2) {
      buffer[this.position++] = first
      buffer[this.position++] = size
    } else if (bytes === 3) {
      buffer[this.position] = first + 1
      this.position = buffer.writeUInt16BE(size, this.position + 1)
    } else {
      buffer[this.position] = first + 2
      this.position = buffer.writeUInt32BE(size, this.position + 1)
    }
  }

  private byte(value: number): void {
    this.reserve(1)
    this.buffer[this.position++] = value
  }

  private reserve(size: number): void {
    if (this.position + size <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.position + size))
    this.buffer.copy(larger, 0, 0, this.position)
    this.buffer = larger
  }
}
