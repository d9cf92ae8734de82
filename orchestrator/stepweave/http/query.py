"""Query strings and forms with repeated and nested keys: a=1&a=2, pet[name]=Rex, tags[]=x."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from stepweave.errors import InvalidInput

__all__ = ["nested", "parse"]

_MOST_FIELDS = 1000
_DEEPEST = 5


def parse(
    text: str, most: int = _MOST_FIELDS, encoding: str = "utf-8", *, strict: bool = False
) -> dict[str, Any]:
    """The fields as text, a list of texts when a key repeats, or a nested object.

    Raises InvalidInput for more than `most` fields, and with `strict` for escapes that stand for
    no text in the encoding; without, such bytes become U+FFFD. Keys nested deeper than five
    levels keep the rest of their brackets as part of the last name.
    """
    if not text:
        return {}
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            encoding=encoding,
            errors="strict" if strict else "replace",
            max_num_fields=most,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the form is not {encoding.upper()}") from error
    except ValueError as error:
        raise InvalidInput(f"there are more than {most:,} fields") from error
    return nested(pairs)


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Fields with their names taken apart, as `parse` does."""
    result: dict[str, Any] = {}
    for key, value in pairs:
        if "[" in key and not key.startswith("["):
            _put(result, _names(key), value)
        else:
            _append(result, key, value)
    return {key: _tidy(value) for key, value in result.items()}


def _names(key: str) -> list[str]:
    first, *rest = key.split("[", _DEEPEST)
    return [first, *(part.removesuffix("]") for part in rest)]


def _put(holder: dict[str, Any], names: list[str], value: str) -> None:
    for name in names[:-1]:
        inner = holder.get(name)
        if not isinstance(inner, dict):
            inner = holder[name] = {} if inner is None else {"": inner}
        holder = inner
    _append(holder, names[-1], value)


def _append(holder: dict[str, Any], name: str, value: str) -> None:
    old = holder.get(name)
    if old is None:
        holder[name] = value
    elif isinstance(old, list):
        old.append(value)
    elif isinstance(old, dict):
        _append(old, "", value)
    else:
        holder[name] = [old, value]


def _tidy(value: Any) -> Any:
    """Turn `name[]=…` and `name[0]=…` into lists."""
    if not isinstance(value, dict):
        return value
    if value.keys() == {""}:
        items = value[""]
        return items if isinstance(items, list) else [_tidy(items)]
    tidy = {key: _tidy(inner) for key, inner in value.items()}
    indexes = [str(index) for index in range(len(tidy))]
    return [tidy[index] for index in indexes] if tidy.keys() == set(indexes) else tidy
