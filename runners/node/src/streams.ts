// ctx.streams
import { type Operation, operations, text } from './state'
import type { Params } from './peer'
import type { Scope } from './scope'
import { NULL } from './payload'
import { decode, encode } from './values'

/** Marks an object as an item of a stream, so that clients can follow it. */
interface Marker {
  type: 'state-stream'
  streamName: string
  groupId: string
  id: string
}

/** Where `send` goes: a whole group, or the followers of one item in it as well. */
export type Channel = string | { groupId?: string; group?: string; id?: string }

/** The items of one stream, by group and id; what comes back carries `__motia`. */
export class Stream {
  readonly #scope: Scope
  readonly #name: string

  constructor(scope: Scope, name: string) {
    this.#scope = scope
    this.#name = name
  }

  /** The item, or null. */
  async get(group: string, id: string): Promise<unknown> {
    return this.#item(await this.#call('stream.get', group, { id: text(id, 'id') }), group, id)
  }

  /** Stores an item, tells those who follow it, and returns it with its id. */
  async set(group: string, id: string, data: unknown): Promise<unknown> {
    const params = { id: text(id, 'id'), data: encode(unmarked(data)) ?? NULL }
    return this.#item(await this.#call('stream.set', group, params), group, id)
  }

  /** Changes parts of an item atomically and returns it. */
  async update(group: string, id: string, ops: Operation | Operation[]): Promise<unknown> {
    const params = { id: text(id, 'id'), ops: operations(ops) }
    return this.#item(await this.#call('stream.update', group, params), group, id)
  }

  /** Removes an item and returns it, or null. */
  async delete(group: string, id: string): Promise<unknown> {
    return this.#item(await this.#call('stream.delete', group, { id: text(id, 'id') }), group, id)
  }

  /** The items of a group, oldest first. */
  async getGroup(group: string): Promise<unknown[]> {
    const pairs = (await this.#call('stream.list', group, {})) as [string, unknown][]
    return pairs.map(([id, item]) => this.#item(item, group, id))
  }

  list(group: string): Promise<unknown[]> {
    return this.getGroup(group)
  }

  /** Sends an event that is not stored: `send({ groupId: 'g' }, { type: 'typing', data })`. */
  async send(channel: Channel, event: { type: string; data?: unknown }): Promise<void> {
    const { groupId, group, id } = typeof channel === 'object' ? channel : { groupId: channel }
    if (typeof event?.type !== 'string') {
      throw new TypeError('send needs an event { type, data }')
    }
    await this.#call('stream.send', (groupId ?? group) as string, {
      ...(id === undefined || id === null ? {} : { id: text(id, 'id') }),
      event: { type: event.type, data: encode(event.data) },
    })
  }

  #call(method: string, group: string, more: Params): Promise<unknown> {
    const params = { scope: 0, stream: this.#name, group: text(group, 'group'), ...more }
    return this.#scope.call(method, params)
  }

  #item(payload: unknown, groupId: string, id: string): unknown {
    const item = decode(payload) ?? null
    if (typeof item !== 'object' || item === null || Array.isArray(item)) return item
    const marker: Marker = {
      type: 'state-stream',
      streamName: this.#name,
      groupId: text(groupId, 'group'),
      id: text(id, 'id'),
    }
    return { ...item, __motia: marker }
  }
}

/** Every name is a stream: whether it exists is known to the orchestrator alone. */
export type Streams = Record<string, Stream>

/** What the proxy stands for: empty to whoever looks, so that printing a context stays short. */
class Names {
  readonly #scope: Scope

  constructor(scope: Scope) {
    this.#scope = scope
  }

  stream(name: string): Stream {
    return new Stream(this.#scope, name)
  }
}

const handler: ProxyHandler<Names> = {
  get(names, name) {
    // Promises and JSON ask for these; a stream would look like one of theirs.
    if (typeof name === 'symbol' || name === 'then' || name === 'toJSON') return undefined
    return names.stream(name)
  },
  has: (_names, name) => typeof name === 'string',
  ownKeys: () => [],
  set: () => false,
}

export function streamsOf(scope: Scope): Streams {
  return new Proxy(new Names(scope), handler) as unknown as Streams
}

function unmarked(data: unknown): unknown {
  if (typeof data !== 'object' || data === null || !('__motia' in data)) return data
  const { __motia: _, ...rest } = data as Record<string, unknown>
  return rest
}
