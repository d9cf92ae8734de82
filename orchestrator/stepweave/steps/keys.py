"""The keys that configs have: which kind takes which, other spellings, and common mistakes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stepweave.steps import wording
from stepweave.steps.model import Kind

__all__ = ["KEYS", "NESTED", "advice", "camel", "normalised"]

_COMMON = ("type", "name", "description", "flows")
_RUNS = ("emits", "virtualEmits", "virtualSubscribes", "includeFiles", "infrastructure")

KEYS: dict[Kind, frozenset[str]] = {
    Kind.API: frozenset(
        (
            *_COMMON,
            *_RUNS,
            "method",
            "path",
            "queryParams",
            "querySchema",
            "paramsSchema",
            "validate",
            "bodySchema",
            "responseSchema",
            "middleware",
        )
    ),
    Kind.EVENT: frozenset((*_COMMON, *_RUNS, "subscribes", "input", "validate", "atomic")),
    Kind.CRON: frozenset((*_COMMON, *_RUNS, "cron", "timezone", "overlap", "catchUp", "atomic")),
    Kind.NOOP: frozenset((*_COMMON, "virtualEmits", "virtualSubscribes")),
    Kind.STREAM: frozenset((*_COMMON, "schema", "baseConfig", "canAccess")),
}

# Keys of objects inside a config, by the path of the object.
NESTED: dict[str, frozenset[str]] = {
    "infrastructure": frozenset({"handler", "queue"}),
    "infrastructure.handler": frozenset({"ram", "cpu", "timeout", "isolate"}),
    "infrastructure.queue": frozenset(
        {
            "type",
            "maxRetries",
            "visibilityTimeout",
            "delaySeconds",
            "concurrency",
            "backoff",
            "priority",
            "throttle",
            "batch",
            "onDeadLetter",
        }
    ),
    "infrastructure.queue.throttle": frozenset({"key", "concurrency", "limit", "perSeconds"}),
    "infrastructure.queue.batch": frozenset({"size", "waitMs"}),
    "infrastructure.queue.backoff": frozenset(
        {"type", "baseSeconds", "maxSeconds", "factor", "jitter"}
    ),
    "baseConfig": frozenset({"storageType", "factory"}),
    "emits": frozenset({"topic", "label", "conditional"}),
    "virtualEmits": frozenset({"topic", "label", "conditional"}),
    "queryParams": frozenset({"name", "description"}),
}

# What people write when they mean something else; the second is a key or a sentence.
MISTAKES = {
    "body": "bodySchema",
    "emit": "emits",
    "inputSchema": "input",
    "outputSchema": "responseSchema",
    "publishes": "emits",
    "params": "paramsSchema",
    "pathParams": "paramsSchema",
    "pathSchema": "paramsSchema",
    "query": "queryParams",
    "queryParamsSchema": "querySchema",
    "response": "responseSchema",
    "route": "path",
    "schedule": "cron",
    "schema": "input",
    "subscribe": "subscribes",
    "subscriptions": "subscribes",
    "topic": "subscribes",
    "topics": "subscribes",
    "tz": "timezone",
    "url": "path",
}
MISTAKES_OF_API = {"input": "bodySchema", "schema": "bodySchema", "inputSchema": "bodySchema"}
MISTAKES_OF_NOOP = {"emits": "virtualEmits", "subscribes": "virtualSubscribes"}


def camel(name: str) -> str:
    """The camelCase form of a snake_case key; other names as they are."""
    return re.sub(r"(?<=[A-Za-z0-9])_([a-z0-9])", lambda found: found[1].upper(), name)


def normalised(
    value: Mapping[Any, Any], known: frozenset[str]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """The object with its known keys in camelCase, the keys not known, and those given twice.

    Where both spellings are there, camelCase wins.
    """
    result: dict[str, Any] = {}
    unknown, doubled = [], []
    for raw, item in value.items():
        name = str(raw)
        key = name if name in known else camel(name)
        if key not in known:
            key = name
            unknown.append(name)
        if key in result:
            doubled.append(key)
            if name != key:
                continue
        result[key] = item
    return result, unknown, doubled


def advice(key: str, known: frozenset[str], kind: Kind | None = None) -> str | None:
    """What to do about an unknown key."""
    folded = camel(key)
    if kind is not None:
        table = dict(MISTAKES)
        if kind is Kind.API:
            table |= MISTAKES_OF_API
        if kind is Kind.NOOP:
            table |= MISTAKES_OF_NOOP
        if kind is Kind.STREAM:
            table = {"input": "schema", "bodySchema": "schema"}
        meant = table.get(folded)
        if meant in known:
            return f"did you mean {meant}?"
        homes = [str(other) for other in Kind if folded in KEYS[other]]
        if homes:
            return f"it belongs to {wording.listing(homes, 'and')} steps; take it out"
    meant = wording.closest(key, known)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"known keys are {wording.listing(sorted(known), 'and')}"
