"""validate: 'parse' for events: handlers get what schema objects make of the data."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.harness import Running, start

pytestmark = pytest.mark.anyio

HOUSE = Path(__file__).parents[2]
ZOD = [HOUSE / place / "node_modules" / "zod" for place in ("examples/pet-store", "runners/node")]

STEPS = {
    "steps/zod.step.ts": """
        import { z } from 'zod'

        export const config = {
          type: 'event', name: 'zod', subscribes: ['zod'], validate: 'parse',
          infrastructure: { queue: { backoff: { baseSeconds: 0.01 } } },
          input: z.object({
            name: z.string().trim().refine((name) => name !== 'cat', 'no cats'),
            born: z.coerce.date().optional(),
            tags: z.array(z.string()).default(['none']),
          }),
        }

        export const handler = async (pet, { state, attempt }) => {
          const { name, tags = null, born } = pet
          const isDate = born instanceof Date
          await state.set('seen', 'zod', { name, tags, isDate, attempt })
        }
        """,
    "steps/standard.step.js": """
        // Of no library, and without a JSON Schema: what it says is the only check.
        exports.config = {
          type: 'event', name: 'standard', subscribes: ['standard'], validate: 'parse',
          input: {
            '~standard': {
              version: 1, vendor: 'own',
              async validate(pet) {
                if (pet.name === 'crash') throw new Error('the schema is broken')
                if (pet.name === 'cat') return { issues: [{ message: 'no cats', path: ['name'] }] }
                return { value: { name: pet.name.trim(), tags: ['none'] } }
              },
            },
          },
        }

        exports.handler = async ({ name, tags }, { state, attempt }) => {
          await state.set('seen', 'standard', { name, tags: tags ?? null, isDate: true, attempt })
        }
        """,
    "steps/pydantic.step.py": """
        from datetime import date
        from pydantic import BaseModel, field_validator

        class Pet(BaseModel):
            name: str
            born: date | None = None
            tags: list[str] = ["none"]

            @field_validator("name")
            @classmethod
            def no_cats(cls, name):
                if name == "cat":
                    raise ValueError("no cats")
                return name.strip()

        config = {
            "type": "event", "name": "pydantic", "subscribes": ["pydantic"], "validate": "parse",
            "input": Pet, "infrastructure": {"queue": {"backoff": {"base_seconds": 0.01}}},
        }

        async def handler(pet, context):
            raw = isinstance(pet, dict)
            seen = {
                "name": pet["name"] if raw else pet.name,
                "tags": None if raw else pet.tags,
                "isDate": not raw and isinstance(pet.born, date),
                "attempt": context.attempt,
            }
            await context.state.set("seen", "pydantic", seen)
        """,
}
BATCH = """
    from pydantic import BaseModel, Field

    class Row(BaseModel):
        n: int
        name: str = "nobody"

        def model_post_init(self, _):
            if self.n == 2:
                raise ValueError("two is not allowed")

    config = {
        "type": "event", "name": "batch", "subscribes": ["batch"], "validate": "parse",
        "input": Row, "infrastructure": {"queue": {"batch": {"size": 3, "waitMs": 60000}}},
    }

    async def handler(rows, context):
        kept = [row["n"] if isinstance(row, dict) else f"{row.n}: {row.name}" for row in rows]
        for each, event in zip(kept, context.events):
            await context.state.set("rows", str(each), event["attempt"])
"""
LANGUAGES = ["zod", "standard", "pydantic"]


@contextlib.asynccontextmanager
async def project(
    root: Path, files: dict[str, str] | None = None, **settings: str
) -> AsyncIterator[Running]:
    (root / "node_modules").mkdir()
    (root / "node_modules" / "zod").symlink_to(next(place for place in ZOD if place.is_dir()))
    async with start(root, files or STEPS, **settings) as it:
        yield it


async def seen(running: Running, topic: str, data: Any) -> Any:
    await running.emit(topic, data)
    await running.settled()
    return (await running.state("seen")).get(topic)


async def test_the_data_is_what_the_schema_makes_of_it(tmp_path: Path) -> None:
    async with project(tmp_path) as running:
        for topic in LANGUAGES:
            pet = {"name": " Rex ", "born": "2026-01-31"}
            parsed = {"name": "Rex", "tags": ["none"], "isDate": True, "attempt": 1}
            assert await seen(running, topic, pet) == parsed, topic
        assert not [record for record in running.records if record.level in ("warn", "error")]


async def test_data_that_does_not_fit_is_handed_over_with_a_warning(tmp_path: Path) -> None:
    async with project(tmp_path) as running:
        for topic in LANGUAGES:
            raw = await seen(running, topic, {"name": "cat"})
            assert (raw["name"], raw["tags"]) == ("cat", None), topic
        told = [record.message for record in running.records if record.level == "warn"]
        assert len(told) == 3
        assert all(text.endswith("as it came: name no cats") for text in told)
        assert await running.dead() == []


async def test_data_that_does_not_fit_is_a_dead_letter_at_once_in_a_strict_project(
    tmp_path: Path,
) -> None:
    async with project(tmp_path, STEPWEAVE_STEPS_INPUT="strict") as running:
        for topic in LANGUAGES:
            assert await seen(running, topic, {"name": "cat"}) is None
        letters = {letter.topic: letter for letter in await running.dead()}
        assert set(letters) == set(LANGUAGES)
        for topic, letter in letters.items():
            assert (letter.attempts, letter.reason) == (1, "invalid input")
            told = f"{topic} does not match the input of {topic}: name no cats"
            assert json.loads(letter.errors)[-1]["message"] == told


async def test_a_broken_schema_fails_as_a_handler_does(tmp_path: Path) -> None:
    step = STEPS["steps/standard.step.js"].replace(
        "validate: 'parse',", "validate: 'parse', infrastructure: { queue: { maxRetries: 0 } },"
    )
    async with project(tmp_path, {"steps/standard.step.js": step}) as running:
        assert await seen(running, "standard", {"name": "crash"}) is None
        (letter,) = await running.dead()
        assert letter.reason == "error"
        (tried,) = json.loads(letter.errors)
        assert tried["message"] == "the schema is broken"
        assert tried["frames"][0]["file"].endswith("steps/standard.step.js")


async def test_what_json_schema_refuses_is_not_parsed(tmp_path: Path) -> None:
    async with project(tmp_path) as running:
        raw = await seen(running, "zod", {"name": " Rex ", "tags": 7})
        assert raw == {"name": " Rex ", "tags": 7, "isDate": False, "attempt": 1}
        (told,) = [record.message for record in running.records if record.level == "warn"]
        assert told == "zod does not match the input of zod: tags must be a list, not a number"


async def test_of_a_batch_those_that_do_not_fit_go_and_the_others_lose_no_try(
    tmp_path: Path,
) -> None:
    async with project(
        tmp_path, {"steps/batch.step.py": BATCH}, STEPWEAVE_STEPS_INPUT="strict"
    ) as running:
        for n in (1, 2, 3):
            await running.emit("batch", {"n": n})
        await running.until(lambda: running.it.bus.waiting == 2, "two of three that wait again")
        await running.emit("batch", {"n": 4})
        await running.settled()
        rows = await running.state("rows")
        assert rows == {f"{n}: nobody": 1 for n in (1, 3, 4)}
        (letter,) = await running.dead()
        assert (letter.attempts, letter.reason) == (1, "invalid input")
        assert "two is not allowed" in json.loads(letter.errors)[-1]["message"]


async def test_of_a_batch_those_that_do_not_fit_come_as_they_were(tmp_path: Path) -> None:
    async with project(tmp_path, {"steps/batch.step.py": BATCH}) as running:
        for n in (1, 2, 3):
            await running.emit("batch", {"n": n})
        await running.settled()
        assert await running.state("rows") == {"1: nobody": 1, "2": 1, "3: nobody": 1}
        (told,) = [record.message for record in running.records if record.level == "warn"]
        assert told.endswith("[1] two is not allowed")
