"""JSON Schema as TypeScript types."""

from __future__ import annotations

from typing import Any

import pytest

from stepweave.steps import ts_types

TEXT = {"type": "string"}
TREE = {
    "$defs": {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}},
    "$ref": "#/$defs/Tree",
}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (True, "unknown"),
        (False, "never"),
        ({}, "unknown"),
        (TEXT, "string"),
        ({"type": "integer"}, "number"),
        ({"type": ["string", "null"]}, "string | null"),
        ({"const": "it's"}, "'it\\'s'"),
        ({"enum": ["a", 1, None, 'say "b"\\']}, "'a' | 1 | null | 'say \"b\"\\\\'"),
        ({"enum": [{}, "a"]}, "unknown"),
        ({"enum": []}, "never"),
        ({"type": "object"}, "Record<string, unknown>"),
        ({"type": "object", "additionalProperties": TEXT}, "Record<string, string>"),
        (
            {"properties": {"a": TEXT, "b-c": TEXT, "d": {"default": 1}}, "required": ["a"]},
            "{ a: string; 'b-c'?: string; d?: unknown }",
        ),
        ({"type": "array"}, "unknown[]"),
        ({"items": {"type": ["string", "number"]}}, "(string | number)[]"),
        ({"type": "array", "prefixItems": [TEXT], "items": False}, "[string]"),
        ({"type": "array", "prefixItems": [TEXT]}, "[string, ...unknown[]]"),
        ({"anyOf": [TEXT, {"type": "null"}]}, "string | null"),
        ({"oneOf": [TEXT, {}]}, "unknown"),
        (
            {"properties": {"a": TEXT}, "allOf": [{"anyOf": [TEXT, {"type": "number"}]}]},
            "{ a?: string } & (string | number)",
        ),
        ({"$defs": {"A": TEXT}, "items": {"$ref": "#/$defs/A"}}, "string[]"),
        ({"$ref": "https://elsewhere"}, "unknown"),
    ],
)
def test_a_schema_is_a_type(schema: Any, told: str) -> None:
    assert ts_types.of_schema(schema) == told


def test_a_schema_that_refers_to_itself_ends() -> None:
    assert ts_types.of_schema(TREE).endswith("unknown" + " }" * 13)


def test_what_has_a_default_is_there_once_it_was_read() -> None:
    schema = {"properties": {"page": {"type": "integer", "default": 1}, "tag": TEXT}}

    assert ts_types.of_schema(schema) == "{ page?: number; tag?: string }"
    assert ts_types.of_schema(schema, defaults=True) == "{ page: number; tag?: string }"
