const { VanIsFull, ship } = require('../services/warehouse')

exports.config = {
  type: 'event',
  name: 'FulfillOrder',
  description: 'Hands the order to the warehouse',
  subscribes: ['order.priced'],
  emits: ['order.fulfilled'],
  flows: ['pet-store'],
  input: { id: 'string', quantity: 'number', totalCents: 'number' },
  // Tried seven times within about a minute, then the event waits among the dead letters.
  infrastructure: { queue: { maxRetries: 6 } },
}

exports.handler = async (order, { logger, emit, state }) => {
  try {
    // Events arrive at least once: after a crash this one may come again. Never ship twice …
    let current = await state.get('orders', order.id)
    if (!current.tracking) {
      const shipment = await ship(order)
      current = await state.update('orders', order.id, [
        { op: 'merge', value: { status: 'fulfilled', complete: true, ...shipment } },
      ])
    }

    // … and always tell. The id makes the event unique, so telling twice is telling once.
    await emit({ topic: 'order.fulfilled', data: current, id: `fulfilled-${order.id}` })
    logger.info('Order shipped', { orderId: order.id, tracking: current.tracking })
  } catch (error) {
    if (!(error instanceof VanIsFull)) throw error
    // It stays here until the next van; AuditOverdueOrders watches how long that takes.
    await state.update('orders', order.id, [{ op: 'set', path: 'status', value: 'waiting' }])
    logger.warn('Order waits for the next van', { orderId: order.id, reason: error.message })
  }
}
