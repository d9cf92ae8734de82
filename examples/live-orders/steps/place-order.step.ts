import type { ApiRouteConfig, Handlers } from '@motia/core'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'PlaceOrder',
  description: 'Takes an order and puts it on the board',
  method: 'POST',
  path: '/orders',
  bodySchema: { dish: 'string', customer: 'string' },
  emits: ['order.placed'],
  flows: ['live-orders'],
}

export const handler: Handlers['PlaceOrder'] = async (req, { emit, logger, state, streams }) => {
  const number = await state.increment('orders', 'number')
  const now = Date.now()
  const { dish, customer } = req.body
  const order = { number, dish, customer, status: 'placed', placedAt: now, changedAt: now }

  // Whoever follows the group sees the order as soon as this is on disk.
  const placed = await streams.orders.set('today', `order-${number}`, order)
  await emit({ topic: 'order.placed', data: { id: placed.id, dish } })
  logger.info('Order placed', { number, dish })
  return { status: 201, body: placed }
}
