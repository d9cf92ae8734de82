"""The access log: one record for each request, without secrets, and only when asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from stepweave.logs import Record
from tests.flows.harness import Running, start
from tests.http.wire import ask, connect, request

pytestmark = pytest.mark.anyio

FILES = {
    "steps/pets.step.py": """
        config = {"type": "api", "name": "Pets", "method": "POST", "path": "/pets/:id"}

        async def handler(req, context):
            return {"status": 201, "body": "done"}
        """,
    "steps/slow.step.py": """
        import asyncio

        config = {"type": "api", "name": "Slow", "method": "POST", "path": "/slow"}

        async def handler(req, context):
            await context.state.set("slow", "began", True)
            while await context.state.get("slow", "go") is None:
                await asyncio.sleep(0.005)
            return {"status": 200, "body": "done"}
        """,
    "steps/go.step.py": """
        config = {"type": "api", "name": "Go", "method": "POST", "path": "/go"}

        async def handler(req, context):
            await context.state.set("slow", "go", True)
            return {"status": 204}
        """,
}


@pytest.fixture(scope="module")
async def noted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(
        tmp_path_factory.mktemp("noted"), FILES, STEPWEAVE_SERVER_ACCESS_LOG="true"
    ) as it:
        yield it


def lines(running: Running, start: str) -> list[Record]:
    """The records whose message begins like this."""
    return [each for each in running.records if each.message.startswith(start)]


def fields(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record.fields or b"{}")
    return found


async def test_a_request_is_one_record(noted: Running) -> None:
    answer = await ask(noted, "POST", "/pets/7?page=2", ("x-request-id", "r-1"), body=b"x")

    (record,) = lines(noted, "POST /pets/7")
    assert record.message == "POST /pets/7?page=2 201"
    assert (record.level, record.source) == ("info", "stepweave")
    assert record.trace_id == answer.get("x-trace-id")
    found = fields(record)
    assert found.pop("ms") >= 0
    assert found == {"bytes": 4, "client": "127.0.0.1", "requestId": "r-1"}


async def test_secrets_of_a_query_are_not_written(noted: Running) -> None:
    query = "?token=abc&api_key=def&ap%69Key=ghi&page=2&password[a]=jkl&flag"

    await ask(noted, "PUT", f"/pets/7{query}")

    (record,) = lines(noted, "PUT /")
    assert record.message == (
        "PUT /pets/7?token=[masked]&api_key=[masked]&ap%69Key=[masked]&page=2"
        "&password[a]=[masked]&flag 405"
    )
    assert "requestId" not in fields(record)


async def test_internal_paths_are_left_out(noted: Running) -> None:
    await ask(noted, "GET", "/_stepweave/health")
    await ask(noted, "DELETE", "/nowhere")

    assert [record.message for record in lines(noted, "DELETE /")] == ["DELETE /nowhere 404"]
    assert lines(noted, "GET /") == []


async def test_a_client_that_left_is_noted(noted: Running) -> None:
    async with connect(noted) as wire:
        await wire.send(request("PATCH", "/pets/7", ("content-length", "9")))
        assert (await wire.answer()).status == 405
    async with connect(noted) as wire:
        await wire.send(request("POST", "/pets/left", ("content-length", "9")))
        wire.abort()

    await noted.until(lambda: "POST /pets/left 499" in noted.messages)


async def test_a_client_that_left_while_its_handler_ran_is_noted(noted: Running) -> None:
    async with connect(noted) as wire:
        await wire.send(request("POST", "/slow", body=b""))

        async def began() -> bool:
            return "began" in await noted.state("slow")

        await noted.until(began)
        wire.abort()
    await ask(noted, "POST", "/go")

    await noted.until(lambda: bool(lines(noted, "POST /slow ")))
    (record,) = lines(noted, "POST /slow ")
    assert record.message == "POST /slow 499"
    assert fields(record)["bytes"] == 0


async def test_a_long_path_is_cut(noted: Running) -> None:
    await ask(noted, "OPTIONS", "/" + "a" * 10_000)

    (record,) = lines(noted, "OPTIONS /")
    assert len(record.message) < 2100
    assert record.message.endswith("more characters) 404")


@pytest.mark.parametrize("mode", ["dev", "start"])
async def test_nothing_is_noted_unless_asked_for(tmp_path: Path, mode: Any) -> None:
    async with start(tmp_path, FILES, mode=mode) as it:
        await ask(it, "POST", "/pets/7", body=b"x")
        assert lines(it, "POST /") == []
