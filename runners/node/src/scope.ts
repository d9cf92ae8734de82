// One running invocation: what its handler's calls have in common.
import { StepweaveError } from './errors'
import type { Deadline } from './deadline'
import { type Caller, type Params, type Peer, Refusal } from './peer'

/** The reason that `ctx.signal` aborts with. */
export class Cancelled extends Error {
  override name = 'AbortError'
  readonly code = 'cancelled'
  /** "timeout", "shutdown" or "client". */
  readonly reason: string

  constructor(reason: string) {
    super(`the invocation was cancelled: ${reason}`)
    this.reason = reason
  }
}

/** What every scope of this process shares. */
export interface ScopeLogs {
  /** Says a record of `scope`, or of none. */
  write(scope: Scope | undefined, record: LogRecord): void
}

export type Level = 'debug' | 'info' | 'warn' | 'error'

export interface LogRecord {
  level: Level
  message: string
  fields?: unknown
  source?: 'stdout' | 'stderr'
}

export class Scope implements Caller {
  closed = false
  waiting = 0
  /** What was printed without an end of line yet, per stream; `undefined` means nothing ever. */
  partial: { stdout: string; stderr: string } | undefined
  readonly id: number
  /** The 32 hex digits of the traceparent. */
  readonly traceId: string
  readonly peer: Peer
  readonly logs: ScopeLogs
  /** The handle of the step. */
  readonly step: string
  readonly deadline: Deadline
  private controller: AbortController | undefined
  private reason: Cancelled | undefined

  constructor(
    id: number,
    traceId: string,
    peer: Peer,
    logs: ScopeLogs,
    step: string,
    deadline: Deadline,
  ) {
    this.id = id
    this.traceId = traceId
    this.peer = peer
    this.logs = logs
    this.step = step
    this.deadline = deadline
  }

  /** Aborts when the invocation is cancelled. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController()
      if (this.reason) this.controller.abort(this.reason)
    }
    return this.controller.signal
  }

  /** Closes the scope and tells the handler; its answer is given elsewhere. */
  cancel(reason: string): void {
    this.closed = true
    this.reason = new Cancelled(reason)
    this.controller?.abort(this.reason)
  }

  /**
   * Calls the orchestrator for this scope; `scope` is set in `params` here.
   * Throws StepweaveError, with the author's frames, if the scope is closed or the call is refused.
   */
  async call(method: string, params: Params): Promise<unknown> {
    if (this.closed) throw this.late(method)
    params['scope'] = this.id
    try {
      const result = await this.peer.call(method, params, this)
      // An answer that came too late: the handler is told so and goes no further.
      if (this.reason) throw this.late(method)
      return result
    } catch (error) {
      // Made here and not where the answer came in: so the stack holds who awaited the call.
      throw error instanceof Refusal ? error.toError() : error
    }
  }

  private late(method: string): StepweaveError {
    return this.reason
      ? new StepweaveError('cancelled', `${method} after the invocation was cancelled`)
      : new StepweaveError(
          'unknown_scope',
          `${method} after the handler had answered; await every call before it returns`,
        )
  }
}
