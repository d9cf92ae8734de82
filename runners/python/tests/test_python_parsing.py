"""validate: 'parse': what schema objects make of a request, and of the data of events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

import pytest

from stepweave_runner import parsing, schemas, values
from stepweave_runner.handlers import Handler
from stepweave_runner.parsing import InvalidInput, Parsing
from stepweave_runner.request import INPUTS


class ValidationError(ValueError):
    def errors(self) -> list[dict[str, Any]]:
        return [{"loc": ("n",), "msg": "Value error, must be a number"}]


class Counts:
    """Of no library; has what a pydantic model has."""

    @staticmethod
    def model_validate(value: Any) -> Any:
        try:
            return {"n": int(value["n"])}
        except ValueError:
            raise ValidationError from None


class Log:
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def log(self, level: str, message: str) -> None:
        assert level == "warn"
        self.warnings.append(message)


EVENT = {"type": "event", "input": Counts}


def run(config: Any, given: dict[str, Any], log: Log | None = None, how: Any = True) -> Any:
    """What an async handler and a plain one are called with, which is the same."""

    async def waiting(value: Any, _context: Any) -> Any:
        return value

    given = {**given, "parse": how}
    read: Callable[[Any], Any] = INPUTS[config["type"]]
    before: Any = Parsing(config).before
    plain = before(Handler(lambda value, _: value, False), log or Log(), given)
    seen = plain.call(read(given), None)
    again = asyncio.run(before(Handler(waiting, True), Log(), given).call(read(given), None))
    assert seen == again
    return seen


def data(value: Any) -> dict[str, Any]:
    return {"data": values.encode(value)}


def test_a_request_is_parsed_part_by_part() -> None:
    config = {"type": "api", "body_schema": Counts, "querySchema": Counts, "paramsSchema": {}}
    given = {"body": values.encode({"n": "1"}), "query": {"n": "2"}, "params": {"n": "3"}}

    seen = run(config, given)

    assert (seen.body, seen.query_params, seen.path_params) == ({"n": 1}, {"n": 2}, {"n": "3"})


def test_the_issues_of_all_parts_come_together() -> None:
    config = {"type": "api", "bodySchema": Counts, "querySchema": Counts}

    with pytest.raises(InvalidInput) as refused:
        run(config, {"body": values.encode({"n": "x"}), "query": {"n": "y"}})

    issues = [
        {"in": place, "path": ["n"], "message": "must be a number"} for place in ("query", "body")
    ]
    assert refused.value.to_wire()["code"] == "invalid_input"
    assert refused.value.to_wire()["data"] == {"issues": issues}


def test_the_data_of_an_event_is_parsed() -> None:
    assert run(EVENT, data({"n": "7"})) == {"n": 7}
    with pytest.raises(InvalidInput):
        run(EVENT, data({"n": "x"}))


def test_data_that_does_not_fit_may_be_handed_over_with_a_warning() -> None:
    log = Log()

    assert run(EVENT, data({"n": "x"}), log, how="warn") == {"n": "x"}
    assert log.warnings == [
        "the data does not match input and is handed over as it came: n must be a number"
    ]


def test_each_event_of_a_batch_is_parsed_and_issues_say_which() -> None:
    given = {**data([{"n": "1"}, {"n": "x"}]), "events": [{}, {}]}
    log = Log()

    with pytest.raises(InvalidInput) as refused:
        run(EVENT, given)
    assert refused.value.data["issues"][0]["path"] == [1, "n"]
    assert run(EVENT, given, log, how="warn") == [{"n": 1}, {"n": "x"}]
    assert log.warnings[0].endswith("[1].n must be a number")


def test_nothing_is_parsed_unless_it_is_asked_for() -> None:
    for how in (False, None, "anything"):
        assert run(EVENT, data({"n": "7"}), how=how) == {"n": "7"}


def test_what_a_schema_raises_by_mistake_is_no_refusal() -> None:
    with pytest.raises(KeyError):
        run(EVENT, data({}))


def test_models_and_whatever_pydantic_knows_become_objects() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Pet(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        model_config: ClassVar[Any] = {"strict": True}
        name: str
        born: date

    @dataclass
    class Owner:
        name: str
        since: date

    born = {"name": "Rex", "born": "2026-01-31"}
    since = {"name": "Ann", "since": "2026-01-31"}
    day = date(2026, 1, 31)

    assert run({"type": "event", "input": Pet}, data(born)) == Pet(name="Rex", born=day)
    assert run({"type": "event", "input": Owner}, data(since)) == Owner("Ann", day)
    for several in (list[Pet], pydantic.TypeAdapter(list[Pet])):
        assert run({"type": "event", "input": several}, data([born])) == [Pet(name="Rex", born=day)]
    with pytest.raises(InvalidInput) as refused:
        run({"type": "event", "input": list[Pet]}, data([{"name": "Rex", "born": 1}]))
    assert refused.value.data["issues"][0]["path"] == [0, "born"]


def test_bytes_reach_the_schema_as_bytes() -> None:
    pydantic = pytest.importorskip("pydantic")

    class File(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        content: bytes

    seen = run({"type": "event", "input": File}, data({"content": b"\x00\xff"}))

    assert seen.content == b"\x00\xff"


def test_structs_are_made_by_msgspec() -> None:
    msgspec = pytest.importorskip("msgspec")
    Point = msgspec.defstruct("Point", [("x", int), ("y", int, 0)])

    assert run({"type": "event", "input": Point}, data({"x": 1})) == Point(1, 0)
    with pytest.raises(InvalidInput) as refused:
        run({"type": "event", "input": Point}, data({"x": "one"}))
    assert "$.x" in refused.value.data["issues"][0]["message"]


def test_a_config_with_nothing_to_parse_with_is_told() -> None:
    plain = {"bodySchema": {"id": "string"}, "input": {"id": "string"}, "validate": "parse"}

    for kind in ("api", "event"):
        warning = Parsing({"type": kind, **plain}).warning
        assert warning is not None and "no effect" in warning
    assert Parsing({**plain, "type": "event", "input": Counts}).warning is None
    assert Parsing({**plain, "type": "api", "validate": "check"}).warning is None


def test_a_schema_that_runs_needs_no_json_schema() -> None:
    class Stubborn:
        model_validate = Counts.model_validate

        @staticmethod
        def model_json_schema() -> Any:
            raise TypeError("a callable has no JSON Schema")

    config = {"type": "event", "input": Stubborn, "name": "A"}

    assert schemas.convert(config, parsed=True) == ({"type": "event", "name": "A"}, [])
    _, warnings = schemas.convert(config)
    assert "a callable has no JSON Schema" in warnings[0]
    _, warnings = schemas.convert({"responseSchema": {200: Stubborn}}, parsed=True)
    assert len(warnings) == 1


def test_who_is_parsed() -> None:
    assert parsing.is_parsed({"validate": "parse"}, False)
    assert parsing.is_parsed({}, True)
    assert not parsing.is_parsed({"validate": "check"}, True)
