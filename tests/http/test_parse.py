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
    "steps/strict.step.ts": """
        import { z } from 'zod'

        const Pet = z.object({ name: z.string().refine((name) => name !== 'cat', 'no cats') })

        export const config = {
          type: 'api', name: 'Strict', method: 'POST', path: '/strict/:id', validate: 'parse',
          paramsSchema: z.object({ id: z.string().min(3) }),
          querySchema: z.object({
            from: z.coerce.date(), page: z.coerce.number().int().max(9).default(1),
          }),
          bodySchema: z.object({
            amount: z.coerce.number().positive(),
            at: z.coerce.date().optional(),
            pets: z.array(Pet),
          }).refine(({ amount, pets }) => amount > pets.length, 'too many pets'),
        }
        export const handler = async ({ body, queryParams }) => ({
          status: 200, body: { ...body, ...queryParams, isDate: queryParams.from instanceof Date },
        })
        """,
    "steps/own.step.js": """
        // Of no library, and without a JSON Schema: what it says is the only check.
        const bodySchema = {
          '~standard': {
            version: 1, vendor: 'own',
            async validate(body) {
              if (body.name === 'crash') throw new RangeError('the schema is broken')
              if (body.name === 'stuck') await new Promise(() => {})
              return typeof body.name === 'string'
                ? { value: { name: body.name.trim() } }
                : { issues: [{ message: 'must be text', path: ['name'] }] }
            },
          },
        }
        exports.config = {
          type: 'api', name: 'Own', method: 'POST', path: '/own', validate: 'parse', bodySchema,
          infrastructure: { handler: { timeout: 1 } },
        }
        exports.handler = async ({ body }) => ({ status: 200, body })
        """,
    "steps/listed.step.py": """
        import dataclasses
        from decimal import Decimal
        from typing import Any, Callable
        from pydantic import BaseModel, TypeAdapter, model_validator

        @dataclasses.dataclass
        class Page:
            page: int = 1
            size: int = 10

        class Item(BaseModel):
            model_config = {"extra": "forbid", "strict": True}
            name: str
            price: Decimal

            @model_validator(mode="after")
            def cheap(self):
                if self.price > 100:
                    raise ValueError("too dear")
                return self

        config = {
            "type": "api", "name": "Listed", "method": "POST", "path": "/listed",
            "validate": "parse", "body_schema": TypeAdapter(list[Item]), "query_schema": Page,
        }

        def handler(req, context):
            assert isinstance(req.query_params, Page)
            total = sum((item.price for item in req.body), Decimal())
            return {"status": 200, "body": {"total": total, "size": req.query_params.size}}
        """,
    "steps/unconvertible.step.py": """
        from typing import Callable
        from pydantic import BaseModel

        class Pet(BaseModel):
            name: str
            call: Callable[[], str] = lambda: "Rex"

        config = {
            "type": "api", "name": "Unconvertible", "method": "POST", "path": "/unconvertible",
            "validate": "parse", "bodySchema": Pet,
        }

        async def handler(req, context):
            return {"status": 200, "body": {"name": req.body.name, "called": req.body.call()}}
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
    "steps/first.step.py": """
        from typing import Annotated
        from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field
        from pydantic.alias_generators import to_camel

        def split(value):
            return value.split(",") if isinstance(value, str) else value

        class Pet(BaseModel):
            model_config = ConfigDict(
                alias_generator=to_camel, populate_by_name=True, extra="forbid"
            )
            pet_name: str
            tags: Annotated[list[str], BeforeValidator(split)] = []
            age: int = Field(validation_alias=AliasChoices("age", "years"))

        config = {
            "type": "api", "name": "First", "method": "POST", "path": "/first",
            "validate": "parse", "body_schema": Pet,
        }

        async def handler(req, context):
            return {"status": 200, "body": req.body.model_dump()}
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


STRICT = "/strict/abc?from=2026-01-31"
PETS = [{"name": "Rex"}]
ITEMS = [{"name": "ball", "price": "1.50"}]


async def test_what_a_schema_coerces_arrives(parsing: Running) -> None:
    answer = await post(
        parsing, f"{STRICT}&page=2", {"amount": "7", "at": 0, "pets": PETS, "more": 1}
    )

    assert answer.json() == {
        "amount": 7,
        "at": "1970-01-01T00:00:00.000Z",
        "pets": PETS,
        "from": "2026-01-31T00:00:00.000Z",
        "page": 2,
        "isDate": True,
    }


@pytest.mark.parametrize(
    ("target", "value", "issues"),
    [
        (STRICT, {"amount": 7, "pets": [{"name": "Rex"}, {"name": "cat"}]},
         [("body", "pets[1].name", "no cats")]),
        (STRICT, {"amount": 1, "pets": PETS}, [("body", "", "too many pets")]),
        (STRICT, {"amount": "x", "pets": PETS}, [("body", "amount", "expected number")]),
        (STRICT, {"amount": -1, "pets": PETS}, [("body", "amount", "must be greater than 0")]),
        (STRICT, {"pets": PETS}, [("body", "amount", "")]),
        (STRICT, [], [("body", "", "must be an object")]),
        (STRICT, None, [("body", "", "must be an object")]),
        (f"{STRICT}x", {"amount": 7, "pets": PETS}, [("query", "from", "date")]),
        (f"{STRICT}x", {"amount": 7, "pets": [{"name": "cat"}]},
         [("query", "from", "date"), ("body", "pets[0].name", "no cats")]),
        (f"{STRICT}&page=10", {"amount": 7, "pets": PETS}, [("query", "page", "at most 9")]),
        ("/strict/7?from=2026-01-31", {"amount": 7, "pets": PETS}, [("path", "id", "at least 3")]),
        ("/own", {}, [("body", "name", "must be text")]),
        ("/listed", [{**ITEMS[0], "price": "101"}], [("body", "[0]", "too dear")]),
        ("/listed", [*ITEMS, {**ITEMS[0], "more": 1}], [("body", "[1].more", "not allowed")]),
        ("/listed?page=x", ITEMS, [("query", "page", "whole number")]),
        ("/listed", {}, [("body", "", "must be a list")]),
        ("/unconvertible", {"name": 7}, [("body", "name", "string")]),
        ("/unconvertible", [], [("body", "", "")]),
    ],
)  # fmt: skip
async def test_bad_input_is_a_400_that_names_each_place(
    parsing: Running, target: str, value: Any, issues: list[tuple[str, str, str]]
) -> None:
    answer = await post(parsing, target, value)

    assert answer.status == 400, answer.body
    listed = answer.json()["issues"]
    assert all(issue.keys() == {"in", "path", "message"} for issue in listed)
    assert [(each["in"], each["path"]) for each in listed] == [each[:2] for each in issues]
    for issue, (_, _, says) in zip(listed, issues, strict=True):
        assert says in issue["message"]


async def test_type_adapters_and_dataclasses_reach_a_plain_handler(parsing: Running) -> None:
    answer = await post(parsing, "/listed?size=3", ITEMS * 2)

    assert answer.json() == {"total": "3.00", "size": 3}


async def test_a_schema_without_json_schema_is_the_only_check(parsing: Running) -> None:
    assert (await post(parsing, "/own", {"name": " Rex "})).json() == {"name": "Rex"}
    answer = await post(parsing, "/unconvertible", {"name": "Rex"})
    assert answer.json() == {"name": "Rex", "called": "Rex"}
    entries = parsing.it.entries
    assert entries["steps/own.step.js"].problems == ()
    assert entries["steps/unconvertible.step.py"].problems == ()


async def test_a_schema_that_throws_is_a_500_with_its_place(parsing: Running) -> None:
    answer = await post(parsing, "/own", {"name": "crash"})

    assert answer.status == 500
    assert answer.json()["message"] == "the schema is broken"
    assert answer.json()["frames"][0]["file"].endswith("steps/own.step.js")


async def test_a_schema_has_no_more_time_than_its_handler(parsing: Running) -> None:
    assert (await post(parsing, "/own", {"name": "stuck"})).status == 504


async def test_to_ask_for_parsing_without_a_schema_that_can_is_a_warning(parsing: Running) -> None:
    (problem,) = parsing.it.entries["steps/plain.step.py"].problems

    assert (problem.severity, problem.code) == ("warning", "load_warning")
    assert "no effect" in problem.message


async def test_a_pydantic_model_reaches_the_handler(parsing: Running) -> None:
    answer = await post(parsing, "/pydantic", {"name": " Rex", "born": "2026-01-31"})

    assert answer.json() == {"name": "Rex", "tags": ["none"], "isDate": True}


@pytest.mark.parametrize(
    "body",
    [
        {"petName": "Rex", "tags": ["a", "b"], "age": 3},
        {"pet_name": "Rex", "tags": "a,b", "years": 3},
    ],
)
async def test_what_a_model_takes_before_it_checks_is_not_refused(
    parsing: Running, body: dict[str, Any]
) -> None:
    answer = await post(parsing, "/first", body)

    assert answer.json() == {"pet_name": "Rex", "tags": ["a", "b"], "age": 3}


async def test_what_a_model_refuses_all_the_same_is_a_400(parsing: Running) -> None:
    refused = await post(parsing, "/first", {"tags": 7, "cat": 1, "age": 3})

    assert refused.status == 400
    assert {issue["path"] for issue in refused.json()["issues"]} == {"petName", "tags", "cat"}


async def test_what_a_validator_refuses_is_a_400_and_what_it_breaks_a_500(
    parsing: Running,
) -> None:
    refused = await post(parsing, "/pydantic", {"name": "cat"})
    assert refused.status == 400
    (issue,) = refused.json()["issues"]
    assert (issue["in"], issue["path"]) == ("body", "name")
    assert issue["message"] == "no cats"

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
