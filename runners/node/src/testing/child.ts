// A real runner process and the orchestrator's end of its pipes, for tests.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { FrameReader } from '../frame'
import { Writer } from '../msgpack-write'
import type { ErrorFields, Params } from '../peer'
import type { Payload } from '../payload'
import { decode, encode } from '../values'

declare const __HOME__: string
declare const __DIST__: string

export type Files = Record<string, string | Uint8Array>
/** Answers a request of the runner; a rejection with an ErrorFields becomes an error. */
export type Answer = (method: string, params: Params) => unknown

export interface Options {
  handshake?: Params | false
  env?: Record<string, string>
  answer?: Answer
  /** Run in this folder instead of a new one. */
  folder?: string
}

export interface Log {
  scope?: number
  level: string
  message: string
  fields?: unknown
  source?: string
  dropped?: number
  at: number
}

const MAX_FRAME = 16 * 1024 * 1024

/** What a runner answered instead of a result. */
export class Refused extends Error {
  readonly fields: ErrorFields

  constructor(fields: ErrorFields) {
    super(`${fields.code}: ${fields.message}`)
    this.fields = fields
  }
}

export class Child {
  readonly folder: string
  readonly logs: Log[] = []
  /** Requests of the runner, in order. */
  readonly requests: { method: string; params: Params }[] = []
  /** Kinds of all frames in order of arrival: `log`, a method, or `answer <id>`. */
  readonly order: string[] = []
  handshake: Params = {}
  stderr = ''
  answer: Answer
  exit: Promise<number | null>
  readonly process: ChildProcess
  private readonly open = new Map<
    number,
    { resolve(value: unknown): void; reject(error: unknown): void }
  >()
  private readonly waiters = new Set<() => void>()
  private lastId = 0
  private ended = false

  private constructor(options: Options, folder: string) {
    this.folder = folder
    this.answer = options.answer ?? memory()
    const { argv } = JSON.parse(readFileSync(join(__HOME__, 'runner.json'), 'utf8')) as {
      argv: string[]
    }
    const [command = '', ...args] = argv.map((part) =>
      part.replace('{interpreter}', process.execPath).replace('{dir}/dist', __DIST__),
    )
    const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
    this.process = spawn(command, args, {
      cwd: folder,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...inherited,
        STEPWEAVE_ROOT: folder,
        STEPWEAVE_CACHE: join(__DIST__, '..', 'test-cache'),
        ...options.env,
      },
    })
    const reader = new FrameReader(
      { frame: (value) => this.receive(value as unknown[]), oversize: () => {} },
      64 * 1024 * 1024,
    )
    this.process.stdout?.on('data', (chunk: Buffer) => reader.feed(chunk))
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
      this.wake()
    })
    this.process.stdin?.on('error', () => {})
    this.exit = new Promise((resolve) => {
      this.process.on('close', (code) => {
        this.ended = true
        for (const { reject } of this.open.values()) {
          reject(new Error(`the runner left with ${code}: ${this.stderr}`))
        }
        this.wake()
        resolve(code)
      })
    })
  }

  /** Writes the files into a new project, starts a runner in it and shakes hands. */
  static async start(files: Files = {}, options: Options = {}): Promise<Child> {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'stepweave-test-'))
    const child = new Child(options, folder)
    child.write(files)
    if (options.handshake !== false) {
      child.handshake = (await child.call('initialize', {
        protocol: [1, 1],
        orchestrator: { name: 'test', version: '0' },
        root: folder,
        environment: 'development',
        max_frame: MAX_FRAME,
        window: 1000,
        capabilities: {},
        ...options.handshake,
      })) as Params
    }
    return child
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  write(files: Files): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(this.path(name)), { recursive: true })
      writeFileSync(this.path(name), content)
    }
  }

  /** Sends a request and waits for its answer; throws Refused. */
  call(method: string, params: Params): Promise<unknown> {
    const id = ++this.lastId
    return new Promise((resolve, reject) => {
      this.open.set(id, { resolve, reject })
      this.send([0, id, method, params])
    })
  }

  /** The id that the last request had. */
  get id(): number {
    return this.lastId
  }

  async load(name: string, revision = 1): Promise<Params> {
    const params = { step: name, path: this.path(name), revision }
    const result = (await this.call('load', params)) as Params
    return { ...result, config: decode(result['config']) }
  }

  async event(name: string, data?: unknown, more: Params = {}): Promise<unknown> {
    const input = { topic: 'test', data: encode(data), event: 'e0' }
    return decode(await this.invoke(name, 'event', input, more))
  }

  async api(
    name: string,
    input: Params = {},
  ): Promise<{ status: number; headers: Params; body: unknown; format: unknown }> {
    const result = (await this.invoke(name, 'api', {
      method: 'POST',
      path: '/test',
      params: {},
      query: {},
      headers: {},
      body: null,
      ...input,
    })) as { status: number; headers: Params; body: unknown[] | null }
    return { ...result, body: decode(result.body), format: result.body?.[0] ?? null }
  }

  invoke(name: string, kind: string, input: unknown, more: Params = {}): Promise<unknown> {
    return this.call('invoke', {
      step: name,
      revision: 1,
      kind,
      input,
      trace: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`,
      attempt: 1,
      ...more,
    })
  }

  notify(method: string, params: Params): void {
    this.send([2, method, params])
  }

  send(frame: unknown): void {
    this.sendBytes(this.frame(frame))
  }

  /** The bytes of a frame. */
  frame(value: unknown): Buffer {
    const writer = new Writer()
    const mark = writer.begin()
    writer.value(value)
    writer.end(mark)
    return Buffer.concat(writer.take())
  }

  sendBytes(bytes: Uint8Array): void {
    this.process.stdin?.write(bytes)
  }

  /** Resolves once the condition holds; it is looked at whenever something arrives. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.ended) throw new Error(`the runner left: ${this.stderr}`)
      await new Promise<void>((resolve) => this.waiters.add(resolve))
    }
  }

  /** Ends the process and removes its project. */
  async stop(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.exit
    rmSync(this.folder, { recursive: true, force: true })
  }

  private receive(frame: unknown[]): void {
    const [kind, second, third, fourth] = frame
    if (kind === 1) this.settle(second as number, third as ErrorFields | null, fourth)
    else if (kind === 0) this.serve(second as number, third as string, fourth as Params)
    else if (second === 'log') {
      const log = third as unknown as Log
      this.order.push('log')
      this.logs.push({ ...log, ...(log.fields ? { fields: decode(log.fields) } : {}) })
    }
    this.wake()
  }

  private settle(id: number, error: ErrorFields | null, result: unknown): void {
    this.order.push(`answer ${id}`)
    const open = this.open.get(id)
    // Sent by hand, past \`call\`.
    if (open === undefined && id > this.lastId) return
    if (open === undefined) throw new Error(`request ${id} was answered twice`)
    this.open.delete(id)
    if (error === null) open.resolve(result)
    else open.reject(new Refused(error))
  }

  private serve(id: number, method: string, params: Params): void {
    this.order.push(method)
    this.requests.push({ method, params })
    Promise.resolve()
      .then(() => this.answer(method, params))
      .then(
        (result) => this.send([1, id, null, result]),
        (error: unknown) => this.send([1, id, error, null]),
      )
  }

  private wake(): void {
    const waiters = [...this.waiters]
    this.waiters.clear()
    for (const waiter of waiters) waiter()
  }
}

/** Answers as an orchestrator with its state in memory would. */
export function memory(): Answer {
  const state = new Map<string, Map<string, Payload>>()
  let events = 0
  return (method, params) => {
    const group = params['group'] as string
    const key = params['key'] as string
    const values = state.get(group) ?? new Map<string, Payload>()
    switch (method) {
      case 'emit':
        return { event: `e${++events}` }
      case 'state.get':
        return again(values.get(key))
      case 'state.set':
        if ('expect' in params && show(params['expect']) !== show(again(values.get(key)))) {
          return Promise.reject({ code: 'conflict', message: `${group}/${key} has changed` })
        }
        values.set(key, params['value'] as Payload)
        state.set(group, values)
        return null
      case 'state.delete': {
        const before = again(values.get(key))
        values.delete(key)
        return before
      }
      case 'state.list':
        return [...values]
          .sort(([one], [other]) => (one < other ? -1 : 1))
          .map(([name, value]) => [name, value])
      case 'state.clear': {
        state.delete(group)
        return values.size
      }
      case 'state.groups':
        return [...state.keys()]
      case 'stream.set':
      case 'stream.get':
        return params['data'] ?? null
      case 'stream.list':
        return []
      case 'ping':
        return {}
      default:
        return null
    }
  }
}

function again(value: unknown): unknown {
  return value ?? null
}

function show(payload: unknown): string {
  return JSON.stringify(decode(payload) ?? null)
}
