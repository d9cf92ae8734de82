"""From what a runner read of a file to a Step or Stream, or to what is wrong with it.

Every spelling that a step file may have is accepted here and comes out in one form; after this
module nobody asks which one the author chose.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from stepweave.steps import infrastructure, keys, patterns, schedule, schemas, wording
from stepweave.steps.file_fields import takes_files
from stepweave.steps.model import (
    CatchUp,
    Defaults,
    Emit,
    Found,
    Kind,
    Problem,
    QueryParam,
    Step,
    Stream,
)
from stepweave.steps.routes import METHODS
from stepweave.steps.section import Notes, Section

__all__ = ["Parsed", "parse"]

OWN_PAGES = "/_stepweave"
VALIDATE = "write 'check', or 'parse' to get what the schemas make of the input"
STEP_KINDS = tuple(kind.value for kind in Kind)


class Parsed(NamedTuple):
    """The step or stream of a file, None if an error keeps it from running, and all problems."""

    item: Step | Stream | None
    problems: tuple[Problem, ...]


def parse(
    found: Found,
    raw: Any,
    exports: Collection[str] | None = None,
    *,
    source: str | None = None,
    revision: int = 1,
    warnings: Sequence[str] = (),
    defaults: Defaults | None = None,
) -> Parsed:
    """The checked form of a config. Never raises, whatever the file held.

    `raw` is the config as plain data, None if there was none. `exports` names what else the file
    has (handler, canAccess, middleware); None means that this is not known and not checked.
    `source` is the file's text, with which problems get a line and a code frame. `warnings` are
    what the runner had to say when it loaded the file. `defaults` are the project's settings.
    """
    notes = Notes(found, source)
    for text in warnings:
        notes.add("warning", "load_warning", text)
    item: Step | Stream | None = None
    kind = _kind(notes, raw)
    if kind is not None:
        config = Section(notes, raw, keys.KEYS[kind], kind=kind)
        config.values["type"] = kind.value
        parser = _Parser(notes, config, kind, exports, revision, defaults or Defaults())
        item = parser.stream() if kind is Kind.STREAM else parser.step()
    return Parsed(None if notes.failed else item, tuple(notes.problems))


def _kind(notes: Notes, raw: Any) -> Kind | None:
    """What the config is for; an error is noted when that cannot be told."""
    if raw is None:
        notes.add("error", "no_config", "the file has no config", hint="export one")
        return None
    if not isinstance(raw, Mapping):
        message = f"the config is {wording.a(raw)}, not an object"
        notes.add("error", "wrong_type", message, hint="export an object with type and name")
        return None
    value = raw.get("type")
    if notes.found.what == "stream":
        if value in (None, "stream"):
            return Kind.STREAM
        message = f'the type of a stream is "stream", not {wording.quote(value)}'
        hint = "take type out, or give the file a .step name"
        notes.add("error", "unknown_kind", message, key="type", hint=hint)
        return None
    if value is None:
        guess = _guess(raw)
        hint = f"write type: '{guess}'" if guess else f"write {_kinds()}"
        notes.add("error", "missing_key", "type is missing from the config", key="type", hint=hint)
        return None
    folded = value.strip().lower() if isinstance(value, str) else value
    if folded in STEP_KINDS:
        return Kind(folded)
    meant = wording.closest(value, STEP_KINDS) if isinstance(value, str) else None
    hint = f"did you mean '{meant}'?" if meant else f"write {_kinds()}"
    message = f"type is {wording.quote(value)}, which is no kind of step"
    notes.add("error", "unknown_kind", message, key="type", hint=hint)
    return None


def _guess(raw: Mapping[Any, Any]) -> str | None:
    """The kind that a config without type was probably meant for."""
    for kind, sign in (("event", "subscribes"), ("cron", "cron"), ("api", "method")):
        if sign in raw:
            return kind
    return "api" if "path" in raw else None


def _kinds() -> str:
    return wording.listing(f"'{kind}'" for kind in STEP_KINDS)


class _Parser:
    """Reads one config whose kind is known."""

    def __init__(
        self,
        notes: Notes,
        config: Section,
        kind: Kind,
        exports: Collection[str] | None,
        revision: int,
        defaults: Defaults,
    ) -> None:
        self.notes = notes
        self.found = notes.found
        self.config = config
        self.kind = kind
        self.exports = exports
        self.revision = revision
        self.defaults = defaults

    def step(self) -> Step:
        """The step; where an error was noted its fields are only half true."""
        config = self.config
        fields: dict[str, Any] = {
            "name": config.text("name", required=True) or "",
            "description": self.description(),
            "flows": config.texts("flows"),
            "virtual_emits": self.emits("virtualEmits"),
            "virtual_subscribes": config.texts("virtualSubscribes"),
        }
        if self.kind is not Kind.NOOP:
            fields["emits"] = self.emits("emits")
            fields["include_files"] = config.texts("includeFiles")
            fields["infrastructure"] = infrastructure.read(config, self.kind, self.defaults)
            fields["has_middleware"] = self.exported("middleware")
            config.values.pop("middleware", None)
            self.handler()
        if self.kind is Kind.API:
            fields |= self.api()
        elif self.kind is Kind.EVENT:
            fields["subscribes"] = self.subscribes()
            fields["atomic"] = config.boolean("atomic") or False
            fields["input"] = schemas.one(config, "input", required=False)
            fields["parses"] = self.parses()
        elif self.kind is Kind.CRON:
            fields |= self.cron()
        return Step(
            kind=self.kind,
            language=self.found.language,
            path=self.found.path,
            relpath=self.found.relpath,
            config=config.values,
            revision=self.revision,
            **fields,
        )

    def stream(self) -> Stream:
        """The stream; where an error was noted its fields are only half true."""
        config = self.config
        schema = schemas.one(config, "schema", required=True)
        if not config.has("schema"):
            config.note(
                "warning",
                "missing_key",
                "schema is missing from the config, so items may be anything",
                "schema",
                "say what an item is, such as {text: 'string'}",
            )
        base = config.section("baseConfig")
        if base is not None and base.text("storageType") not in (None, "default"):
            config.note(
                "warning",
                "no_effect",
                "baseConfig asks for storage of its own, which has no effect",
                "baseConfig",
                "items are kept by Stepweave; write {storageType: 'default'}",
            )
        config.values.pop("canAccess", None)
        return Stream(
            name=config.text("name", required=True) or "",
            language=self.found.language,
            path=self.found.path,
            relpath=self.found.relpath,
            config=config.values,
            revision=self.revision,
            description=self.description(),
            flows=config.texts("flows"),
            schema=schema,
            has_access_check=self.exported("canAccess"),
        )

    def api(self) -> dict[str, Any]:
        body = schemas.one(self.config, "bodySchema", required=True)
        return {
            "method": self.method(),
            "route": self.route(),
            "query_params": self.query_params(),
            "body": body,
            "takes_files": body is not None and takes_files(body.schema),
            "query": schemas.one(self.config, "querySchema", required=True),
            "params": schemas.one(self.config, "paramsSchema", required=True),
            "parses": self.parses(),
            "responses": schemas.by_status(self.config, "responseSchema"),
        }

    def method(self) -> str | None:
        listed = wording.listing(METHODS)
        method = self.config.text("method", required=True, hint=f"write {listed}")
        if method is None:
            return None
        method = method.strip().upper()
        if method not in METHODS:
            written = wording.quote(self.config.values["method"])
            message = f"method is {written}, which no route can have"
            self.config.error("bad_method", message, "method", f"write {listed}")
            return None
        self.config.values["method"] = method
        return method

    def route(self) -> str | None:
        path = self.config.text("path", required=True, hint="write one such as '/orders/:id'")
        if path is None:
            return None
        try:
            patterns.compile(path)
        except patterns.PatternError as error:
            self.config.error("bad_path", f"path {error}", "path", error.hint)
            return None
        if path.startswith(OWN_PAGES):
            message = f'path "{path}" can never be reached: Stepweave\'s own pages are there'
            self.config.error("bad_path", message, "path", f"choose one outside of {OWN_PAGES}")
            return None
        return path

    def parses(self) -> bool:
        how = self.config.text("validate", hint=VALIDATE)
        if how not in (None, "check", "parse"):
            written = wording.quote(how)
            self.config.error("bad_value", f"validate is {written}", "validate", VALIDATE)
        return self.defaults.parses if how is None else how == "parse"

    def query_params(self) -> tuple[QueryParam, ...]:
        key = "queryParams"
        items = self.config.values.get(key)
        if items is None:
            return ()
        if not isinstance(items, list):
            self.config.wrong(key, "a list", "write [{name: 'page', description: '…'}]")
            return ()
        params = []
        for index, item in enumerate(items):
            if isinstance(item, str):
                item = {"name": item}
            if not isinstance(item, Mapping):
                message = f"{key}[{index}] is {wording.a(item)}, not an object with a name"
                self.config.error("wrong_type", message, key)
                continue
            param = self.config.item(key, index, item)
            name = param.text("name", required=True)
            params.append(QueryParam(name or "", param.text("description", blank=True)))
        return tuple(params)

    def subscribes(self) -> tuple[str, ...]:
        key, hint = "subscribes", "write the topics, such as ['order.created']"
        topics = self.config.texts(key, required=True, hint=hint)
        if self.config.values.get(key) == []:
            self.config.note(
                "warning", "no_topics", "subscribes is empty, so this never runs", key, hint
            )
        return topics

    def cron(self) -> dict[str, Any]:
        config = self.config
        expression = config.text("cron", required=True, hint=schedule.FORM)
        timezone = config.text("timezone")
        try:
            if timezone is not None:
                schedule.zone(timezone)
        except schedule.ScheduleError as error:
            config.error(error.code, f"timezone {error}", "timezone", error.hint)
        try:
            if expression is not None:
                schedule.Schedule(expression, "UTC")
        except schedule.ScheduleError as error:
            config.error(error.code, f"cron {error}", "cron", error.hint)
        return {
            "cron": expression,
            "timezone": timezone,
            "overlap": config.boolean("overlap") or False,
            "catch_up": self.catch_up(),
            "atomic": config.boolean("atomic") or False,
        }

    def catch_up(self) -> CatchUp:
        value = self.config.values.get("catchUp")
        if value is None or value is False:
            return "none"
        if value is True or value == "once":
            return "once"
        if value == "all":
            return "all"
        written = wording.quote(value)
        hint = "write true for one run, or 'all' for each time that was missed"
        self.config.error("bad_value", f"catchUp is {written}", "catchUp", hint)
        return "none"

    def emits(self, key: str) -> tuple[Emit, ...]:
        """The topics of a list of strings and objects, and the list in its shortest form."""
        hint = "write a list of topics, such as ['order.created']"
        items = self.config.values.get(key)
        if items is None:
            return ()
        if not isinstance(items, list):
            self.config.wrong(key, "a list", hint)
            return ()
        emits = []
        for index, item in enumerate(items):
            if isinstance(item, str):
                emits.append(Emit(item))
                if not item.strip():
                    self.config.error("bad_value", f"{key}[{index}] is empty", key, hint)
            elif isinstance(item, Mapping):
                each = self.config.item(key, index, item)
                label = each.text("label", blank=True)
                conditional = each.boolean("conditional") or False
                emits.append(Emit(each.text("topic", required=True) or "", label, conditional))
            else:
                message = f"{key}[{index}] is {wording.a(item)}, not a topic"
                self.config.error("wrong_type", message, key, hint)
        self.config.values[key] = [_emit_json(emit) for emit in emits]
        return tuple(emits)

    def description(self) -> str | None:
        return self.config.text("description", blank=True)

    def handler(self) -> None:
        if self.exports is not None and "handler" not in self.exports:
            self.notes.add(
                "error",
                "missing_handler",
                "the file has no handler",
                hint="export a function named handler",
            )

    def exported(self, name: str) -> bool:
        return self.exports is not None and name in self.exports


def _emit_json(emit: Emit) -> Any:
    if emit.label is None and not emit.conditional:
        return emit.topic
    full = {"topic": emit.topic, "label": emit.label, "conditional": emit.conditional}
    return {key: value for key, value in full.items() if value not in (None, False)}
