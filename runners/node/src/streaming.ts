// Answers in parts: a body that is a generator, iterator or stream, sent as fast as its client reads.
import { InvalidResponse } from './errors'
import type { Params } from './peer'
import type { Scope } from './scope'
import { bytesOf, encodeJson } from './values'

// Bytes of one write; a longer part is sent in several.
const MOST = 1 << 20

/** Gives the parts of a body one by one. */
interface Source {
  next(): unknown
  /** Ends it before its end; its author's `finally` is run. */
  stop(): unknown
}

/** A response whose body is still to be made. */
export class Streamed {
  readonly status: number
  readonly headers: Record<string, string | string[]>
  private readonly body: object

  constructor(status: number, headers: Record<string, string | string[]>, body: object) {
    this.status = status
    this.headers = headers
    this.body = body
  }

  /** Sends it; whatever happens, its body is closed. Rejects with what the body throws. */
  async send(scope: Scope): Promise<void> {
    if (!scope.peer.takesParts) {
      throw new InvalidResponse(
        'this orchestrator takes no answers in parts; return the body as a whole',
      )
    }
    const source = sourceOf(this.body)
    let closing: Promise<unknown> | undefined
    const close = (): Promise<unknown> => (closing ??= (async () => source.stop())())
    // Who waits in there for something else than us hears of it at once.
    const onAbort = (): void => void close().catch(() => {})
    scope.signal.addEventListener('abort', onAbort, { once: true })
    try {
      const { status, headers } = this
      const begun = (await scope.call('response.start', { status, headers })) as Params | null
      if (begun?.['wanted'] === false) return
      for (;;) {
        const { done, value } = (await source.next()) as IteratorResult<unknown>
        if (done === true) return
        const data = encoded(value)
        for (let start = 0; start < data.length; start += MOST) {
          await scope.call('response.write', { data: data.subarray(start, start + MOST) })
        }
      }
    } finally {
      scope.signal.removeEventListener('abort', onAbort)
      await close()
    }
  }
}

/** Whether a body gives its parts one by one: a ReadableStream, a Readable, a generator. */
export function isStream(body: object): boolean {
  if (Symbol.asyncIterator in body || body instanceof ReadableStream) return true
  return 'next' in body && typeof body.next === 'function' && Symbol.iterator in body
}

function sourceOf(body: object): Source {
  if (body instanceof ReadableStream) {
    const reader = body.getReader()
    return { next: () => reader.read(), stop: () => reader.cancel() }
  }
  const open = (body as AsyncIterable<unknown>)[Symbol.asyncIterator] as unknown
  const iterator = (
    typeof open === 'function'
      ? (body as AsyncIterable<unknown>)[Symbol.asyncIterator]()
      : (body as Iterable<unknown>)[Symbol.iterator]()
  ) as AsyncIterator<unknown>
  return {
    next: () => iterator.next(),
    stop: () => {
      if ('destroy' in body && typeof body.destroy === 'function') body.destroy()
      else return iterator.return?.()
    },
  }
}

function encoded(part: unknown): Buffer {
  if (typeof part === 'string') return Buffer.from(part)
  const bytes = bytesOf(part)
  if (bytes !== undefined) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const payload = encodeJson(part)
  if (payload === null) throw new InvalidResponse('a part of the body is undefined or a function')
  return Buffer.from(`${String(payload.body)}\n`)
}
