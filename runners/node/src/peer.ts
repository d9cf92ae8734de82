// One end of the conversation: requests both ways, answers, notifications (SPEC 3).
import type { Connection } from './connection'
import { complain } from './complain'
import { messageOf, StepweaveError } from './errors'
import { peek } from './frame'
import { Queue } from './queue'

export type Params = Record<string, unknown>

/** Serves what the other side asks. Neither may throw. */
export interface Service {
  request(id: number, method: string, params: Params): void
  notification(method: string, params: Params): void
  /** The other side has gone, or what it sends makes no sense (`error`). */
  closed(error: Error | undefined): void
}

/** The error map of a response. */
export interface ErrorFields {
  code: string
  message: string
  type?: string
  trace?: string
  frames?: { file: string; line: number; function: string }[]
  data?: Record<string, unknown>
}

/** For whom a call is made; calls of a scope that has closed are not sent any more. */
export interface Caller {
  closed: boolean
  /** Calls that wait for a place in the window. */
  waiting: number
}

interface Open {
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
}

interface Waiting extends Open {
  method: string
  params: Params
  caller: Caller | undefined
}

/** An error that the other side answered, before it gets a stack of the place that called. */
export class Refusal {
  readonly code: string
  readonly message: string
  readonly data: Record<string, unknown> | undefined

  constructor(fields: unknown) {
    const map = (typeof fields === 'object' && fields !== null ? fields : {}) as Params
    this.code = typeof map['code'] === 'string' ? map['code'] : 'internal'
    this.message = typeof map['message'] === 'string' ? map['message'] : 'the call was refused'
    this.data = map['data'] as Record<string, unknown> | undefined
  }

  /** The error for the author's code. */
  toError(): StepweaveError {
    return new StepweaveError(this.code, this.message, this.data)
  }
}

/** Turns frames into calls and calls into frames; holds at most `window` requests open. */
export class Peer {
  /** Unanswered requests that the other side takes. */
  window = 1
  /** Whether the other side takes answers in parts. */
  takesParts = false
  private readonly connection: Connection
  private readonly open = new Map<number, Open>()
  private readonly waiting = new Queue<Waiting>()
  private readonly deferred: { caller: Caller; run: () => void }[] = []
  private service: Service | undefined
  private lastId = 0

  constructor(connection: Connection) {
    this.connection = connection
  }

  /** Begins to read; `maxFrame` is the longest frame taken. */
  serve(service: Service, maxFrame: number): void {
    this.service = service
    this.connection.listen(this, maxFrame)
  }

  /** Asks the other side; rejects with a Refusal if it answers an error. */
  call(method: string, params: Params, caller?: Caller): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.open.size < this.window && this.waiting.size === 0) {
        this.post(method, params, { resolve, reject })
        return
      }
      if (caller) caller.waiting++
      this.waiting.push({ method, params, caller, resolve, reject })
    })
  }

  /** Runs `answer` once every call that `caller` made has left, so that none comes after it. */
  afterCalls(caller: Caller, answer: () => void): void {
    if (caller.waiting === 0) answer()
    else this.deferred.push({ caller, run: answer })
  }

  notify(method: string, params: Params): void {
    const mark = this.connection.begin()
    const { frame } = this.connection
    frame.arrayHeader(3)
    frame.number(2)
    frame.text(method)
    frame.map(params)
    this.connection.end(mark)
  }

  /** Answers a request. Throws too_large if the result is over the other side's limit. */
  answer(id: number, result: unknown): void {
    const mark = this.connection.begin()
    const { frame } = this.connection
    try {
      frame.arrayHeader(4)
      frame.number(1)
      frame.number(id)
      frame.nil()
      frame.value(result)
    } catch (error) {
      frame.rollback(mark)
      throw error
    }
    this.connection.end(mark)
  }

  fail(id: number, error: ErrorFields): void {
    try {
      this.connection.send((frame) => frame.array([1, id, error, null]))
    } catch {
      // Only the trace or the message can be that long.
      const { code, message } = error
      this.connection.send((frame) => {
        frame.array([1, id, { code, message: message.slice(0, 1000) }, null])
      })
    }
  }

  frame(value: unknown): void {
    const service = this.service as Service
    if (Array.isArray(value)) {
      const [kind, second, third, fourth] = value as unknown[]
      if (value.length === 4 && isId(second)) {
        if (kind === 0 && typeof third === 'string' && isMap(fourth)) {
          return service.request(second, third, fourth)
        }
        if (kind === 1) return this.settle(second, third, fourth)
      }
      if (value.length === 3 && kind === 2 && typeof second === 'string' && isMap(third)) {
        return service.notification(second, third)
      }
    }
    service.closed(new StepweaveError('protocol_error', `no message looks like ${shown(value)}`))
  }

  oversize(head: Buffer, length: number): void {
    const message = `a frame of ${length} bytes is over this runner's limit`
    const known = peek(head)
    if (known?.kind === 0) return this.fail(known.id, { code: 'too_large', message })
    if (known?.kind === 1) return this.settle(known.id, { code: 'too_large', message }, null)
    complain(`${message}; it was skipped`)
  }

  closed(error: Error | undefined): void {
    this.service?.closed(error)
  }

  private post(method: string, params: Params, open: Open): void {
    const id = this.nextId()
    const mark = this.connection.begin()
    const { frame } = this.connection
    try {
      frame.arrayHeader(4)
      frame.number(0)
      frame.number(id)
      frame.text(method)
      frame.map(params)
      this.connection.end(mark)
    } catch (error) {
      frame.rollback(mark)
      open.reject(error)
      return
    }
    this.open.set(id, open)
  }

  private nextId(): number {
    do this.lastId = this.lastId === 0xffffffff ? 1 : this.lastId + 1
    while (this.open.has(this.lastId))
    return this.lastId
  }

  private settle(id: number, error: unknown, result: unknown): void {
    const open = this.open.get(id)
    if (open === undefined) return
    this.open.delete(id)
    if (error === null || error === undefined) open.resolve(result)
    else open.reject(new Refusal(error))
    if (this.waiting.size > 0) this.admit()
  }

  /** Sends waiting calls while the window has room. */
  private admit(): void {
    while (this.waiting.size > 0 && this.open.size < this.window) {
      const next = this.waiting.shift() as Waiting
      if (next.caller) next.caller.waiting--
      if (next.caller?.closed) {
        next.reject(new Refusal({ code: 'cancelled', message: `${next.method}: cancelled` }))
      } else this.post(next.method, next.params, next)
    }
    for (let index = 0; index < this.deferred.length;) {
      const { caller, run } = this.deferred[index] as { caller: Caller; run: () => void }
      if (caller.waiting > 0) index++
      else {
        this.deferred.splice(index, 1)
        run()
      }
    }
  }
}

function isId(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= 0xffffffff && Number.isInteger(value)
}

function isMap(value: unknown): value is Params {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)
  )
}

function shown(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? 'nothing').slice(0, 200)
  } catch (error) {
    return messageOf(error)
  }
}
