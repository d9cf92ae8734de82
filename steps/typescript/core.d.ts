/**
 * What step files import from 'motia', '@motia/core', '@motiadev/core' or 'stepweave'. No package
 * of these names has to be installed: the Node runner supplies them, and this file their types.
 *
 * A project's generated `types.d.ts` adds the members of `Handlers` and `FlowContextStateStreams`.
 */
declare module '@motia/core' {
  // ── Configs ────────────────────────────────────────────────────────────────────────────────

  /** Any way to describe data: a zod or other standard schema, JSON Schema, or shorthand. */
  export type Schema = object | string | boolean | null

  /**
   * A topic in a config, alone or with what the flow shows on its edge.
   *
   * @example emits: ['order.created', { topic: 'order.refused', conditional: true }]
   */
  export type Emit = string | { topic: string; label?: string; conditional?: boolean }

  export type ApiRouteMethod = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH' | 'OPTIONS' | 'HEAD'

  export interface QueryParam {
    name: string
    description?: string
  }

  export interface QueueConfig {
    /** `fifo` keeps the order of events with one `messageGroupId`. */
    type?: 'standard' | 'fifo'
    /** Tries after the first one; 3. */
    maxRetries?: number
    /** Seconds, more than the handler's timeout; 900. */
    visibilityTimeout?: number
    /** Seconds before the first delivery, 0 to 900. */
    delaySeconds?: number
    /** Calls of this step at once. */
    concurrency?: number
    /** Higher goes first, -1000 to 1000; an event may bring its own. 0. */
    priority?: number
    /** Limits for all events together, or for each value found at `key`, a path into the data. */
    throttle?: { key?: string; concurrency?: number; limit?: number; perSeconds?: number }
    /** The handler takes a list of up to `size` events, the first after `waitMs` at the latest. */
    batch?: number | { size: number; waitMs?: number }
    /** What a fifo group does when one of its events failed for good: `wait`. */
    onDeadLetter?: 'wait' | 'continue'
    /** How long a failed event waits: 1 s, doubled each time up to 300 s. */
    backoff?:
      | 'exponential'
      | 'fixed'
      | {
          type?: 'exponential' | 'fixed'
          baseSeconds?: number
          maxSeconds?: number
          factor?: number
          jitter?: boolean
        }
  }

  export interface HandlerConfig {
    /** MB, 128 to 10240, for a deployment. */
    ram?: number
    /** vCPUs, for a deployment. */
    cpu?: number
    /** Seconds, 1 to 900; 60 for API steps, 300 for others. */
    timeout?: number
    /** Run in a child process of its own. */
    isolate?: boolean
  }

  export interface InfrastructureConfig {
    handler?: HandlerConfig
    queue?: QueueConfig
  }

  interface BaseConfig {
    name: string
    description?: string
    /** The flows in which the step is drawn. */
    flows?: string[]
  }

  interface RunConfig extends BaseConfig {
    /** Topics that the handler emits. An empty list, or none, allows any. */
    emits?: Emit[]
    /** Topics that are only drawn. */
    virtualEmits?: Emit[]
    virtualSubscribes?: string[]
    /** Globs, relative to the step file, of files that `build` adds. */
    includeFiles?: string[]
    infrastructure?: InfrastructureConfig
  }

  /**
   * @example
   * export const config: ApiRouteConfig = {
   *   type: 'api',
   *   name: 'CreateOrder',
   *   method: 'POST',
   *   path: '/orders',
   *   bodySchema: z.object({ productId: z.string() }),
   *   emits: ['order.created'],
   * }
   */
  export interface ApiRouteConfig extends RunConfig {
    type: 'api'
    method: ApiRouteMethod
    /** An Express 4 pattern such as `/orders/:id`. */
    path: string
    queryParams?: QueryParam[]
    /** What the query parameters must be; texts are read as the types that it names. */
    querySchema?: Schema
    /** What the path parameters must be; texts are read as the types that it names. */
    paramsSchema?: Schema
    /** `parse` hands the handler what the schemas make of a request: defaults, transforms. */
    validate?: 'check' | 'parse'
    /** What the request body must be; anything else is answered with 400. */
    bodySchema?: Schema
    /** Schemas of the answers by status; checked in development. */
    responseSchema?: Record<number | string, Schema>
    /** Around the handler, outermost first. */
    middleware?: ApiMiddleware<any, any, any>[]
  }

  /** @example { type: 'event', name: 'Pay', subscribes: ['order.created'], input: { id: 'string' } } */
  export interface EventConfig extends RunConfig {
    type: 'event'
    subscribes: string[]
    /** What the event's data should be. */
    input?: Schema
    /** `parse` hands the handler what the schema makes of the data: defaults, transforms. */
    validate?: 'check' | 'parse'
    /** State, streams and events take effect together with the handler's success, or not at all. */
    atomic?: boolean
  }

  /** @example { type: 'cron', name: 'Audit', cron: '0 9 * * 1', timezone: 'Europe/Berlin' } */
  export interface CronConfig extends RunConfig {
    type: 'cron'
    /** Five fields, six with seconds first, or a name such as `@daily`. */
    cron: string
    /** An IANA name; the server's time zone unless given. */
    timezone?: string
    /** Start even while the last run goes on. */
    overlap?: boolean
    /** Times missed while nothing ran: `true` makes them up with one run, `'all'` with one each. */
    catchUp?: boolean | 'once' | 'all'
    /** State, streams and events take effect together with the handler's success, or not at all. */
    atomic?: boolean
  }

  /** A node that is only drawn. */
  export interface NoopConfig extends BaseConfig {
    type: 'noop'
    virtualEmits?: Emit[]
    virtualSubscribes?: string[]
  }

  /** Who asks to follow a stream: a whole group, or one item of it. */
  export interface StreamSubscription {
    groupId: string
    id?: string
  }

  /** What `authenticate` gave for a connection; the project's types add its members. */
  export interface StreamAuthContext {}

  /** @example { name: 'chat', schema: { text: 'string', 'from?': 'string' } } */
  export interface StreamConfig {
    type?: 'stream'
    name: string
    description?: string
    flows?: string[]
    schema?: Schema
    baseConfig?: { storageType: 'default' } | { storageType: 'custom'; factory: () => unknown }
    /** Whether a client may follow. Without it everybody may. */
    canAccess?(subscription: StreamSubscription, authContext: any): boolean | Promise<boolean>
  }

  export type StepConfig = ApiRouteConfig | EventConfig | CronConfig | NoopConfig

  // ── Handlers ───────────────────────────────────────────────────────────────────────────────

  /**
   * The handler types of this project's steps by name, generated into `types.d.ts`.
   *
   * @example export const handler: Handlers['CreateOrder'] = async (req, { emit }) => { … }
   */
  export interface Handlers {}

  /** The streams of this project by name, generated into `types.d.ts`. */
  export interface FlowContextStateStreams {}

  type Texts = Record<string, string>
  type Query = Record<string, string | string[]>

  /** `TQuery` and `TParams` are what a `querySchema` and a `paramsSchema` make of the texts. */
  export interface ApiRequest<TBody = unknown, TQuery = Query, TParams = Texts> {
    /** The decoded body; `{}` if there is none. */
    body: TBody
    /** The body's text as it came, for signatures. */
    readonly rawBody: string
    /** Names in lower case. */
    headers: Record<string, string | string[]>
    pathParams: TParams
    queryParams: TQuery
    method: string
    path: string
    /** The target as it was sent: path and query. */
    url: string
    /** The client's address; with `trusted_proxies` the one that a proxy tells. */
    ip: string | undefined
    cookies: Texts
    /** Of a form (`multipart/form-data`), in order; `files.avatar` is the first one of that field. */
    files: UploadedFile[] & Record<string, UploadedFile>
  }

  export interface UploadedFile {
    /** The name of the form's field. */
    readonly field: string
    /** The file's name as the client calls it, without folders. */
    readonly name: string
    /** Its type as the client calls it. */
    readonly type: string
    /** In bytes. */
    readonly size: number
    /** Where it is on disk until the handler has ended; null for one in memory. */
    readonly path: string | null
    /** What is in it, read from the disk if it is there. */
    readonly bytes: Uint8Array
  }

  /** Data that is not text is sent as JSON. */
  export interface ServerSentEvent {
    data?: unknown
    event?: string
    id?: string | number
    /** Milliseconds after which a client that lost its connection comes back. */
    retry?: number
  }

  /** A string or bytes go out as they are, a generator or stream in parts, anything else as JSON. */
  export type ApiResponse<TStatus extends number = number, TBody = unknown> = {
    status: TStatus
    headers?: Record<string, string | string[]>
  } & (undefined extends TBody ? { body?: TBody } : { body: TBody })

  type Result<T> = unknown extends T ? ApiResponse : T

  /**
   * @example
   * // With `validate: 'parse'`: what the schema makes of a body.
   * export const handler: ApiRouteHandler<z.output<typeof Pet>> = async ({ body }) => { … }
   */
  export type ApiRouteHandler<
    TBody = unknown,
    TResponse = unknown,
    TEmit = AnyEvent,
    TQuery = Query,
    TParams = Texts,
  > = (
    req: ApiRequest<TBody, TQuery, TParams>,
    ctx: FlowContext<TEmit>,
  ) => Result<TResponse> | Promise<Result<TResponse>>

  export type EventHandler<TInput = unknown, TEmit = AnyEvent> = (
    input: TInput,
    ctx: FlowContext<TEmit>,
  ) => unknown

  export type CronHandler<TEmit = AnyEvent> = (ctx: FlowContext<TEmit>) => unknown

  /**
   * @example
   * const timed: ApiMiddleware = async (req, { logger }, next) => {
   *   const response = await next()
   *   logger.info('answered', { status: response.status })
   *   return response
   * }
   */
  export type ApiMiddleware<TBody = unknown, TEmit = AnyEvent, TResponse = ApiResponse> = (
    req: ApiRequest<TBody>,
    ctx: FlowContext<TEmit>,
    /** Runs the rest, with another request if one is given. */
    next: (req?: ApiRequest<any>) => Promise<ApiResponse>,
  ) => TResponse | Promise<TResponse>

  /** @deprecated Use `Handlers['Name']`. */
  export type StepHandler<TConfig> = TConfig extends { type: 'api' }
    ? ApiRouteHandler<any>
    : TConfig extends { type: 'cron' }
      ? CronHandler
      : EventHandler<any>

  // ── Context ────────────────────────────────────────────────────────────────────────────────

  type Signal = typeof globalThis extends { AbortSignal: { prototype: infer T } }
    ? T
    : { readonly aborted: boolean }

  /** What every handler gets after its input. `TEmit` are the events that it may emit. */
  export interface FlowContext<TEmit = AnyEvent> {
    emit: Emitter<TEmit>
    logger: Logger
    state: InternalStateManager
    streams: FlowContextStateStreams
    /** 32 hex digits, the same through a whole flow. */
    traceId: string
    flows: string[]
    /** 1 for the first try of an event. */
    attempt: number
    /** What each item of the input is, in a step with `queue.batch`; else empty. */
    events: BatchedEvent[]
    /** Aborts when the call is cancelled; pass it to `fetch` and the like. */
    signal: Signal
    /** When the call is cancelled if it still runs; undefined if never. */
    deadline: Date | undefined
    /** Milliseconds until then, 0 when it has passed, Infinity without a deadline. */
    remainingMs(): number
    /**
     * The answer of an API step that is a stream of server-sent events.
     *
     * @example return sse(prices(signal))
     */
    sse(
      events: AsyncIterable<ServerSentEvent | string> | Iterable<ServerSentEvent | string>,
      headers?: Record<string, string | string[]>,
    ): { status: number; headers: Record<string, string | string[]>; body: any }
    /**
     * Withdraws an event by the id that `emit` gave; how many deliveries will not run now. In an
     * atomic step that is not known before its end: null.
     */
    cancelEvent(id: string): Promise<number | null>
  }

  export interface AnyEvent {
    topic: string
    data?: unknown
  }

  /** One event of several that a handler gets at once. */
  export interface BatchedEvent {
    id: string
    topic: string
    /** 1 for the first try. */
    attempt: number
  }

  export interface EmitOptions {
    /** A second event with this id is dropped. */
    id?: string
    /** Events of one group reach a fifo step in order. */
    messageGroupId?: string
    group?: string
    /** Milliseconds to wait. */
    delay?: number
    delaySeconds?: number
    /** Deliver no sooner: a Date, Unix milliseconds or ISO text. */
    at?: Date | number | string
    /** -1000 to 1000, 0 unless given: of what is due, events of a higher one go first. */
    priority?: number
  }

  /** Resolves with the event's id once it is recorded; its deliveries follow by themselves. */
  export type Emitter<TEmit = AnyEvent> = (event: TEmit & EmitOptions) => Promise<string>

  /** An Error among the fields is written with its name, message and stack. */
  export interface Logger {
    debug(message: string, fields?: unknown): void
    info(message: string, fields?: unknown): void
    warn(message: string, fields?: unknown): void
    error(message: string, fields?: unknown): void
    warning(message: string, fields?: unknown): void
    log(message: string, fields?: unknown): void
  }

  /** One change of a stored value. `path` is like 'stock.count' or ['stock', 'count']. */
  export interface UpdateOperation {
    op: 'set' | 'merge' | 'increment' | 'append' | 'remove'
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
    /** Only keys that come after this one: the `next` of the page before. */
    after?: string
    /** At most so many values. */
    limit?: number
  }

  /** Values by key. `next` is there when a page is full: what the next one begins after. */
  export type Page<T = unknown> = T[] & { readonly next?: string }

  /** Durable values by group and key; each call resolves when it is done. */
  export interface InternalStateManager {
    get<T = unknown>(group: string, key: string): Promise<T | null>
    set<T>(group: string, key: string, value: T, options?: SetOptions): Promise<T>
    /** Returns what was there, or null. */
    delete<T = unknown>(group: string, key: string): Promise<T | null>
    /** The values of a group, ordered by key; all, or a page of them. */
    getGroup<T = unknown>(group: string, options?: PageOptions): Promise<Page<T>>
    /** Returns how many values there were. */
    clear(group: string): Promise<number>
    /** Atomic; returns the new value. */
    update<T = unknown>(
      group: string,
      key: string,
      operations: UpdateOperation | UpdateOperation[],
      options?: Pick<SetOptions, 'expect'>,
    ): Promise<T>
    /** Atomic; a missing value counts as 0. */
    increment(group: string, key: string, by?: number): Promise<number>
    groups(): Promise<string[]>
    listGroups(): Promise<string[]>
    /** Whether the value was the expected one (null: none) and now is the new one. */
    compareAndSet(group: string, key: string, expected: unknown, value: unknown): Promise<boolean>
    /** The same without the group, for this trace alone. */
    readonly trace: TraceState
  }

  export interface TraceState {
    get<T = unknown>(key: string): Promise<T | null>
    set<T>(key: string, value: T, options?: SetOptions): Promise<T>
    delete<T = unknown>(key: string): Promise<T | null>
    getGroup<T = unknown>(options?: PageOptions): Promise<Page<T>>
    clear(): Promise<number>
    update<T = unknown>(key: string, operations: UpdateOperation | UpdateOperation[]): Promise<T>
    increment(key: string, by?: number): Promise<number>
    compareAndSet(key: string, expected: unknown, value: unknown): Promise<boolean>
  }

  /** An item as clients get it. */
  export type BaseStreamItem<TData = unknown> = TData & { id: string }

  /** An item with the mark by which the workbench shows it live when it is a response's body. */
  export type StreamItem<TData = unknown> = BaseStreamItem<TData> & {
    __motia?: { type: 'state-stream'; streamName: string; groupId: string; id: string }
  }

  export interface MotiaStream<TData = unknown> {
    get(group: string, id: string): Promise<StreamItem<TData> | null>
    set(group: string, id: string, data: TData): Promise<StreamItem<TData>>
    update(
      group: string,
      id: string,
      operations: UpdateOperation | UpdateOperation[],
    ): Promise<StreamItem<TData>>
    delete(group: string, id: string): Promise<StreamItem<TData> | null>
    getGroup(group: string): Promise<StreamItem<TData>[]>
    list(group: string): Promise<StreamItem<TData>[]>
    /** Sends an event that is not stored to those who follow the group, or one item of it. */
    send(
      channel: string | { groupId: string; id?: string },
      event: { type: string; data?: unknown },
    ): Promise<void>
  }

  // ── Values ─────────────────────────────────────────────────────────────────────────────────

  /** The content of `motia.config.ts`. */
  export interface Config {
    streamAuth?: {
      contextSchema?: Schema
      authenticate(request: {
        headers: Record<string, string | string[] | undefined>
        url?: string
      }): unknown
    }
    [key: string]: unknown
  }

  export function defineConfig<T extends Config>(config: T): T
  export const config: typeof defineConfig

  /** Those of the handler that runs, also in a helper that was not handed the context. */
  export const emit: Emitter
  export const cancelEvent: FlowContext['cancelEvent']
  export const logger: Logger
  export const state: InternalStateManager
  export const streams: FlowContextStateStreams
}

declare module 'motia' {
  export * from '@motia/core'
}

declare module '@motiadev/core' {
  export * from '@motia/core'
}

declare module 'stepweave' {
  export * from '@motia/core'
}
