// ctx.state
import { currentScope } from './current'
import { StepweaveError } from './errors'
import { NULL, type Payload } from './payload'
import type { Params } from './peer'
import type { Scope } from './scope'
import { decode, encode } from './values'

/** One change of `update`: `{ op: 'increment', path: 'stock.count', value: -1 }`. */
export interface Operation {
  op?: string
  /** Another word for `op`. */
  type?: string
  path?: string | (string | number)[]
  value?: unknown
}

export interface SetOptions {
  /** The value is gone after this time, in ms. */
  ttlMs?: number
  /** Write only if this is the current value; null: only if there is none, or null. */
  expect?: unknown
}

export interface PageOptions {
  /** Only keys that come after this one; the `next` of the page before. */
  after?: string
  /** At most so many values. */
  limit?: number
}

/** Values of a group; `next` is there when a page is full, and what the next one begins after. */
export type Page = unknown[] & { readonly next?: string }

/** Durable values by group and key; each call resolves when it is done. */
export class State {
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** The value, or null. */
  async get(group: string, key: string): Promise<unknown> {
    return decode(await call(this, 'state.get', group, key)) ?? null
  }

  /** Stores a value and returns it. Throws `conflict` if `expect` is not the current value. */
  async set<T>(group: string, key: string, value: T, options?: SetOptions): Promise<T> {
    only(options, ['ttlMs', 'expect'], 'state.set')
    const ttl = options?.ttlMs ?? undefined
    if (ttl !== undefined && typeof ttl !== 'number') {
      throw new TypeError('state.set takes ttlMs as a number of milliseconds')
    }
    await call(this, 'state.set', group, key, {
      value: encode(value) ?? NULL,
      ...(ttl === undefined ? {} : { ttl_ms: Math.round(ttl) }),
      ...(options && 'expect' in options ? { expect: expected(options.expect) } : {}),
    })
    return value
  }

  /** Removes a value and returns it, or null. */
  async delete(group: string, key: string): Promise<unknown> {
    return decode(await call(this, 'state.delete', group, key)) ?? null
  }

  /** The values of a group, ordered by key: all, or `limit` of those after a key. */
  async getGroup(group: string, options?: PageOptions): Promise<Page> {
    only(options, ['after', 'limit'], 'state.getGroup')
    const params: Params = { scope: 0, group: text(group, 'group') }
    const limit = options?.limit ?? undefined
    if (options?.after !== undefined && options.after !== null) {
      params['after'] = text(options.after, 'key after which the page begins')
    }
    if (limit !== undefined) params['limit'] = limit
    const pairs = (await scopeOf(this).call('state.list', params)) as [string, unknown][]
    const page: Page = pairs.map(([, value]) => decode(value) ?? null)
    if (limit !== undefined && pairs.length === limit) {
      Object.defineProperty(page, 'next', { value: pairs.at(-1)?.[0] })
    }
    return page
  }

  /** Removes a whole group and returns how many values it had. */
  async clear(group: string): Promise<number> {
    return (await scopeOf(this).call('state.clear', { group: text(group, 'group') })) as number
  }

  /** Changes parts of a value atomically and returns the new value. */
  async update(
    group: string,
    key: string,
    ops: Operation | Operation[],
    options?: Pick<SetOptions, 'expect'>,
  ): Promise<unknown> {
    only(options, ['expect'], 'state.update')
    const result = await call(this, 'state.update', group, key, {
      ops: operations(ops),
      ...(options && 'expect' in options ? { expect: expected(options.expect) } : {}),
    })
    return decode(result) ?? null
  }

  /** Adds to a number atomically and returns the sum; a missing value counts as 0. */
  async increment(group: string, key: string, by = 1): Promise<number> {
    return (await State.prototype.update.call(this, group, key, {
      op: 'increment',
      path: [],
      value: by,
    })) as number
  }

  /** The names of all groups that hold something. */
  async groups(): Promise<string[]> {
    return (await scopeOf(this).call('state.groups', {})) as string[]
  }

  listGroups(): Promise<string[]> {
    return State.prototype.groups.call(this)
  }

  /** Stores `value` if the current value is `expected` (null: none); answers whether it was. */
  async compareAndSet(
    group: string,
    key: string,
    expectedValue: unknown,
    value: unknown,
  ): Promise<boolean> {
    try {
      await State.prototype.set.call(this, group, key, value, { expect: expectedValue })
      return true
    } catch (error) {
      if (error instanceof StepweaveError && error.code === 'conflict') return false
      throw error
    }
  }

  /** The same methods without the group, which is this trace. */
  get trace(): TraceState {
    return new TraceState(this, State.scopeOf(this).traceId)
  }

  /** The scope that `state` calls for: its own, or that of the running handler. */
  static scopeOf(state: State | undefined): Scope {
    const isState = typeof state === 'object' && state !== null && #scope in state
    return isState ? state.#scope : currentScope('state')
  }
}

/** State that belongs to one trace. */
export class TraceState {
  readonly #state: State
  readonly #group: string

  constructor(state: State, group: string) {
    this.#state = state
    this.#group = group
  }

  get(key: string): Promise<unknown> {
    return this.#state.get(this.#group, key)
  }

  set<T>(key: string, value: T, options?: SetOptions): Promise<T> {
    return this.#state.set(this.#group, key, value, options)
  }

  delete(key: string): Promise<unknown> {
    return this.#state.delete(this.#group, key)
  }

  getGroup(options?: PageOptions): Promise<Page> {
    return this.#state.getGroup(this.#group, options)
  }

  clear(): Promise<number> {
    return this.#state.clear(this.#group)
  }

  update(
    key: string,
    ops: Operation | Operation[],
    options?: Pick<SetOptions, 'expect'>,
  ): Promise<unknown> {
    return this.#state.update(this.#group, key, ops, options)
  }

  increment(key: string, by = 1): Promise<number> {
    return this.#state.increment(this.#group, key, by)
  }

  compareAndSet(key: string, expectedValue: unknown, value: unknown): Promise<boolean> {
    return this.#state.compareAndSet(this.#group, key, expectedValue, value)
  }
}

function scopeOf(state: State | undefined): Scope {
  return State.scopeOf(state)
}

function call(
  state: State | undefined,
  method: string,
  group: string,
  key: string,
  more?: Record<string, unknown>,
): Promise<unknown> {
  const params = { scope: 0, group: text(group, 'group'), key: text(key, 'key'), ...more }
  return scopeOf(state).call(method, params)
}

/** Throws TypeError for an option that there is not: a misspelled one must not go unnoticed. */
function only(options: object | undefined, known: string[], method: string): void {
  for (const key in options) {
    if (!known.includes(key)) {
      throw new TypeError(`${method} has no option "${key}"; it takes ${known.join(' and ')}`)
    }
  }
}

/** A name as text; numbers are taken as theirs. Throws TypeError for anything else. */
export function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw new TypeError(`the ${what} must be a string, not ${value === null ? 'null' : typeof value}`)
}

/** The operations in their form on the wire. Throws TypeError for one without `op`. */
export function operations(ops: Operation | Operation[]): Record<string, unknown>[] {
  return (Array.isArray(ops) ? ops : [ops]).map((operation) => {
    const op = operation?.op ?? operation?.type
    if (typeof op !== 'string') {
      throw new TypeError(
        'an update needs { op, path, value }, such as { op: "set", path: "name", value: "Ann" }',
      )
    }
    const { value } = operation
    return {
      op,
      path: pathOf(operation.path),
      ...(value === undefined ? {} : { value: encode(value) }),
    }
  })
}

function pathOf(path: Operation['path']): (string | number)[] {
  if (path === undefined || path === null || path === '') return []
  // Nothing but numbers and texts may reach the writer: objects can run code of the author's.
  if (Array.isArray(path))
    return path.map((part) => (typeof part === 'number' ? part : String(part)))
  return path.split('.').map((part) => (/^(0|[1-9]\d*)$/.test(part) ? Number(part) : part))
}

function expected(value: unknown): Payload | null {
  return value === undefined || value === null ? null : encode(value)
}
