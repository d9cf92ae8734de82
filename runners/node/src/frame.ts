// Frames: a length of four bytes, big-endian, and one msgpack value. Bytes in, values out.
import { decode, Malformed } from './msgpack-read'

/** Enough of a frame to tell whether it is a request or a response, and its id. */
const HEAD_SIZE = 8

/** Where a reader delivers. */
export interface FrameSink {
  frame(value: unknown): void
  /** A frame over the limit was skipped; `head` are its first bytes. */
  oversize(head: Buffer, length: number): void
}

/** The bytes of one frame are not one value; the stream cannot be trusted any more. */
export class BadFrame extends Error {
  override name = 'BadFrame'
}

/** Cuts a byte stream into frames, whatever the pieces it arrives in. */
export class FrameReader {
  private readonly sink: FrameSink
  private readonly maxFrame: number
  private readonly prefix = Buffer.alloc(4)
  private prefixSize = 0
  private body: Buffer | undefined
  private bodySize = 0
  private skipHead = Buffer.alloc(0)
  private skipLength = 0
  private skipLeft = 0

  constructor(sink: FrameSink, maxFrame: number) {
    this.sink = sink
    this.maxFrame = maxFrame
  }

  /** Takes the next piece and delivers each frame that it completes. Throws BadFrame. */
  feed(chunk: Buffer): void {
    let at = this.resume(chunk)
    while (at < chunk.length) {
      if (chunk.length - at < 4) {
        this.prefixSize = chunk.copy(this.prefix, 0, at)
        return
      }
      const length = chunk.readUInt32BE(at)
      at += 4
      if (length > this.maxFrame) at = this.skip(length, chunk, at)
      else if (at + length <= chunk.length) {
        this.deliver(chunk, at, at + length)
        at += length
      } else {
        this.body = Buffer.allocUnsafeSlow(length)
        this.bodySize = chunk.copy(this.body, 0, at)
        return
      }
    }
  }

  /** Goes on with what an earlier piece left unfinished and returns where the next frame begins. */
  private resume(chunk: Buffer): number {
    if (this.prefixSize > 0) return this.resumePrefix(chunk)
    if (this.body !== undefined) return this.resumeBody(this.body, chunk, 0)
    return this.skipLeft > 0 ? this.resumeSkip(chunk, 0) : 0
  }

  private resumePrefix(chunk: Buffer): number {
    const copied = chunk.copy(this.prefix, this.prefixSize)
    this.prefixSize += copied
    if (this.prefixSize < 4) return chunk.length
    this.prefixSize = 0
    const length = this.prefix.readUInt32BE(0)
    if (length > this.maxFrame) return this.skip(length, chunk, copied)
    return this.resumeBody(Buffer.allocUnsafeSlow(length), chunk, copied)
  }

  private resumeBody(body: Buffer, chunk: Buffer, from: number): number {
    const copied = chunk.copy(body, this.bodySize, from)
    this.bodySize += copied
    if (this.bodySize < body.length) {
      this.body = body
      return chunk.length
    }
    this.body = undefined
    this.bodySize = 0
    this.deliver(body, 0, body.length)
    return from + copied
  }

  private skip(length: number, chunk: Buffer, at: number): number {
    this.skipLength = this.skipLeft = length
    this.skipHead = Buffer.alloc(0)
    return this.resumeSkip(chunk, at)
  }

  private resumeSkip(chunk: Buffer, at: number): number {
    const end = Math.min(chunk.length, at + this.skipLeft)
    const missing = HEAD_SIZE - this.skipHead.length
    if (missing > 0) {
      const more = chunk.subarray(at, Math.min(end, at + missing))
      this.skipHead = Buffer.concat([this.skipHead, more])
    }
    this.skipLeft -= end - at
    if (this.skipLeft === 0) this.sink.oversize(this.skipHead, this.skipLength)
    return end
  }

  private deliver(bytes: Buffer, start: number, end: number): void {
    let value: unknown
    try {
      value = decode(bytes, start, end)
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      const shown = bytes.subarray(start, Math.min(end, start + 64)).toString('hex')
      throw new BadFrame(`a frame of ${end - start} bytes (${shown}) is no value: ${error.message}`)
    }
    this.sink.frame(value)
  }
}

/** Kind and id of a frame from its first bytes; undefined if they tell neither. */
export function peek(head: Buffer): { kind: number; id: number } | undefined {
  const kind = head[1]
  if ((head[0] !== 0x94 && head[0] !== 0x93) || (kind !== 0 && kind !== 1)) return undefined
  const token = head[2]
  if (token === undefined) return undefined
  if (token < 0x80) return { kind, id: token }
  if (token === 0xcc && head.length >= 4) return { kind, id: head.readUInt8(3) }
  if (token === 0xcd && head.length >= 5) return { kind, id: head.readUInt16BE(3) }
  if (token === 0xce && head.length >= 7) return { kind, id: head.readUInt32BE(3) }
  return undefined
}
