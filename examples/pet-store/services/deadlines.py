"""When an order is late and when it may be forgotten."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

KEEP = timedelta(days=30)


def parse(text: str) -> datetime:
    """Read an ISO 8601 time as the TypeScript steps write it (`…Z`)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(timezone.utc)


def is_overdue(order: dict[str, Any], at: datetime) -> bool:
    """Whether an order should have left by now, and nobody has been told yet."""
    return (
        order["status"] in ("placed", "priced", "waiting")
        and "overdueSince" not in order
        and parse(order["shipBy"]) < at
    )


def is_forgettable(order: dict[str, Any], at: datetime) -> bool:
    """Whether an order was settled so long ago that nobody asks for it any more."""
    return order["complete"] and parse(order["placedAt"]) < at - KEEP
