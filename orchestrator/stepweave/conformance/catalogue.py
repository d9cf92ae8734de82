"""The catalogue of messages (protocol/messages.yaml) and the tables of SPEC.md made from it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stepweave import files

__all__ = ["Catalogue", "Field", "Message", "load", "main", "write_tables"]

_ARROWS = {
    "orchestrator-to-runner": ("→", "orchestrator → runner"),
    "runner-to-orchestrator": ("←", "runner → orchestrator"),
    "both": ("↔", "both ways"),
}
_BLOCK = re.compile(
    r"(?P<open><!-- (?P<what>table|message): (?P<name>[\w.]+) -->\n).*?(?P<close><!-- end -->)",
    re.DOTALL,
)
_HEADING = re.compile(r"^### (\d+\.\d+) `([\w.]+)`$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of params or of a result that is a map."""

    name: str
    type: str
    about: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Message:
    """One method. `result` is one field without a name, or a map's fields, or empty."""

    name: str
    direction: str
    kind: str
    since: int
    capability: str | None
    params: tuple[Field, ...]
    result: tuple[Field, ...]
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All of messages.yaml."""

    protocol: int
    types: Mapping[str, str]
    capabilities: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, Mapping[str, Any]]
    messages: Mapping[str, Message]


def load(path: Path | None = None) -> Catalogue:
    """Read the catalogue; the one that ships with Stepweave if no path is given."""
    source = path or files.path("protocol", "messages.yaml")
    data = yaml.safe_load(source.read_text(encoding="utf-8"))
    return Catalogue(
        protocol=data["protocol"],
        types=data["types"],
        capabilities=data["capabilities"],
        errors=data["errors"],
        messages={name: _message(name, entry) for name, entry in data["messages"].items()},
    )


def _message(name: str, entry: Mapping[str, Any]) -> Message:
    result = entry.get("result")
    if result is None:
        fields: tuple[Field, ...] = ()
    elif isinstance(result.get("type"), str):
        fields = (Field("", result["type"], result.get("about", ""), False),)
    else:
        fields = _fields(result)
    return Message(
        name=name,
        direction=entry["direction"],
        kind=entry["kind"],
        since=entry["since"],
        capability=entry.get("capability"),
        params=_fields(entry["params"]),
        result=fields,
        errors=tuple(entry.get("errors", ())),
    )


def _fields(entries: Mapping[str, Mapping[str, str]]) -> tuple[Field, ...]:
    return tuple(
        Field(name.removesuffix("?"), entry["type"], entry.get("about", ""), name.endswith("?"))
        for name, entry in entries.items()
    )


def write_tables(spec: str, catalogue: Catalogue) -> str:
    """The text of SPEC.md with everything between its markers written anew.

    Raises KeyError for a marker that names nothing in the catalogue.
    """
    sections = {name: number for number, name in _HEADING.findall(spec)}

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if match["what"] == "message":
            body = _message_block(catalogue.messages[name])
        elif name == "messages":
            body = _messages_table(catalogue, sections)
        elif name == "errors":
            rows = [
                (f"`{code}`", entry["side"], entry["about"])
                for code, entry in catalogue.errors.items()
            ]
            body = _table(("code", "said by", "when"), rows)
        elif name == "capabilities":
            known = catalogue.capabilities.items()
            body = _table(
                ("name", "meaning"), [(f"`{key}`", entry["about"]) for key, entry in known]
            )
        else:
            raise KeyError(name)
        return f"{match['open']}{body}\n{match['close']}"

    return _BLOCK.sub(block, spec)


def _message_block(message: Message) -> str:
    parts = [f"**Direction.** {_ARROWS[message.direction][1]}, {message.kind}"]
    parts.append(_fields_block("Params", message.params, "an empty map"))
    if message.kind == "request":
        parts.append(_fields_block("Result", message.result, "nil"))
        parts.append(f"**Errors.** {_codes(message.errors)}")
    capability = f"`{message.capability}`" if message.capability else "none"
    parts.append(f"**Capability.** {capability}. **Since.** {message.since}")
    return "\n\n".join(parts)


def _fields_block(title: str, fields: Sequence[Field], empty: str) -> str:
    if not fields:
        return f"**{title}.** {empty}"
    if not fields[0].name:
        only = fields[0]
        return f"**{title}.** {_type(only.type)}{': ' + only.about if only.about else ''}"
    rows = [(_name(field), _type(field.type), field.about) for field in fields]
    return f"**{title}**\n\n{_table(('field', 'type', ''), rows)}"


def _messages_table(catalogue: Catalogue, sections: Mapping[str, str]) -> str:
    rows = []
    for message in catalogue.messages.values():
        arrow = _ARROWS[message.direction][0] + ("n" if message.kind == "notification" else "")
        rows.append(
            (
                sections[message.name],
                arrow,
                f"`{message.name}`",
                ", ".join(_name(field, plain=True) for field in message.params) or "none",
                _result(message),
                f"`{message.capability}`" if message.capability else "",
            )
        )
    return _table(("section", "", "method", "params", "result", "capability"), rows)


def _result(message: Message) -> str:
    if message.kind == "notification":
        return "(notification)"
    if message.result and not message.result[0].name:
        return _type(message.result[0].type)
    return ", ".join(_name(field, plain=True) for field in message.result)


def _name(field: Field, plain: bool = False) -> str:
    mark = "?" if field.optional else ""
    return f"{field.name}{mark}" if plain else f"`{field.name}`{mark}"


def _type(text: str) -> str:
    return text.replace("payload", "P")


def _codes(codes: Sequence[str]) -> str:
    return " ".join(f"`{code}`" for code in codes) if codes else "none"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare SPEC.md with the catalogue (exit code 1 if they differ), or write it with --write."""
    parser = argparse.ArgumentParser(
        prog="python -m stepweave.conformance.catalogue",
        description="Holds the tables of protocol/SPEC.md equal to protocol/messages.yaml.",
    )
    parser.add_argument("--write", action="store_true", help="write the tables into SPEC.md")
    options = parser.parse_args(arguments)
    path = files.path("protocol", "SPEC.md")
    before = path.read_text(encoding="utf-8")
    after = write_tables(before, load())
    if before == after:
        return 0
    if options.write:
        path.write_text(after, encoding="utf-8")
        return 0
    sys.stderr.write(f"{path}: its tables differ from messages.yaml; run this again with --write\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
