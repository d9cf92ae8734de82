"""The OpenAPI document of running projects, judged by a validator and by schemathesis."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.flows.harness import LIMIT_S, Running, start
from tests.http.project import FILES, MAX_BODY
from tests.http.wire import ask

pytestmark = pytest.mark.anyio

DOCUMENT = "/_stepweave/openapi.json"
PET_STORE = Path(__file__).parents[2] / "examples" / "pet-store"

TYPED = {
    "steps/list.step.py": """
        config = {
            "type": "api", "name": "ListThings", "method": "GET", "path": "/things",
            "query_schema": {
                "type": "object",
                "properties": {
                    "page": {"type": "integer", "minimum": 1, "maximum": 50, "default": 1},
                    "sold": {"type": "boolean"},
                    "tag": {"type": "array", "items": {"type": "string"}, "maxItems": 5},
                },
                "additionalProperties": False,
            },
            "response_schema": {"200": {
                "type": "object",
                "properties": {"page": {"type": "integer"}, "tags": {"type": "array"}},
                "required": ["page", "tags"],
            }},
        }

        async def handler(req, context):
            query = req.query_params
            return {"status": 200, "body": {"page": query["page"], "tags": query.get("tag", [])}}
        """,
    "steps/put.step.js": """
        const thing = {
          type: 'object',
          properties: { name: { type: 'string', minLength: 1 }, size: { type: 'integer' } },
          required: ['name'],
          additionalProperties: false,
        }
        exports.config = {
          type: 'api', name: 'PutThing', method: 'PUT', path: '/things/:id(\\\\d{1,6})',
          paramsSchema: { type: 'object', properties: { id: { type: 'integer', minimum: 1 } } },
          bodySchema: thing,
          responseSchema: { 200: thing },
        }
        exports.handler = async (req) => ({ status: 200, body: req.body })
        """,
    "steps/photo.step.py": """
        config = {
            "type": "api", "name": "AddPhoto", "method": "POST", "path": "/photos",
            "body_schema": {"title": "string", "photo": "file"},
            "response_schema": {"201": {"name": "string", "size": "integer"}},
        }

        async def handler(req, context):
            photo = req.files["photo"]
            return {"status": 201, "body": {"name": photo.name, "size": photo.size}}
        """,
    "steps/tree.step.rb": """
        def config
          {
            type: "api", name: "PlantTree", method: "POST", path: "/trees/:kind?",
            body_schema: {
              "type" => "object",
              "properties" => {
                "name" => { "type" => "string" },
                "children" => { "type" => "array", "items" => { "$ref" => "#" }, "maxItems" => 2 }
              },
              "required" => ["name"]
            },
            response_schema: { 201 => { "type" => "object", "required" => ["name"],
                                        "properties" => { "name" => { "type" => "string" } } } }
          }
        end

        def handler(req, _context) = { status: 201, body: req.body }
        """,
}


@pytest.fixture(scope="module")
async def pet_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root = tmp_path_factory.mktemp("store") / "pet-store"
    shutil.copytree(PET_STORE, root, ignore=shutil.ignore_patterns("node_modules", ".stepweave"))
    (root / "node_modules").symlink_to(PET_STORE / "node_modules")
    async with start(root, mode="dev") as it:
        yield it


@pytest.fixture(scope="module")
async def typed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("typed"), TYPED, mode="dev") as it:
        yield it


async def document(running: Running) -> dict[str, Any]:
    """The document that a project serves, proved to be one."""
    answer = await ask(running, "GET", DOCUMENT)
    assert answer.status == 200, answer
    content: dict[str, Any] = answer.json()
    assert [error.message for error in OpenAPIV31SpecValidator(content).iter_errors()] == []
    return content


async def schemathesis(running: Running) -> None:
    """Let schemathesis try what the document promises; it may find nothing."""
    command = ["-m", "schemathesis.cli", "run", f"{running.http.base_url}{DOCUMENT}"]
    command += ["--checks=all", "--max-examples=4", "--seed=7", "--no-color"]
    command += ["--generation-database=none", "--suppress-health-check=all"]
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=running.it.project.root,
    )
    async with asyncio.timeout(LIMIT_S):
        output, _ = await child.communicate()
    assert child.returncode == 0, output.decode()
    assert [r.message for r in running.records if r.level == "error"] == []


async def test_the_pet_store_keeps_what_its_document_promises(pet_store: Running) -> None:
    content = await document(pet_store)

    assert content["info"] == {"title": "pet-store", "version": "1.0.0"}
    operations = {
        operation["operationId"]: f"{method} {path}"
        for path, item in content["paths"].items()
        for method, operation in item.items()
    }
    assert operations == {
        "CreateOrder": "post /orders",
        "CreatePet": "post /pets",
        "GetOrder": "get /orders/{id}",
        "ListPets": "get /pets",
        "ShowReceipt": "get /orders/{id}/receipt",
    }
    await schemathesis(pet_store)


async def test_parameters_bodies_and_answers_are_as_documented(typed: Running) -> None:
    content = await document(typed)

    assert sorted(content["paths"]) == [
        "/photos", "/things", "/things/{id}", "/trees", "/trees/{kind}",
    ]  # fmt: skip
    assert sorted(content["components"]["schemas"]) == ["Error", "PlantTreeBody", "PutThingBody"]
    await schemathesis(typed)


async def test_the_document_of_odd_paths_is_valid(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("odd")
    async with start(root, FILES, mode="dev", STEPWEAVE_SERVER_MAX_BODY=str(MAX_BODY)) as it:
        content = await document(it)

    assert "/files/{path}" in content["paths"]
    assert {"/pets/{id}/visits/{visit}", "/pets/{id}/visits"} <= content["paths"].keys()
    assert list(content["paths"]["/probe"]) == ["get", "head"]


async def test_the_document_follows_an_edit(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("edit")
    async with start(root, TYPED, mode="dev") as it:
        file = root / "steps" / "list.step.py"
        file.write_text(file.read_text().replace('"/things"', '"/others"'))

        async def there() -> bool:
            return "/others" in (await document(it))["paths"]

        await it.until(there)


async def test_the_document_is_only_for_those_who_may(
    tmp_path_factory: pytest.TempPathFactory, typed: Running
) -> None:
    refused = await ask(typed, "GET", DOCUMENT, ("origin", "http://evil.example"))
    assert refused.status == 403
    async with start(tmp_path_factory.mktemp("closed"), TYPED) as it:
        assert (await ask(it, "GET", DOCUMENT)).status == 404
