// Log records on their way out: the only traffic without a bound, so it gets one here.
import type { Connection } from './connection'
import type { Params, Peer } from './peer'
import { Payload } from './payload'
import type { Level, LogRecord, Scope, ScopeLogs } from './scope'
import { encodeJson } from './values'

// How many records may wait for a reader that does not read, before a level is dropped (SPEC 6.3).
const LIMITS: Record<Level, number> = {
  debug: 1_000,
  info: 2_000,
  warn: 4_000,
  error: Number.POSITIVE_INFINITY,
}
const LONGEST_MESSAGE = 64 * 1024

/** Sends records; when they pile up, drops debug first and tells how many. */
export class Logs implements ScopeLogs {
  private readonly peer: Peer
  private readonly connection: Connection
  private queued = 0
  private dropped = 0

  constructor(peer: Peer, connection: Connection) {
    this.peer = peer
    this.connection = connection
  }

  write(scope: Scope | undefined, record: LogRecord): void {
    if (this.connection.congested) {
      if (++this.queued > LIMITS[record.level]) {
        this.dropped++
        return
      }
    } else this.queued = 0
    const { message } = record
    const fields = record.fields === undefined ? undefined : fieldsOf(record.fields)
    const params: Params = {
      // A scope that has been answered means nothing to the other side any more.
      scope: scope === undefined || scope.closed ? undefined : scope.id,
      level: record.level,
      message: message.length > LONGEST_MESSAGE ? cut(message) : message,
      fields,
      at: Date.now(),
      source: record.source,
      dropped: this.dropped > 0 ? this.dropped : undefined,
    }
    this.dropped = 0
    this.send(params)
  }

  private send(params: Params): void {
    try {
      this.peer.notify('log', params)
    } catch (error) {
      if (params['fields'] === undefined) throw error
      // The fields alone can be longer than a frame.
      params['fields'] = new Payload('json', '{"stepweave":"fields too large for a log record"}')
      this.peer.notify('log', params)
    }
  }
}

/** Log fields as a JSON object; a value that cannot be written says so in its place. */
function fieldsOf(fields: unknown): Payload | undefined {
  const value =
    typeof fields === 'object' && fields !== null && !Array.isArray(fields)
      ? fields
      : { data: fields }
  try {
    return encodeJson(value) ?? undefined
  } catch (error) {
    return encodeJson({ unreadable: error }) ?? undefined
  }
}

function cut(message: string): string {
  return `${message.slice(0, LONGEST_MESSAGE)}… (${message.length} characters)`
}
