"""What handlers reach through their context, the same in every language."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepweave import payload
from stepweave.engine.store.operations import StateSet
from stepweave.logs import Record
from tests.flows.bodies import (
    ACCESS,
    COUNT,
    EMIT,
    EMITTED,
    LARGE,
    LATER,
    LOG,
    STATE,
    STATE_ANSWERS,
    UNDECLARED,
    WITNESS,
)
from tests.flows.harness import Running, start
from tests.flows.probes import FORMS, probe

pytestmark = pytest.mark.anyio

PROBES = {"access": ACCESS, "state": STATE, "emit": EMIT, "log": LOG, "large": LARGE}


def project() -> dict[str, str]:
    """Every probe in every form, and who keeps what they emit."""
    files = {"steps/witness.step.py": WITNESS}
    for form in FORMS:
        for name, bodies in PROBES.items():
            files |= probe(name, form, bodies)
        declared = f"'undeclared.{form.replace(', ', '_')}.declared'"
        files |= probe("undeclared", form, UNDECLARED, emits=declared)
        sync = COUNT | {"py": "for _ in range(50): await state.increment('counted', 'n')"}
        files |= probe("count", form, sync if "sync" in form else COUNT)
    return files


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("context"), project(), mode="dev") as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


class Answer:
    """What a probe found, and the trace in which it ran."""

    def __init__(self, out: list[Any], trace_id: str) -> None:
        self.out = out
        self.trace_id = trace_id


async def ask(running: Running, name: str, form: str) -> Answer:
    path = f"/{name}/{form.replace(', ', '_')}"
    answer = await running.http.post(f"{path}?q=1", json={"b": 2}, headers={"X-One": "eins"})
    assert answer.status_code == 200, answer.text
    return Answer(answer.json(), answer.headers["x-trace-id"])


@pytest.mark.parametrize("form", FORMS)
async def test_the_context_and_the_request_are_read_in_every_spelling(
    running: Running, form: str
) -> None:
    answer = await ask(running, "access", form)
    flows = ["probes", form]
    path = f"/access/{form.replace(', ', '_')}"
    trace = answer.trace_id
    if "script" in form:
        expected = [trace, trace, True, True, flows, 1, {"b": 2}, {}, {"q": "1"}, "eins", "POST"]
        expected += [path, "boolean"]
    elif form == "ruby":
        expected = [trace] * 6
        expected += [True, flows, 1, {"b": 2}, {}, {"q": "1"}, "eins", "POST", path, True, False]
    else:
        expected = [trace] * 4
        expected += [True, True, flows, 1, {"b": 2}, {}, {"q": "1"}, "eins", "POST", path]
        expected += [True, True, ["emit", "flows", "logger", "state", "streams", "traceId"]]
    assert answer.out == expected


@pytest.mark.parametrize("form", FORMS)
async def test_the_state_does_the_same_in_every_language(running: Running, form: str) -> None:
    answer = await ask(running, "state", form)
    assert answer.out == STATE_ANSWERS


@pytest.mark.parametrize("form", FORMS)
async def test_every_form_of_emit_is_delivered_once_and_not_before_its_time(
    running: Running, form: str
) -> None:
    answer = await ask(running, "emit", form)
    same, *refusals = answer.out
    assert same is True
    assert len(refusals) == 3
    assert all("topic" in text and "order.created" in text for text in refusals[:2]), refusals
    assert "topic" in refusals[2]
    await running.settled()
    seen = await running.state(f"seen.{answer.trace_id}")
    assert seen.keys() == EMITTED | {"nothing"}
    for name, each in seen.items():
        (arrived,) = each["arrived"]
        if name in LATER:
            assert arrived >= each["data"]["after"]


@pytest.mark.parametrize("form", FORMS)
async def test_log_records_have_their_level_fields_step_and_trace(
    running: Running, form: str
) -> None:
    answer = await ask(running, "log", form)

    def mine() -> list[Record]:
        return [each for each in running.records if each.trace_id == answer.trace_id]

    await running.until(lambda: len(mine()) >= 10, "the records")
    records = mine()
    assert {record.step for record in records} == {f"log_{form.replace(', ', '_')}"}
    assert len({record.span_id for record in records}) == 1
    assert [record.message for record in records[:6]] == [
        *("a debug record", "an info record", "a warning", "an error record"),
        *("an error itself", "a plain record"),
    ]
    assert [record.level for record in records[:6]] == [
        *("debug", "info", "warn", "error", "error", "info")
    ]
    assert {record.source for record in records[:6]} == {"logger"}
    fields = [json.loads(record.fields or b"{}") for record in records]
    assert fields[0] == {"deep": {"list": [1, None]}}
    assert fields[1] == {"n": 1, "text": "ü"}
    name = "IndexError" if "python" in form else "RangeError"
    for given in (fields[3]["error"], fields[4].get("error", fields[4])):
        assert (given["name"], given["message"]) == (name, "too far")
        assert isinstance(given["stack"], str)

    printed = {record.message: record for record in records[6:]}
    assert len(printed) == 4
    first = next(message for message in printed if message.startswith("printed {"))
    assert "a" in first
    assert (printed[first].level, printed[first].source) == ("info", "stdout")
    assert (printed["written"].level, printed["written"].source) == ("info", "stdout")
    # Python and Ruby cannot tell one line of stderr from another.
    levels = ("warn", "error") if "script" in form else ("warn", "warn")
    for message, level in zip(("printed as a warning", "printed as an error"), levels, strict=True):
        assert (printed[message].level, printed[message].source) == (level, "stderr")


@pytest.mark.parametrize("form", FORMS)
async def test_an_undeclared_topic_is_delivered_with_one_warning(
    running: Running, form: str
) -> None:
    for _ in range(2):
        assert (await ask(running, "undeclared", form)).out == ["emitted", "emitted"]
    slug = form.replace(", ", "_")
    topic = f"undeclared.{slug}.undeclared"
    warnings = [r for r in running.records if topic in r.message and r.level == "warn"]
    (warning,) = warnings
    assert warning.step == f"undeclared_{slug}" and "emits" in warning.message


async def test_a_strict_project_refuses_an_undeclared_topic_in_the_handler(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    files = {"stepweave.toml": '[steps]\nemits = "strict"\n'}
    for form in FORMS:
        declared = f"'undeclared.{form.replace(', ', '_')}.declared'"
        files |= probe("undeclared", form, UNDECLARED, emits=declared)
    async with start(tmp_path_factory.mktemp("strict"), files) as strict:
        for form in FORMS:
            out = (await ask(strict, "undeclared", form)).out
            assert len(out) == 2
            slug = form.replace(", ", "_")
            assert all(f"undeclared.{slug}.undeclared" in text for text in out), out


async def test_a_large_group_arrives_whole_and_one_over_the_limit_is_refused(
    running: Running,
) -> None:
    def put(group: str, key: int, text: str) -> StateSet:
        return StateSet(group, str(key), payload.encode({"n": key, "text": text}), None, None)

    await running.it.store.apply([put("large", n, "x" * 500) for n in range(10_000)])
    await running.it.store.apply([put("too large", n, "x" * 1_000_000) for n in range(20)])
    for form in FORMS:
        answer = await ask(running, "large", form)
        assert answer.out == [10_000, sum(range(10_000)), "too_large", 0], form


async def test_increments_from_all_languages_at_once_are_all_counted(running: Running) -> None:
    await asyncio.gather(*(ask(running, "count", form) for form in FORMS for _ in range(4)))
    assert await running.state("counted") == {"n": 50 * 4 * len(FORMS)}


async def test_a_delayed_event_waits_out_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.mktemp("delayed")
    files = {"steps/witness.step.py": WITNESS}
    due = time.time_ns() // 1_000_000 + 1500
    async with start(root, files) as running:
        await running.emit("seen", {"n": "late"}, due_at=due)
        assert running.it.bus.waiting == 1
    async with start(root, files) as running:
        await running.settled()
        (group,) = [g for g in await _groups(running) if g.startswith("seen.")]
        assert (await running.state(group))["late"]["arrived"][0] >= due


async def _groups(running: Running) -> list[str]:
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    running.it.store.state_groups(lambda error, names: found.set_result(names))
    groups: list[str] = await found
    return groups
