import type { ApiRouteConfig, Handlers } from '@motia/core'
import type { Order } from '../services/pet-store'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'GetOrder',
  description: 'Shows an order as it stands now',
  method: 'GET',
  path: '/orders/:id',
  emits: [],
  flows: ['pet-store'],
}

export const handler: Handlers['GetOrder'] = async (req, { state }) => {
  const order = await state.get<Order>('orders', req.pathParams.id)
  if (!order) return { status: 404, body: { error: `there is no order ${req.pathParams.id}` } }
  return { status: 200, body: order }
}
