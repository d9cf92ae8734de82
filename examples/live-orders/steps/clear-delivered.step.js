exports.config = {
  type: 'api',
  name: 'ClearDelivered',
  description: 'Takes what is delivered off the board',
  method: 'DELETE',
  path: '/orders/delivered',
  flows: ['live-orders'],
}

exports.handler = async (_req, { streams }) => {
  const orders = await streams.orders.getGroup('today')
  const delivered = orders.filter(({ status }) => status === 'delivered')
  await Promise.all(delivered.map(({ id }) => streams.orders.delete('today', id)))
  return { status: 200, body: { cleared: delivered.length } }
}
