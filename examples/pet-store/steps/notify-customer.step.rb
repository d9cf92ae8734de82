# frozen_string_literal: true

require_relative "../services/receipt"

def config
  {
    type: "event",
    name: "NotifyCustomer",
    description: "Writes to the customer, whichever way the order went",
    subscribes: ["order.fulfilled", "order.rejected", "order.overdue"],
    emits: ["notification.sent"],
    flows: ["pet-store"],
    input: {id: "string", email: "string", petName: "string", status: "string"}
  }
end

def handler(order, context)
  logger = context[:logger]
  emit = context[:emit]
  state = context[:state]

  begin
    subject, text = Receipt.message(order)

    # The fake post office: the letter is kept with the order. It has its own place there, so a
    # second delivery of the same event writes the same letter again, not another one.
    letter = {subject: subject, text: text, sentAt: Time.now.utc}
    state.update("orders", order[:id], [{op: "set", path: ["letters", order[:status]], value: letter}])

    emit.call(topic: "notification.sent", data: {orderId: order[:id], subject: subject})
    logger.info("Customer notified", orderId: order[:id], to: Receipt.mask(order[:email]))
  rescue => error
    # Log what only this place knows, then raise: the event is delivered again.
    logger.error("Notification failed", orderId: order[:id], error: error.message)
    raise
  end
end
