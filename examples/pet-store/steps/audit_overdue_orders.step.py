"""Looks after orders that got stuck: a scheduled step."""

from services import deadlines

config = {
    "type": "cron",
    "name": "AuditOverdueOrders",
    "description": "Every five minutes: speaks up for late orders, forgets old ones",
    "cron": "*/5 * * * *",
    "emits": ["order.overdue"],
    "flows": ["pet-store"],
}


async def handler(context):
    logger, emit, state = context["logger"], context["emit"], context["state"]
    now = deadlines.now()

    # A group is read whole: fine for a shop window, not for a million orders.
    orders = await state.get_group("orders")

    late = [order for order in orders if deadlines.is_overdue(order, now)]
    for order in late:
        logger.warning("Order is overdue", {"orderId": order["id"], "shipBy": order["shipBy"]})
        # Tell first, mark second: a crash in between repeats the event instead of losing it,
        # and the id turns the repetition into nothing.
        await emit({"topic": "order.overdue", "data": order, "id": f"overdue-{order['id']}"})
        await state.update(
            "orders", order["id"], [{"op": "set", "path": "overdueSince", "value": now}]
        )

    old = [order for order in orders if deadlines.is_forgettable(order, now)]
    for order in old:
        await state.delete("orders", order["id"])

    logger.info("Audit done", {"orders": len(orders), "late": len(late), "forgotten": len(old)})
