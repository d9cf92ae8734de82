"""Checking values: what is said, what is never said, and what is never done."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave.steps.issues import Issue, dotted
from stepweave.steps.keywords import is_json_schema
from stepweave.steps.schema import SchemaError, Validator
from stepweave.steps.shorthand import to_json_schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
TAGGED = {
    "oneOf": [
        {"properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}},
         "required": ["kind", "lives"]},
        {"properties": {"kind": {"const": "dog"}, "tricks": {"type": "array"}},
         "required": ["kind", "tricks"]},
    ]
}  # fmt: skip


def said(schema: dict[str, Any] | bool, value: Any) -> list[str]:
    validator = Validator(schema)
    issues = validator.issues(value)
    assert validator.is_valid(value) == (not issues)
    return [str(issue) for issue in issues]


@pytest.mark.parametrize(
    ("schema", "value", "issues"),
    [
        ({"type": "integer"}, 1.5, ["must be a whole number, not a number"]),
        ({"type": "boolean"}, "true", ["must be true or false, not a string"]),
        ({"type": ["null", "string"]}, 1, ["must be a string or null, not a number"]),
        ({"minimum": 3}, 1, ["must be at least 3"]),
        ({"maximum": 3}, 4, ["must be at most 3"]),
        ({"exclusiveMinimum": 3}, 3, ["must be greater than 3"]),
        ({"exclusiveMaximum": 3}, 3, ["must be less than 3"]),
        ({"multipleOf": 2}, 3, ["must be a multiple of 2"]),
        ({"minLength": 1}, "", ["must have at least 1 character"]),
        ({"maxLength": 2}, "abc", ["must have at most 2 characters"]),
        ({"minItems": 1}, [], ["must have at least 1 item"]),
        ({"maxItems": 0}, [1], ["must have at most 0 items"]),
        ({"minProperties": 1}, {}, ["must have at least 1 field"]),
        ({"maxProperties": 0}, {"a": 1}, ["must have at most 0 fields"]),
        ({"uniqueItems": True}, [1, 1], ["must not hold the same item twice"]),
        ({"pattern": "^a"}, "b", ["must match the pattern ^a"]),
        ({"enum": ["a", None, 1]}, "b", ['must be one of "a", null, 1']),
        ({"enum": list(range(20))}, "b",
         [f"must be one of {', '.join(map(str, range(12)))} and 8 more"]),
        ({"const": {"a": 1}}, 1, ['must be {"a": 1}']),
        ({"format": "email"}, "x", ["must be an email address"]),
        ({"format": "date"}, "x", ["must be a date such as 2026-01-31"]),
        ({"format": "uuid"}, "x", ["must be a UUID"]),
        ({"format": "uri"}, "x", ["must be an absolute URL"]),
        ({"format": "uri-reference"}, "\\", ["must be in the format uri-reference"]),
        ({"not": {"type": "string"}}, "x", ["is not allowed"]),
        ({"properties": {"a": False}}, {"a": 1}, ["a is not allowed"]),
        ({"properties": {}, "additionalProperties": False}, {"a": 1, "b c": 2},
         ["a is not allowed", '["b c"] is not allowed']),
        ({"additionalProperties": False}, {"a": 1}, ["has fields that are not allowed"]),
        ({"unevaluatedProperties": False}, {"a": 1}, ["a is not allowed"]),
        ({"contains": {"type": "string"}}, [1],
         ["holds too few items of the kind that the schema asks for"]),
        ({"propertyNames": {"pattern": "^[a-z]$"}}, {"A": 1}, ["A is not an allowed field name"]),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, ["b is required"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1,
         ["must be a string or null, not a number"]),
        ({"anyOf": [{"const": "a"}, {"enum": ["b", "c"]}]}, 1, ['must be one of "a", "b", "c"']),
        ({"anyOf": [{"type": "string", "minLength": 3}, {"type": "number"}]}, "a",
         ["must have at least 3 characters"]),
        ({"oneOf": [{"type": "number"}, {"minimum": 1}]}, 3,
         ["fits more than one of the forms that exclude each other"]),
        ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {},
         ["fits none of the 2 allowed forms"]),
        (TAGGED, {"kind": "cat", "lives": "9"}, ["lives must be a whole number, not a string"]),
        (TAGGED, {"kind": "cow"}, None),
        (TAGGED, {"kind": "cat"}, ["lives is required"]),
        (TAGGED, {"lives": 9, "tricks": []}, ["kind is required"]),
        (False, 1, ["is not allowed"]),
    ],
)  # fmt: skip
def test_an_issue_is_a_sentence(
    schema: dict[str, Any] | bool, value: Any, issues: list[str] | None
) -> None:
    found = said(schema, value)

    assert found
    if issues is not None:
        assert found == issues


def test_all_issues_come_at_once_each_with_its_path() -> None:
    item = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    schema = {
        "type": "object",
        "properties": {
            "pet": {"type": "object", "properties": {"tags": {"type": "array", "items": item}}},
            "n": {"type": "number"},
        },
        "required": ["missing"],
    }
    issues = Validator(schema).issues({"pet": {"tags": [{"name": 1}, {}]}, "n": "x"})

    assert {issue.path for issue in issues} == {
        "missing",
        "pet.tags[0].name",
        "pet.tags[1].name",
        "n",
    }
    assert issues[0].to_json() == {"path": issues[0].path, "message": issues[0].message}


def test_issues_are_limited() -> None:
    validator = Validator({"items": {"type": "string"}})

    assert len(validator.issues([1] * 1000)) == 100
    assert len(validator.issues([1] * 1000, limit=3)) == 3


def test_what_was_sent_is_never_repeated() -> None:
    secret = "hunter2-secret"
    schema = {
        "properties": {"a": {"type": "number"}, "b": {"enum": ["x"]}, "c": {"pattern": "^$"},
                       "d": {"anyOf": [{"type": "null"}, {"minLength": 99}]}}
    }  # fmt: skip
    issues = Validator(schema).issues(dict.fromkeys("abcd", secret))

    assert len(issues) == 4
    assert secret not in repr(issues)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T12:00:00.123456789+01:00", True),
        ("2026-01-31T12:00:00", True),
        ("2026-01-31T12:00", True),
        ("2026-01-31t12:00:00z", True),
        ("2026-12-31T23:59:60Z", True),
        ("2026-02-30T12:00:00Z", False),
        ("2026-01-31T25:00:00Z", False),
        ("2026-01-31T12:00:00+25:00", False),
        ("2026-01-31", False),
        ("20260131T120000Z", False),
        ("2026-01-31T12:00:00Z\n", False),
        ("", False),
    ],
)
def test_a_date_and_time_may_lack_its_zone(text: str, good: bool) -> None:
    assert Validator({"type": "string", "format": "date-time"}).is_valid(text) is good


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("time", ["12:00", "12:00:00", "23:59:60Z", "12:00:00.5+02:00"], ["24:00", "12", "noon"]),
        (
            "duration",
            ["P1D", "PT1.5S", "-P1DT2H", "P1Y2M3DT4H5M6S", "P2W"],
            ["P", "PT", "P1H", "1 day", "P1DT"],
        ),
        (
            "uri",
            ["http://münchen.de/ä?q={a}|b", "https://a:8080/%zz", "mailto:a@b.de", "http://[::1]/"],
            ["x", "http://", "http://:80/", "http://[::1", "http://a:b/", "http:/a", "http://a b"],
        ),
    ],
)
def test_a_format_takes_what_libraries_take(format: str, good: list[str], bad: list[str]) -> None:
    validator = Validator({"type": "string", "format": format})
    assert [text for text in good if not validator.is_valid(text)] == []
    assert [text for text in bad if validator.is_valid(text)] == []


def test_bytes_count_as_strings_of_their_length() -> None:
    validator = Validator(
        {"properties": {"raw": {"type": "string", "format": "binary", "maxLength": 3}}}
    )

    assert validator.is_valid({"raw": b"\xff\x00a"})
    assert validator.issues({"raw": b"abcd"}) == [Issue("raw", "must have at most 3 characters")]


def test_keys_and_numbers_that_json_does_not_have_do_no_harm() -> None:
    validator = Validator({"type": "object", "additionalProperties": {"type": "number"}})

    assert validator.is_valid({1: 2, "x": 2**70})
    assert not validator.is_valid({"x": math.nan})
    assert [issue.path for issue in validator.issues({5: "x"})] == ["[5]"]


def test_a_value_nested_too_deeply_is_an_issue() -> None:
    value: Any = b"x"
    for _ in range(5000):
        value = [value]
    validator = Validator({"items": {"$ref": "#"}, "type": ["array", "string"]})

    assert isinstance(validator.issues(value), list)
    assert validator.is_valid(value) in (True, False)


@pytest.mark.parametrize(
    ("schema", "path", "reason"),
    [
        ({"type": "strin"}, "type", "is not a JSON Schema type"),
        ({"properties": {"a": {"type": 5}}}, "properties.a.type", "is not a JSON Schema type"),
        ({"properties": {"id": "string"}}, "properties.id",
         "must be true or false or an object, not a string"),
        ({"required": "a"}, "required", "must be a list, not a string"),
        ({"pattern": "("}, "pattern", "is not a regular expression"),
        ({"$ref": "#/$defs/none"}, "",
         "refers to a schema that is not part of it: Pointer '/$defs/none' does not exist"),
    ],
)  # fmt: skip
def test_a_schema_that_is_none_says_where(schema: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Validator(schema).compiled()

    assert (caught.value.path, caught.value.reason) == (path, reason)


@pytest.mark.parametrize(
    "reference",
    ["http://127.0.0.1:9/x.json", "https://example.com/x", "file:///etc/passwd", "x.json"],
)
def test_nothing_is_fetched_for_a_schema(reference: str) -> None:
    with pytest.raises(SchemaError, match="not part of it"):
        Validator({"$ref": reference}).compiled()


def test_a_schema_too_deep_to_read_is_an_error_of_its_own() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(600):
        schema = {"type": "object", "properties": {"x": schema}}

    with pytest.raises(SchemaError, match="cannot be read"):
        Validator(schema).compiled()


def test_older_drafts_are_read_as_they_ask() -> None:
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"a": {"type": "string"}},
        "items": [{"$ref": "#/definitions/a"}],
    }

    assert said(schema, ["x", 1]) == []
    assert said(schema, [1]) == ["[0] must be a string, not a number"]


def test_a_schema_is_compiled_once() -> None:
    validator = Validator({"type": "string"})

    assert validator.compiled() is validator.compiled()
    assert validator == Validator({"type": "string"})
    assert validator != Validator({"type": "number"})
    assert "string" in repr(validator)


def test_paths_are_readable() -> None:
    assert dotted(["pet", "tags", 0, "name"]) == "pet.tags[0].name"
    assert dotted([0, "a b", "c-d", "é"]) == '[0]["a b"].c-d.é'
    assert dotted([]) == ""


@given(JSON)
def test_any_value_can_be_checked(value: Any) -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"$ref": "#"}]},
            "b": {"format": "date-time"},
        },
        "additionalProperties": {"type": ["array", "null"], "items": {"type": "number"}},
    }
    validator = Validator(schema)

    assert validator.is_valid(value) == (validator.issues(value) == [])


@given(JSON, st.booleans())
def test_any_value_can_be_read_as_a_schema(value: Any, required: bool) -> None:
    made, issues = to_json_schema(value, required=required)

    assert all(issue.message for issue in issues)
    if made is not None:
        try:
            Validator(made).compiled()
        except SchemaError as error:
            assert error.reason


WORDS = st.sampled_from(
    ["string", "number", "int", "any", "nope", "|", "[]", "(", ")", "?", " ", "["]
)


@given(st.dictionaries(st.text(), st.lists(WORDS).map("".join), max_size=4))
def test_any_words_can_be_read_as_types(fields: dict[str, str]) -> None:
    made, issues = to_json_schema(fields, required=True)

    if not issues and not is_json_schema(fields):  # {"$ref": "string"} is one, and a wrong one
        assert made is not None
        Validator(made).compiled()


def test_shorthand_nested_without_end_is_an_issue() -> None:
    value: Any = "string"
    for _ in range(3000):
        value = {"x": value}

    made, issues = to_json_schema(value, required=True)

    assert [issue.message for issue in issues] == ["is nested too deeply"]
    assert isinstance(made, dict)
