"""Schemas in configs, with and without the libraries that can convert them."""

from __future__ import annotations

import sys
import typing
from dataclasses import dataclass
from typing import Any, List, Optional  # noqa: UP035

import pytest

from stepweave_runner import schemas


def test_json_schema_and_shorthand_stay_as_they_are() -> None:
    config = {
        "type": "api",
        "bodySchema": {"type": "object", "properties": {"id": {"type": "string"}}},
        "input": {"id": "string", "note?": "string"},
        "flows": ("a", "b"),
        "emits": [{"topic": "a", "conditional": True, "label": None}],
    }

    converted, warnings = schemas.convert(config)

    assert converted == {**config, "flows": ["a", "b"]}
    assert warnings == []


def test_builtin_types_are_words_of_the_shorthand() -> None:
    converted, _ = schemas.convert({"input": {"id": str, "n": int, "sum": float, "ok": bool}})

    assert converted["input"] == {"id": "string", "n": "integer", "sum": "number", "ok": "boolean"}


def test_functions_are_left_out() -> None:
    converted, warnings = schemas.convert({"name": "A", "onError": print, "list": [len, 1]})

    assert converted == {"name": "A", "list": [1]}
    assert warnings == []


def test_a_class_that_knows_its_schema_is_asked() -> None:
    class Model:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            return {"title": "Model"}

    converted, warnings = schemas.convert({"responseSchema": {200: Model, "404": None}})

    assert converted == {"responseSchema": {"200": {"title": "Model"}, "404": None}}
    assert warnings == []


def test_without_a_library_a_dataclass_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Order:
        id: str

    for name in ("pydantic", "msgspec"):
        monkeypatch.setitem(sys.modules, name, None)

    converted, warnings = schemas.convert({"name": "A", "input": Order})

    assert converted == {"name": "A"}
    (warning,) = warnings
    assert warning.startswith("input: Order could not be converted to JSON Schema")
    assert "pip install pydantic" in warning


def test_a_schema_that_fails_is_a_warning_with_its_first_line() -> None:
    class Model:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            raise ValueError("cannot say\nmore")

    converted, (warning,) = schemas.convert({"bodySchema": Model})

    assert converted == {}
    assert warning.endswith("cannot say")


def test_an_object_in_a_config_is_read_as_a_value() -> None:
    @dataclass
    class Handler:
        timeout: int

    class Odd:
        __slots__ = ()

    converted, warnings = schemas.convert({"infrastructure": {"handler": Handler(5)}, "x": Odd()})

    assert converted == {"infrastructure": {"handler": {"timeout": 5}}}
    assert warnings == ["x: a Odd has no form in a config"]


def test_a_model_that_parses_is_not_asked_for_what_it_would_take_otherwise() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Inner(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        model_config = pydantic.ConfigDict(populate_by_name=True, extra="forbid")
        first: int = pydantic.Field(alias="one")
        second: int

    @pydantic.dataclasses.dataclass(config=pydantic.ConfigDict(validate_by_name=True))
    class Record:
        first: int = pydantic.Field(alias="one")

    class Outer(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        inner: Inner
        record: Record
        free: typing.Annotated[int, pydantic.BeforeValidator(int)]
        said: typing.Annotated[int, pydantic.BeforeValidator(len, json_schema_input_type=str)]
        wrapped: typing.Annotated[int, pydantic.WrapValidator(lambda value, check: check(value))]
        after: typing.Annotated[int, pydantic.AfterValidator(abs)]

    config = {"type": "api", "bodySchema": Outer, "responseSchema": {200: Outer}}
    parsed = schemas.convert(config, parsed=True)[0]
    checked = schemas.convert(config)[0]

    fields = {name: it.get("type") for name, it in parsed["bodySchema"]["properties"].items()}
    assert fields == {
        "inner": None, "record": None, "free": None, "said": "string", "wrapped": None,
        "after": "integer",
    }  # fmt: skip
    inner = parsed["bodySchema"]["$defs"]["Inner"]
    assert inner["required"] == ["second"] and "additionalProperties" not in inner
    assert list(inner["properties"]) == ["one", "second"]
    assert "required" not in parsed["bodySchema"]["$defs"]["Record"]
    assert parsed["responseSchema"] == checked["responseSchema"]
    whole = checked["bodySchema"]["$defs"]["Inner"]
    assert whole["required"] == ["one", "second"] and whole["additionalProperties"] is False


def test_pydantic_converts_models_dataclasses_and_types() -> None:
    pydantic = pytest.importorskip("pydantic")

    @dataclass
    class Point:
        x: int

    Order: Any = pydantic.create_model("Order", id=(str, ...), note=(Optional[str], None))

    config = {
        "bodySchema": Order,
        "input": Point,
        "responseSchema": {200: List[Order], 201: pydantic.TypeAdapter(int)},  # noqa: UP006
    }

    converted, warnings = schemas.convert(config)

    assert warnings == []
    assert converted["bodySchema"]["required"] == ["id"]
    assert converted["input"]["properties"]["x"]["type"] == "integer"
    assert converted["responseSchema"]["200"]["type"] == "array"
    assert converted["responseSchema"]["201"] == {"type": "integer"}


def test_msgspec_converts_its_structs() -> None:
    msgspec = pytest.importorskip("msgspec")
    Order = msgspec.defstruct("Order", [("id", str)])

    converted, warnings = schemas.convert({"input": Order})

    assert warnings == [] and "Order" in converted["input"]["$defs"]
