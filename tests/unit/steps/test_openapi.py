"""From steps to an OpenAPI document: paths, parameters, bodies, answers, shared schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from stepweave.steps import paths
from stepweave.steps.model import Found, Step
from stepweave.steps.openapi import Document, document
from stepweave.steps.parse import parse

THING = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}


def step(name: str, method: str, path: str, **config: Any) -> Step:
    relpath = f"steps/{name}.step.py"
    found = Found(Path("/p", relpath), relpath, "step", "python")
    config = {"type": "api", "name": name, "method": method, "path": path, **config}
    item = parse(found, config, ["handler"]).item
    assert isinstance(item, Step)
    return item


def made(*steps: Step, **more: Any) -> Document:
    result = document(steps, title="shop", version="1.2.3", **more)
    assert [e.message for e in OpenAPIV31SpecValidator(result.content).iter_errors()] == []
    return result


def operation(*steps: Step, path: str, method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = made(*steps).content["paths"][path][method]
    return found


@pytest.mark.parametrize(
    ("pattern", "templates"),
    [
        ("/", ["/"]),
        ("/pets/:id", ["/pets/{id}"]),
        ("/pets/:id/", ["/pets/{id}"]),
        ("/pets/:id?", ["/pets/{id}", "/pets"]),
        ("/a/:b?/c/:d?", ["/a/{b}/c/{d}", "/a/{b}/c", "/a/c/{d}", "/a/c"]),
        ("/flights/:from-:to", ["/flights/{from}-{to}"]),
        ("/report.:format?", ["/report.{format}"]),
        ("/files/*", ["/files/{0}"]),
        ("/files/:path*", ["/files/{path}", "/files"]),
        ("/x/:y(a/b|c)/z", ["/x/{y}/z"]),
    ],
)
def test_a_pattern_is_a_template_for_each_choice_of_its_optional_parts(
    pattern: str, templates: list[str]
) -> None:
    assert [variant.template for variant in paths.variants(pattern)] == templates


def test_path_parameters_say_what_their_pattern_says() -> None:
    found = operation(step("A", "GET", r"/o/:year(\d{4})/:id/*"), path="/o/{year}/{id}/{0}")

    year, id, rest = found["parameters"]
    assert year["schema"] == {"type": "string", "pattern": r"^(\d{4})$"}
    assert (id["schema"], id["required"]) == ({"type": "string", "minLength": 1}, True)
    assert rest["description"] == "The rest of the path; may hold slashes."


def test_schemas_of_parameters_take_the_place_of_texts() -> None:
    found = operation(
        step(
            "A",
            "GET",
            "/o/:id",
            paramsSchema={"id": "integer"},
            queryParams=[{"name": "page", "description": "which"}, "free"],
            querySchema={
                "$defs": {"Sort": {"enum": ["a", "b"]}},
                "type": "object",
                "properties": {
                    "page": {"type": "integer", "description": "not shown"},
                    "sort": {"$ref": "#/$defs/Sort", "default": "a"},
                    "range": {"type": "object", "properties": {"from": {"type": "integer"}}},
                },
                "required": ["sort"],
            },
        ),
        path="/o/{id}",
    )

    by_name = {parameter["name"]: parameter for parameter in found["parameters"]}
    assert by_name["id"]["schema"] == {"type": "integer"}
    assert by_name["page"]["description"] == "which"
    assert by_name["free"] == {"name": "free", "in": "query", "schema": {"type": "string"}}
    assert by_name["sort"]["required"] is True
    assert by_name["sort"]["schema"] == {"$ref": "#/components/schemas/Sort", "default": "a"}
    assert by_name["range"]["style"] == "deepObject"


def test_a_repeated_schema_is_written_once() -> None:
    get = step("GetThing", "GET", "/things/:id", responseSchema={200: THING})
    put = step("PutThing", "PUT", "/things/:id", bodySchema=THING, responseSchema={200: THING})

    content = made(get, put).content

    ref = {"$ref": "#/components/schemas/GetThing200"}
    item = content["paths"]["/things/{id}"]
    assert content["components"]["schemas"]["GetThing200"] == THING
    assert item["get"]["responses"]["200"]["content"]["application/json"]["schema"] == ref
    assert item["put"]["requestBody"]["content"]["application/json"]["schema"] == ref
    assert item["put"]["requestBody"]["required"] is True


def test_references_lead_to_their_place_in_the_document() -> None:
    tree = {
        "type": "object",
        "properties": {
            "child": {"$ref": "#"},
            "leaf": {"$ref": "#/$defs/Leaf"},
            "other": {"$ref": "#/properties/leaf"},
        },
        "$defs": {"Leaf": {"type": "object", "properties": {"up": {"$ref": "#"}}}},
    }

    schemas = made(step("Tree", "POST", "/trees", bodySchema=tree)).content["components"]["schemas"]

    home = "#/components/schemas/TreeBody"
    fields = schemas["TreeBody"]["properties"]
    assert fields["child"] == {"$ref": home}
    assert fields["leaf"] == {"$ref": "#/components/schemas/Leaf"}
    assert fields["other"] == {"$ref": f"{home}/properties/leaf"}
    assert schemas["Leaf"]["properties"]["up"] == {"$ref": home}
    assert "$defs" not in schemas["TreeBody"]


def test_a_list_of_fixed_items_in_an_older_draft_is_told_in_openapis() -> None:
    pair = {"type": "array", "items": [{"type": "string"}, True], "additionalItems": False}
    body = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"pair": pair, "items": {"type": "array"}},
    }
    it = operation(step("A", "POST", "/a", bodySchema=body), path="/a", method="post")
    fields = it["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert fields == {
        "pair": {"type": "array", "prefixItems": [{"type": "string"}, True], "items": False},
        "items": {"type": "array"},
    }


def test_definitions_of_the_same_name_are_kept_apart() -> None:
    def body(type: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/Item"}},
            "$defs": {"Item": {"type": type}},
        }

    content = made(
        step("A", "POST", "/a", bodySchema=body("string")),
        step("B", "POST", "/b", bodySchema=body("number")),
    ).content

    assert content["components"]["schemas"]["Item"] == {"type": "string"}
    assert content["components"]["schemas"]["Item2"] == {"type": "number"}


@pytest.mark.parametrize(
    ("schema", "kinds"),
    [
        ({"title": "string", "photo": "file"}, ["multipart/form-data"]),
        ({"photos": "file[]"}, ["multipart/form-data"]),
        ({"title": "string", "photo?": "file"}, ["multipart/form-data", "application/json"]),
        (
            {
                "type": "object",
                "properties": {"photo": {"$ref": "#/$defs/File"}},
                "required": ["photo"],
                "$defs": {"File": {"type": "string", "contentEncoding": "binary",
                                   "format": "binary"}},
            },
            ["multipart/form-data"],
        ),
        # Bytes of pydantic, which may be text.
        (
            {
                "type": "object",
                "properties": {"data": {"type": "string", "format": "binary"}},
                "required": ["data"],
            },
            ["multipart/form-data", "application/json"],
        ),
        ({"title": "string"}, ["application/json"]),
    ],
)  # fmt: skip
def test_a_body_with_files_is_a_form(schema: dict[str, Any], kinds: list[str]) -> None:
    found = operation(step("A", "POST", "/a", bodySchema=schema), path="/a", method="post")

    assert list(found["requestBody"]["content"]) == kinds


def test_answers_are_the_steps_own_and_those_of_the_edge() -> None:
    found = operation(
        step("A", "POST", "/a", responseSchema={201: THING, 400: {"type": "null"}, 204: {}}),
        path="/a",
        method="post",
    )

    assert list(found["responses"]) == ["201", "204", "400", "413", "415", "500", "503", "504"]
    assert found["responses"]["201"]["description"] == "Created"
    assert "content" not in found["responses"]["204"]
    assert found["responses"]["400"]["content"]["application/json"]["schema"] == {
        "anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Error"}]
    }
    assert found["responses"]["413"] == {"$ref": "#/components/responses/Error413"}


def test_a_step_without_a_schema_for_success_may_answer_anything() -> None:
    found = operation(step("A", "GET", "/a"), path="/a")

    assert list(found["responses"]) == ["400", "500", "503", "504", "default"]
    assert "requestBody" not in found


def test_names_flows_and_texts_are_taken_over() -> None:
    content = made(
        step("Create it!", "POST", "/a/:id?", flows=["z", "a"], description="Makes one"),
        servers=["https://api.example"],
    ).content

    full, short = content["paths"]["/a/{id}"]["post"], content["paths"]["/a"]["post"]
    assert (full["operationId"], short["operationId"]) == ("Create_it", "Create_itWithoutId")
    assert (full["tags"], full["summary"]) == (["z", "a"], "Makes one")
    assert content["tags"] == [{"name": "a"}, {"name": "z"}]
    assert content["servers"] == [{"url": "https://api.example"}]
    assert content["info"] == {"title": "shop", "version": "1.2.3"}


def test_parameters_that_differ_in_name_only_share_a_path() -> None:
    content = made(step("Get", "GET", "/a/:id"), step("Put", "PUT", "/a/:name")).content

    assert list(content["paths"]) == ["/a/{id}"]
    assert content["paths"]["/a/{id}"]["put"]["parameters"][0]["name"] == "id"


def test_what_openapi_cannot_tell_apart_is_said() -> None:
    result = made(step("Year", "GET", r"/o/:year(\d{4})"), step("Tag", "GET", "/o/:tag"))

    (omission,) = result.omissions
    assert omission.startswith("steps/Year.step.py: GET /o/:year")
    assert "OpenAPI cannot tell it from another GET /o/{tag}" in omission


def test_a_route_of_its_own_goes_before_one_without_its_optional_part() -> None:
    content = made(step("Opt", "GET", "/a/:b?/c"), step("Own", "GET", "/a/c")).content

    assert content["paths"]["/a/c"]["get"]["operationId"] == "Own"
    assert content["paths"]["/a/{b}/c"]["get"]["operationId"] == "Opt"


def test_a_project_without_routes_has_a_document_too() -> None:
    assert made().content["paths"] == {}
