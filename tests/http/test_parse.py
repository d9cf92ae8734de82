"""validate: 'parse': handlers get what zod, pydantic and their like make of a request."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import Running, start
from tests.http.wire import Answer, ask

pytestmark = pytest.mark.anyio

HOUSE = Path(__file__).parents[2]
ZOD = [HOUSE / place / "node_modules" / "zod" for place in ("examples/pet-store", "runners/node")]
JSON = ("content-type", "application/json")

FILES = {
    "steps/zod.step.ts": """
        import { z } from 'zod'

        const words: string[] = []

        export const config = {
          type: 'api', name: 'Zod', method: 'POST', path: '/zod/:id', validate: 'parse',
          paramsSchema: z.object({ id: z.string().transform((text) => `#${text}`) }),
          querySchema: z.object({ page: z.number().default(1) }),
          bodySchema: z
            .object({
              name: z.string().trim(),
              at: z.coerce.date().optional(),
              tags: z.array(z.string()).default(['none']),
              password: z.string(),
              again: z.string(),
            })
            .refine((body) => body.password === body.again, {
              message: 'must be the same', path: ['again'],
            }),
          middleware: [async (req, ctx, next) => { words.push(req.body.name); return next() }],
        }

        export const handler = async (req) => ({
          status: 200,
          body: {
            id: req.pathParams.id, page: req.queryParams.page, name: req.body.name,
            tags: req.body.tags, isDate: req.body.at instanceof Date, words: words.splice(0),
          },
        })
        """,
    "steps/async.step.ts": """
        import { z } from 'zod'

        export const config = {
          type: 'api', name: 'Async', method: 'POST', path: '/async', validate: 'parse',
          bodySchema: z.object({
            name: z.string().refine(async (name) => name !== 'taken', 'is taken'),
          }),
        }
        export const handler = async (req) => ({ status: 200, body: req.body })
        """,
    "steps/pydantic.step.py": """
        from datetime import date
        from pydantic import BaseModel, Field, field_validator

        class Pet(BaseModel):
            name: str = Field(min_length=1)
            born: date | None = None
            tags: list[str] = ["none"]

            @field_validator("name")
            @classmethod
            def no_cats(cls, name):
                if name == "cat":
                    raise ValueError("no cats")
                if name == "crash":
                    raise RuntimeError("the validator is broken")
                return name.strip()

        config = {
            "type": "api", "name": "Pydantic", "method": "POST", "path": "/pydantic",
            "validate": "parse", "body_schema": Pet,
        }

        async def handler(req, context):
            pet = req.body
            return {"status": 200, "body": {
                "name": pet.name, "tags": pet.tags, "isDate": isinstance(pet.born, date),
            }}
        """,
    "steps/plain.step.py": """
        config = {
            "type": "api", "name": "Plain", "method": "POST", "path": "/plain",
            "validate": "parse", "body_schema": {"id": "string"},
        }

        def handler(req, context):
            return {"status": 200, "body": req.body}
        """,
    "steps/unparsed.step.py": """
        from pydantic import BaseModel

        class Pet(BaseModel):
            name: str = "Rex"

        config = {
            "type": "api", "name": "Unparsed", "method": "POST", "path": "/unparsed",
            "validate": "check", "body_schema": Pet,
        }

        async def handler(req, context):
            return {"status": 200, "body": req.body}
        """,
}


@pytest.fixture(scope="module")
async def parsing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root = tmp_path_factory.mktemp("parsing")
    (root / "node_modules").mkdir()
    (root / "node_modules" / "zod").symlink_to(next(place for place in ZOD if place.is_dir()))
    async with start(root, FILES, mode="dev", STEPWEAVE_STEPS_VALIDATE="parse") as it:
        yield it


async def post(running: Running, target: str, value: Any) -> Answer:
    return await ask(running, "POST", target, JSON, body=json.dumps(value).encode())


GOOD = {"name": " Rex ", "password": "a", "again": "a"}


async def test_defaults_and_transforms_reach_the_handler(parsing: Running) -> None:
    answer = await post(parsing, "/zod/7?page=3", {**GOOD, "at": "2026-01-31T12:00:00Z"})

    assert answer.json() == {
        "id": "#7",
        "page": 3,
        "name": "Rex",
        "tags": ["none"],
        "isDate": True,
        "words": ["Rex"],
    }


async def test_rules_that_json_schema_cannot_say_are_a_400(parsing: Running) -> None:
    answer = await post(parsing, "/zod/7", {**GOOD, "again": "b"})

    assert answer.status == 400
    assert answer.json() == {
        "error": "Invalid request body",
        "issues": [{"in": "body", "path": "again", "message": "must be the same"}],
    }
    assert answer.get("x-trace-id")


async def test_what_json_schema_can_say_is_refused_before(parsing: Running) -> None:
    answer = await post(parsing, "/zod/7", {})

    assert answer.status == 400
    assert {"in": "body", "path": "name", "message": "is required"} in answer.json()["issues"]


@pytest.mark.parametrize(("name", "status"), [("free", 200), ("taken", 400)])
async def test_a_schema_may_take_its_time(parsing: Running, name: str, status: int) -> None:
    answer = await post(parsing, "/async", {"name": name})

    assert answer.status == status
    if status == 400:
        assert answer.json()["issues"] == [{"in": "body", "path": "name", "message": "is taken"}]


async def test_a_pydantic_model_reaches_the_handler(parsing: Running) -> None:
    answer = await post(parsing, "/pydantic", {"name": " Rex", "born": "2026-01-31"})

    assert answer.json() == {"name": "Rex", "tags": ["none"], "isDate": True}


async def test_what_a_validator_refuses_is_a_400_and_what_it_breaks_a_500(
    parsing: Running,
) -> None:
    refused = await post(parsing, "/pydantic", {"name": "cat"})
    assert refused.status == 400
    (issue,) = refused.json()["issues"]
    assert (issue["in"], issue["path"]) == ("body", "name")
    assert "no cats" in issue["message"]

    broken = await post(parsing, "/pydantic", {"name": "crash"})
    assert broken.status == 500
    assert broken.json()["message"] == "the validator is broken"


async def test_a_schema_without_code_has_nothing_to_run(parsing: Running) -> None:
    assert (await post(parsing, "/plain", {"id": "1"})).json() == {"id": "1"}


async def test_a_step_may_keep_what_the_client_sent(parsing: Running) -> None:
    assert (await post(parsing, "/unparsed", {})).json() == {}


async def test_without_the_setting_nothing_is_parsed(tmp_path: Path) -> None:
    step = FILES["steps/unparsed.step.py"].replace('"validate": "check", ', "")
    async with start(tmp_path, {"steps/unparsed.step.py": step}) as it:
        assert (await post(it, "/unparsed", {})).json() == {}
    async with start(
        tmp_path, {"steps/unparsed.step.py": step}, STEPWEAVE_STEPS_VALIDATE="parse"
    ) as it:
        assert (await post(it, "/unparsed", {})).status == 200
        assert (await post(it, "/unparsed", {})).json() == {"name": "Rex"}
