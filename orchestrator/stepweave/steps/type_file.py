"""`types.d.ts`: the handlers and streams of a project as TypeScript knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stepweave.steps import ts_types
from stepweave.steps.coercion import resolved
from stepweave.steps.file_fields import file_fields
from stepweave.steps.model import Kind, Step, Stream
from stepweave.steps.patterns import compile

__all__ = ["type_file"]

_HEAD = """\
// Made by `stepweave generate types` from the configs of this project's steps; edits are lost.
"""


def type_file(steps: Iterable[Step], streams: Iterable[Stream], core: str) -> str:
    """The text of the file; `core` is that of the types which all projects share."""
    known = sorted(steps, key=lambda step: step.name)
    events = _Events(known)
    handlers = [
        f"    {ts_types.literal(step.name)}: {_handler(step, events)}"
        for step in known
        if step.kind is not Kind.NOOP
    ]
    items = [
        f"    {ts_types.literal(stream.name)}: MotiaStream<{_item(stream)}>"
        for stream in sorted(streams, key=lambda stream: stream.name)
    ]
    return (
        f"{_HEAD}declare module '@motia/core' {{\n"
        + _interface("FlowContextStateStreams", items)
        + "\n"
        + _interface("Handlers", handlers)
        + f"}}\n\n{core}"
    )


def _interface(name: str, members: list[str]) -> str:
    inside = "\n".join(members)
    return f"  interface {name} {{\n{inside}\n  }}\n" if members else f"  interface {name} {{}}\n"


def _item(stream: Stream) -> str:
    return ts_types.of_schema(stream.schema.schema) if stream.schema is not None else "unknown"


def _handler(step: Step, events: _Events) -> str:
    emits = events.of(step)
    if step.kind is Kind.CRON:
        return f"CronHandler<{emits}>"
    if step.kind is Kind.EVENT:
        input = events.input(step)
        if step.infrastructure.queue.batch is not None:
            input = f"({input})[]"
        return f"EventHandler<{input}, {emits}>"
    parts = (_body(step), _responses(step), emits, _query(step), _params(step))
    return f"ApiRouteHandler<{', '.join(parts)}>"


def _body(step: Step) -> str:
    """Without the files of a form, which a handler finds elsewhere."""
    if step.body is None:
        return "Record<string, unknown>"
    schema = step.body.schema
    files = file_fields(schema) if step.takes_files else {}
    if not files:
        return ts_types.of_schema(schema)
    top = resolved(schema, schema)
    fields = {name: field for name, field in top["properties"].items() if name not in files}
    return ts_types.of_schema({**top, **_shared(schema), "properties": fields})


def _responses(step: Step) -> str:
    return (
        ts_types.union(
            f"ApiResponse<{status}, {ts_types.of_schema(validator.schema)}>"
            for status, validator in sorted(step.responses.items())
        )
        if step.responses
        else "unknown"
    )


def _query(step: Step) -> str:
    if step.query is None:
        return "Record<string, string | string[]>"
    return ts_types.of_schema(step.query.schema, defaults=True)


def _params(step: Step) -> str:
    """What the path names, in the types that paramsSchema gives them."""
    pattern = compile(step.route or "/")
    schema = step.params.schema if step.params is not None else {}
    top = resolved(schema, schema)
    properties = top.get("properties") if isinstance(top, Mapping) else None
    types = properties if isinstance(properties, Mapping) else {}
    always = set(pattern.params)
    for variant in pattern.variants:
        always &= {name for segment in variant for name in segment.names}
    fields: list[ts_types.Field] = []
    for name in pattern.params:
        kind = "string"
        if name in types and isinstance(types[name], Mapping):
            kind = ts_types.of_schema({**_shared(schema), **types[name]})
        fields.append((name, kind, name not in always))
    return ts_types.of_fields(fields)


def _shared(schema: Any) -> dict[str, Any]:
    """The definitions to which the parts of a schema may refer."""
    if not isinstance(schema, Mapping):
        return {}
    return {key: schema[key] for key in ("$defs", "definitions") if key in schema}


class _Events:
    """What may be emitted, by who subscribes to it."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._takers: dict[str, list[Step]] = {}
        for step in steps:
            for topic in step.subscribes:
                self._takers.setdefault(topic, []).append(step)

    def input(self, step: Step) -> str:
        """What an event step is called with."""
        return ts_types.of_schema(step.input.schema) if step.input is not None else "unknown"

    def of(self, step: Step) -> str:
        """The events that a step may emit; any if it names none."""
        topics = dict.fromkeys(emit.topic for emit in step.emits)
        if not topics:
            return "AnyEvent"
        return ts_types.union(self._event(topic) for topic in topics)

    def _event(self, topic: str) -> str:
        """An event that fits all who take it."""
        told = [self.input(step) for step in self._takers.get(topic, ())]
        types = [each for each in dict.fromkeys(told) if each != "unknown"]
        if not types:
            return f"{{ topic: {ts_types.literal(topic)}; data?: unknown }}"
        data = " & ".join(f"({each})" if " | " in each else each for each in types)
        return f"{{ topic: {ts_types.literal(topic)}; data: {data} }}"
