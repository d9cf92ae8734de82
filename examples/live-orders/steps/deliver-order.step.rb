# frozen_string_literal: true

PACE = Float(ENV.fetch("LIVE_ORDERS_PACE", "1"))

def config
  {
    type: "event",
    name: "DeliverOrder",
    description: "Rides to the customer; there are four riders",
    subscribes: ["order.cooked"],
    flows: ["live-orders"],
    input: {id: "string", dish: "string"},
    infrastructure: {queue: {concurrency: 4}}
  }
end

def handler(order, context)
  orders = context.streams.orders

  orders.update("today", order[:id], [moved_to("riding")])
  sleep(rand(2.0..5.0) * PACE)
  delivered = orders.update("today", order[:id], [moved_to("delivered")])

  # An event of our own: it is sent to those who follow now, and kept nowhere.
  seconds = (delivered["changedAt"] - delivered["placedAt"]) / 1000.0
  orders.send({groupId: "today"}, {type: "delivered", data: {**delivered.slice("number", "dish", "customer"), seconds: seconds}})
  context.logger.info("Order delivered", order: order[:id], seconds: seconds)
end

def moved_to(status)
  {op: "merge", value: {status: status, changedAt: (Time.now.to_f * 1000).to_i}}
end
