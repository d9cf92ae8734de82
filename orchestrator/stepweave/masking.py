"""JSON made fit to be logged: values under a secret's key masked, over-long parts cut."""

from __future__ import annotations

import functools
import itertools
import re
from typing import Any

import orjson

__all__ = ["MASK", "cut", "is_secret", "mask", "shorten"]

MASK = "[masked]"

# Bytes one of which a document must contain, in lower case, before it can hold a secret's key.
_PASS, _PWD, _SECRET, _TOKEN = b"pass", b"pwd", b"secret", b"token"
_AUTH, _KEY, _COOKIE, _CREDENTIAL = b"authoriz", b"key", b"cookie", b"credential"

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ENDINGS = ("password", "passwd", "secret", "token", "apikey", "cookie", "authorization")
_ALONE = frozenset(
    {"pwd", "passphrase", "passwords", "secrets", "cookies", "credential", "credentials"}
)
_KEYS = frozenset(
    {"api", "private", "access", "signing", "encryption", "client", "account", "auth"}
)

_STRING_LIMIT = 4096  # characters
_ITEMS_LIMIT = 100


def mask(fields: bytes) -> bytes:
    """The JSON document with values hidden whose key looks like a secret, at any depth.

    Numbers under a token key stay (`maxToken: 512` counts something), as do null and booleans.
    """
    low = fields.lower()
    if not (
        _PASS in low
        or _TOKEN in low
        or _KEY in low
        or _SECRET in low
        or _AUTH in low
        or _COOKIE in low
        or _PWD in low
        or _CREDENTIAL in low
    ):
        return fields
    try:
        return orjson.dumps(_masked(orjson.loads(fields)))
    except (orjson.JSONDecodeError, RecursionError):
        return orjson.dumps(
            {"unreadable": f"{len(fields)} bytes that are no JSON, or nested too deep"}
        )


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: MASK if is_secret(key) and _hides(key, inner) else _masked(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner) for inner in value]
    return value


@functools.lru_cache(4096)
def is_secret(key: str) -> bool:
    """Whether a value under this key is likely one that must not be shown."""
    words = [word.lower() for word in _WORDS.findall(key)]
    if any(word in _ALONE or word.endswith(_ENDINGS) for word in words):
        return True
    return any(last == "key" and first in _KEYS for first, last in itertools.pairwise(words))


def _hides(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool) or value == "":
        return False
    return not (isinstance(value, int | float) and "token" in key.lower())


# --- size


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters of the text, and a note of how many more there were."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit} more characters)"


def cut(fields: bytes, limit: int) -> bytes:
    """The document with long strings and lists cut; its beginning as text if that is not enough."""
    try:
        short = orjson.dumps(_shortened(orjson.loads(fields)))
    except (orjson.JSONDecodeError, RecursionError):
        short = fields
    if len(short) <= limit:
        return short
    start = fields[:_STRING_LIMIT].decode(errors="replace")
    return orjson.dumps({"cut": f"{start}… ({len(fields)} bytes in all)"})


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return shorten(value, _STRING_LIMIT)
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        kept = [_shortened(inner) for inner in value[:_ITEMS_LIMIT]]
        more = len(value) - len(kept)
        return [*kept, f"… ({more} more)"] if more else kept
    return value
