"""The kitchen: three cooks, so the fourth order waits on the board."""

import asyncio
import os
import random
import time

PACE = float(os.environ.get("LIVE_ORDERS_PACE", "1"))
"""How long everything takes, 1 being a relaxed demonstration."""

config = {
    "type": "event",
    "name": "CookOrder",
    "description": "Cooks one order and hands it to a rider",
    "subscribes": ["order.placed"],
    "emits": ["order.cooked"],
    "flows": ["live-orders"],
    "input": {"id": "string", "dish": "string"},
    "infrastructure": {"queue": {"concurrency": 3}},
}


async def handler(order, context):
    orders = context.streams.orders

    await orders.update("today", order["id"], [moved_to("cooking")])
    await asyncio.sleep(random.uniform(2, 4) * PACE)
    await context.emit({"topic": "order.cooked", "data": order})
    context.logger.info("Order cooked", {"order": order["id"], "dish": order["dish"]})


def moved_to(status):
    return {"op": "merge", "value": {"status": status, "changedAt": int(time.time() * 1000)}}
