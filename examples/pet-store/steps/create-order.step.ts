import { z } from 'zod'
import type { ApiRouteConfig, Handlers } from '@motia/core'
import { newOrder, type Pet } from '../services/pet-store'

export const config: ApiRouteConfig = {
  type: 'api',
  name: 'CreateOrder',
  description: 'Takes an order of food for a pet and starts the flow',
  method: 'POST',
  path: '/orders',
  bodySchema: z.object({
    petId: z.string(),
    product: z.string(),
    quantity: z.number().int().min(1).max(100),
    email: z.email(),
    shipBy: z.iso.datetime().optional(),
  }),
  responseSchema: {
    201: z.object({ id: z.string(), status: z.literal('placed'), traceId: z.string() }),
    404: z.object({ error: z.string() }),
  },
  emits: ['order.created'],
  flows: ['pet-store'],
}

export const handler: Handlers['CreateOrder'] = async (req, { logger, emit, state, traceId }) => {
  const pet = await state.get<Pet>('pets', req.body.petId)
  if (!pet) {
    // An expected outcome is an answer, not an exception.
    logger.warn('Order for an unknown pet', { petId: req.body.petId })
    const error = `there is no pet ${req.body.petId}; create it with POST /pets`
    return { status: 404, body: { error } }
  }

  const order = newOrder(req.body, pet.name)
  await state.set('orders', order.id, order)

  // The answer does not wait for the rest of the flow. Once emit returns, the event is on disk:
  // it reaches PriceOrder even if the whole system is killed right here.
  await emit({ topic: 'order.created', data: order })

  logger.info('Order placed', { orderId: order.id, product: order.product })
  return { status: 201, body: { id: order.id, status: 'placed', traceId } }
}
