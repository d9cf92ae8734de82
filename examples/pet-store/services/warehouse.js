// The built-in fake warehouse: one van, no network.
'use strict'

const VAN_CAPACITY = 20

/** Thrown when an order does not fit into today's van. Anything else thrown here is a real fault. */
class VanIsFull extends Error {
  constructor(quantity) {
    super(`${quantity} pieces do not fit into the van, which holds ${VAN_CAPACITY}`)
    this.name = 'VanIsFull'
  }
}

/** Resolves with the shipment: { tracking, shippedAt }. The same order always gets the same number. */
async function ship(order) {
  if (order.quantity > VAN_CAPACITY) throw new VanIsFull(order.quantity)
  const tracking = `SW-${order.id.slice(0, 8).toUpperCase()}`
  return { tracking, shippedAt: new Date().toISOString() }
}

module.exports = { VanIsFull, ship }
