// The pipe to the orchestrator: frames in from one descriptor, frames out to another.
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
// Not the global one: tests of user code replace that with a fake.
import { setImmediate } from 'node:timers'
import { StepweaveError } from './errors'
import { BadFrame, FrameReader, type FrameSink } from './frame'
import { type Mark, Writer } from './msgpack-write'

// What waits longer or is larger does not wait for the end of the loop's turn, so a handler that
// never yields still gets its log lines out.
const MAX_WAIT_MS = 5
const MAX_WAITING = 256 * 1024

/** Who hears of frames and of the end of the stream. */
export interface ConnectionSink extends FrameSink {
  /** The stream cannot be read any further: `error` is undefined at its regular end. */
  closed(error: Error | undefined): void
}

/**
 * Frames over two descriptors. The reader never waits for the writer; all frames of one turn of the
 * loop leave in one write.
 */
export class Connection {
  /** The longest frame that the other side takes. */
  peerMaxFrame = Number.POSITIVE_INFINITY
  private readonly input: Socket
  private readonly output: Socket
  private readonly outputFd: number
  private readonly writer = new Writer()
  private scheduled = false
  private leaving = false
  private since = 0
  private readonly onTurn = (): void => {
    this.scheduled = false
    this.flush()
  }
  private readonly onWritten = (): void => {
    if (!this.scheduled && this.writer.size > 0) this.flush()
  }

  /** Throws when a descriptor is not open or is neither a pipe nor a socket. */
  constructor(inputFd: number, outputFd: number) {
    this.input = new Socket({ fd: inputFd, readable: true, writable: false })
    this.output = new Socket({ fd: outputFd, readable: false, writable: true })
    this.outputFd = outputFd
    // The other side has left; the end of the input says so too.
    this.output.on('error', () => {})
  }

  /** Begins to read. Frames over `maxFrame` are skipped. */
  listen(sink: ConnectionSink, maxFrame: number): void {
    const reader = new FrameReader(sink, maxFrame)
    this.input.on('data', (chunk: Buffer) => {
      try {
        reader.feed(chunk)
      } catch (error) {
        if (!(error instanceof BadFrame)) throw error
        this.input.pause()
        sink.closed(error)
      }
    })
    this.input.on('end', () => sink.closed(undefined))
    this.input.on('error', () => sink.closed(undefined))
  }

  /** Whether frames have piled up because the other side does not read. */
  get congested(): boolean {
    return this.output.writableLength > 0
  }

  /**
   * Queues the frame that `write` writes. Throws too_large, and queues nothing, if it is longer
   * than the other side takes.
   */
  send(write: (writer: Writer) => void): void {
    const mark = this.begin()
    try {
      write(this.writer)
    } catch (error) {
      this.writer.rollback(mark)
      throw error
    }
    this.end(mark)
  }

  /** For frames on the hot path: `begin`, write to the result of `frame`, `end`. */
  begin(): Mark {
    return this.writer.begin()
  }

  get frame(): Writer {
    return this.writer
  }

  end(mark: Mark): void {
    const size = this.writer.end(mark)
    if (size > this.peerMaxFrame) {
      this.writer.rollback(mark)
      throw new StepweaveError(
        'too_large',
        `a frame of ${size} bytes is over the orchestrator's limit of ${this.peerMaxFrame}; ` +
          'pass a reference to large data instead',
      )
    }
    if (this.leaving) this.flushNow()
    else if (!this.scheduled) {
      this.scheduled = true
      this.since = Date.now()
      setImmediate(this.onTurn)
    } else if (this.writer.size > MAX_WAITING || Date.now() - this.since > MAX_WAIT_MS) {
      this.since = Date.now()
      this.flush()
    }
  }

  /** Writes what waits, unless an earlier write is still under way; then its end does so. */
  flush(): void {
    const { output, writer } = this
    if (writer.size === 0 || output.writableLength > 0) return
    const parts = writer.take()
    if (parts.length > 1) output.cork()
    for (const [index, part] of parts.entries()) {
      if (index === parts.length - 1) output.write(part, this.onWritten)
      else output.write(part)
    }
    if (parts.length > 1) output.uncork()
    // Taken at once by the pipe: the buffer is free again.
    if (output.writableLength > 0) writer.renew()
  }

  /** The process ends: what waits is written now, and what is said from now on at once. */
  leave(): void {
    this.leaving = true
    this.flushNow()
  }

  /** Writes what waits before the process ends; gives up when the pipe is full. */
  flushNow(): void {
    if (this.output.writableLength > 0) return
    try {
      for (const part of this.writer.take()) writeFully(this.outputFd, part)
    } catch {
      // The other side has left or does not read: nobody waits for these frames.
    }
  }
}

function writeFully(fd: number, bytes: Uint8Array): void {
  let offset = 0
  while (offset < bytes.length) offset += writeSync(fd, bytes, offset)
}
