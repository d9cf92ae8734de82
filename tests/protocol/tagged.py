"""The tagged values of protocol/vectors, read into Python values."""

from __future__ import annotations

import json
from typing import Any

from stepweave import files


def read(name: str) -> dict[str, list[dict[str, Any]]]:
    """One file of vectors."""
    data: dict[str, list[dict[str, Any]]] = json.loads(
        files.path("protocol", "vectors", name).read_text()
    )
    return data


def value(tagged: dict[str, Any]) -> Any:
    """The value that a tagged one stands for."""
    ((tag, content),) = tagged.items()
    if tag == "array":
        return [value(item) for item in content]
    if tag == "map":
        return {value(key): value(item) for key, item in content}
    if tag == "bin":
        return bytes.fromhex(content)
    return {"int": int, "float": float}.get(tag, lambda same: same)(content)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in kind, too: 1 is neither 1.0 nor True; tuples are lists."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other
