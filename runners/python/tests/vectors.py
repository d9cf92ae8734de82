"""The protocol's vectors, read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "protocol" / "vectors"


def untag(tagged: dict[str, Any]) -> Any:
    """The value of tagged JSON such as {"int": "5"}."""
    ((kind, content),) = tagged.items()
    if kind == "array":
        return [untag(item) for item in content]
    if kind == "map":
        return {untag(key): untag(item) for key, item in content}
    simple: dict[str, Any] = {"int": int, "float": float, "bin": bytes.fromhex}
    return simple[kind](content) if kind in simple else content
