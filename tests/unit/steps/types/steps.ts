// Step files as people write them; each @ts-expect-error is a mistake that must not compile.
import { z } from 'zod'
import type {
  ApiMiddleware,
  ApiRouteConfig,
  ApiRouteHandler,
  CronConfig,
  EventConfig,
  EventHandler,
  FlowContext,
  Handlers,
  NoopConfig,
  StepHandler,
  StreamConfig,
} from '@motia/core'
import type { Handlers as SameHandlers } from 'motia'
import { defineConfig, logger as loose, state as kept } from 'stepweave'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'CreateOrder',
  method: 'POST',
  path: '/orders',
  bodySchema: z.object({ productId: z.string(), quantity: z.number() }),
  responseSchema: { 200: z.object({}), 404: { error: 'string' } },
  emits: ['order.created', { topic: 'order.refused', label: 'no stock', conditional: true }],
  flows: ['ecommerce'],
  middleware: [
    async (req, { logger }, next) => {
      logger.info('asked', { headers: req.headers })
      return next()
    },
  ],
}

export const handler: Handlers['CreateOrder'] = async (
  req,
  { logger, emit, state, traceId, signal },
) => {
  const order = { id: crypto.randomUUID(), ...req.body, createdAt: new Date() }
  await state.set('orders', order.id, order)
  await emit({ topic: 'order.created', data: order })
  await emit({ topic: 'order.created', data: order, delaySeconds: 3, id: order.id })
  // @ts-expect-error the topic is misspelled
  await emit({ topic: 'order.craeted', data: order })
  const quantity: number = req.body.quantity
  // @ts-expect-error a number is not a string
  const text: string = req.body.quantity
  logger.info(traceId, { quantity, text, aborted: signal.aborted })
  await fetch('/', { signal })
  return { status: 201, body: order }
}

export const typed: SameHandlers['Typed'] = async ({ queryParams }) => {
  if (queryParams['missing']) return { status: 404, body: { error: 'no' } }
  return { status: 201, body: { id: '1' }, headers: { 'x-kind': 'new' } }
}

// @ts-expect-error the body lacks its id
export const untyped: Handlers['Typed'] = async () => ({ status: 201, body: {} })

// @ts-expect-error there is no such step
export type Missing = Handlers['Missing']

export const older: SameHandlers['Older'] = () => ({ status: 200, body: { ok: true } })

export const pay: Handlers['Pay'] = async (order, { emit, streams }) => {
  await emit({ topic: 'payment.processed', data: { orderId: order.id ?? '' } })
  await emit({ topic: 'shipment', data: { weight: 1 }, messageGroupId: 'g' })
  // @ts-expect-error a fifo topic needs its group
  await emit({ topic: 'shipment', data: { weight: 1 } })
  const item = await streams['todo-list'].set('g', '1', { title: 'pack' })
  const id: string = item.id
  await streams['todo-list'].send({ groupId: 'g' }, { type: 'typing', data: id })
}

export const audit: Handlers['Audit'] = async ({ state }) => {
  const orders = await state.getGroup<{ id: string }>('orders')
  await state.update('totals', 'week', [{ op: 'increment', path: 'orders', value: 1 }])
  await state.trace.set('seen', orders.length)
}

export const event = {
  type: 'event',
  name: 'Pay',
  subscribes: ['order.created'],
  input: { id: 'string', 'note?': 'string' },
  infrastructure: { handler: { timeout: 30 }, queue: { type: 'fifo', backoff: 'fixed' } },
} satisfies EventConfig

export const cron: CronConfig = {
  type: 'cron',
  name: 'Audit',
  cron: '@daily',
  timezone: 'Europe/Berlin',
  overlap: true,
}

export const noop: NoopConfig = { type: 'noop', name: 'Inbox', virtualSubscribes: ['sent'] }

export const stream: StreamConfig = {
  name: 'todo-list',
  schema: z.object({ title: z.string() }),
  baseConfig: { storageType: 'default' },
  canAccess: ({ groupId }, user) => user.name === groupId,
}

// @ts-expect-error there is no path
export const pathless: ApiRouteConfig = { type: 'api', name: 'X', method: 'GET' }

// @ts-expect-error that is no method
export const fetched: ApiRouteConfig = { type: 'api', name: 'X', method: 'FETCH', path: '/' }

export const timed: ApiMiddleware = async (req, { logger }, next) => {
  const response = await next()
  logger.info('answered', { status: response.status, path: req.path })
  return { ...response, headers: { 'x-timed': 'yes' } }
}

export const deprecated: StepHandler<typeof event> = async (input, { emit }) => {
  await emit({ topic: 'anything', data: input.id })
}

export async function helper(ctx: FlowContext): Promise<number | null> {
  await ctx.emit({ topic: 'anything', data: 1 })
  loose.info('from a helper')
  return kept.get<number>('a', 'b')
}

export default defineConfig({
  streamAuth: { authenticate: ({ headers }) => ({ user: headers['x-user'] }) },
})

const Pet = z.object({
  name: z.string().trim(),
  born: z.coerce.date(),
  tags: z.array(z.string()).default([]),
})
const Page = z.object({ page: z.coerce.number().default(1) })

export const parsing: ApiRouteConfig = {
  type: 'api',
  name: 'CreatePet',
  method: 'POST',
  path: '/pets',
  validate: 'parse',
  bodySchema: Pet,
  querySchema: Page,
}

export const parsed: ApiRouteHandler<
  z.output<typeof Pet>,
  unknown,
  never,
  z.output<typeof Page>
> = async ({ body, queryParams }) => ({
  status: 201,
  body: { year: body.born.getFullYear(), tags: body.tags.length, next: queryParams.page + 1 },
})

export const parsedEvent: EventHandler<z.output<typeof Pet>> = async ({ born }) => born.getTime()

// @ts-expect-error there is no such way to validate
export const unknownWay: EventConfig = { type: 'event', name: 'On', subscribes: [], validate: 'no' }
