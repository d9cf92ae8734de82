"""Prices an order and checks the shelf: the second hop of the flow."""

from services import catalogue

config = {
    "type": "event",
    "name": "PriceOrder",
    "description": "Checks the stock and works out what the order costs",
    "subscribes": ["order.created"],
    "emits": [
        "order.priced",
        {"topic": "order.rejected", "label": "sold out", "conditional": True},
    ],
    "flows": ["pet-store"],
    "input": {"id": "string", "product": "string", "quantity": "number"},
}


async def handler(order, context):
    logger, emit, state = context["logger"], context["emit"], context["state"]

    try:
        quote = catalogue.quote(order["product"], order["quantity"])
    except catalogue.NotAvailable as error:
        # Trying again would not help, so this is an outcome with a topic of its own.
        # Any other exception is left alone: the event is then delivered again, a little later.
        logger.warning("Order rejected", {"orderId": order["id"], "reason": str(error)})
        outcome = {"status": "rejected", "reason": str(error), "complete": True}
        rejected = await state.update("orders", order["id"], [{"op": "merge", "value": outcome}])
        await emit({"topic": "order.rejected", "data": rejected})
        return

    outcome = {
        "status": "priced",
        "productName": quote.product_name,
        "unitCents": quote.unit_cents,
        "discountCents": quote.discount_cents,
        "totalCents": quote.total_cents,
    }
    # Merges the fields into the stored order and returns the whole of it.
    priced = await state.update("orders", order["id"], [{"op": "merge", "value": outcome}])
    await emit({"topic": "order.priced", "data": priced})
    logger.info("Order priced", {"orderId": order["id"], "totalCents": quote.total_cents})
