// User data on the wire: a format and bytes that nobody on the way needs to understand.

export type Format = 'json' | 'msgpack' | 'text' | 'bytes'

/**
 * One `[format, bytes]` on its way out. A string body is text that is encoded as UTF-8 when the
 * frame is written; bytes are taken as they are and may leave without a copy, so whoever hands
 * them over leaves them alone until the call is answered.
 */
export class Payload {
  readonly format: Format
  readonly body: string | Uint8Array

  constructor(format: Format, body: string | Uint8Array) {
    this.format = format
    this.body = body
  }
}

export const NULL = new Payload('json', 'null')
