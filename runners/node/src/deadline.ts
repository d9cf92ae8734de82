// When the time of an invocation is up.
import { performance } from 'node:perf_hooks'

// As they were before user code, whose tests may put fakes in their place.
const now = performance.now.bind(performance)
const RealDate = Date

export class Deadline {
  readonly #ends: number
  #date: Date | undefined

  /** `ms` is the time left now; without it there is no end. */
  constructor(ms: number | undefined) {
    this.#ends = ms === undefined ? Infinity : now() + ms
  }

  /** The point in time; undefined if there is none. */
  get date(): Date | undefined {
    if (this.#ends === Infinity) return undefined
    return (this.#date ??= new RealDate(RealDate.now() + Math.round(this.#ends - now())))
  }

  /** Whole milliseconds that are left, 0 when it has passed, Infinity without an end. */
  remainingMs(): number {
    return Math.max(0, Math.round(this.#ends - now()))
  }
}
