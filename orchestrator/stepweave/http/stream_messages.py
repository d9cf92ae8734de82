"""What WebSocket clients of the streams say: join or leave."""

from __future__ import annotations

from typing import Any

import orjson

from stepweave.engine.live.follower import Key

__all__ = ["InvalidMessage", "read_message"]


class InvalidMessage(Exception):
    """A message that makes no sense; `key` holds the names that could be read."""

    def __init__(self, text: str, *key: str | None) -> None:
        super().__init__(text)
        self.key = key or (None, None, None)


def read_message(data: bytes) -> tuple[str, Key, str]:
    """What a message says: join or leave, the room, and the client's name for the subscription.

    Raises InvalidMessage.
    """
    try:
        message: Any = orjson.loads(data)
    except ValueError as error:
        raise InvalidMessage(f"the message is not JSON: {error}") from error
    kind = message.get("type") if isinstance(message, dict) else None
    if kind not in ("join", "leave"):
        raise InvalidMessage(f'a message has the type "join" or "leave", not {_shown(kind)}')
    given = message.get("data")
    if not isinstance(given, dict):
        raise InvalidMessage(f'"{kind}" needs data: {{streamName, groupId, id?, subscriptionId}}')
    names = [given.get(name) for name in ("streamName", "groupId", "id")]
    stream, group, id = (name if isinstance(name, str) else None for name in names)
    for name, value in zip(("streamName", "groupId"), names, strict=False):
        if not isinstance(value, str):
            raise InvalidMessage(
                f'"{name}" must be a string, not {_shown(value)}', stream, group, id
            )
    if names[2] is not None and id is None:
        raise InvalidMessage(f'"id" must be a string, not {_shown(names[2])}', stream, group, id)
    subscription = given.get("subscriptionId")
    if subscription is not None and not isinstance(subscription, str):
        text = f'"subscriptionId" must be a string, not {_shown(subscription)}'
        raise InvalidMessage(text, stream, group, id)
    assert stream is not None and group is not None
    return kind, (stream, group, id), subscription or ""


def _shown(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"
