"""The JSON API for cron steps, over a real store, without a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from stepweave.engine.cron import CronService
from stepweave.http.manage import cron
from tests.unit.cron_kit import MINUTE, START, World, ms, step
from tests.unit.engine_kit import failed

pytestmark = pytest.mark.anyio


class Api(World):
    """A world that can be asked over HTTP."""

    async def ask(self, method: str, path: str) -> tuple[int, Any]:
        async def service() -> CronService:
            return self.service

        transport = httpx.ASGITransport(Starlette(routes=cron.routes(service)))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost/_stepweave/api"
        ) as http:
            answer = await http.request(method, f"/cron{path}")
        assert answer.headers["content-type"] == "application/json"
        return answer.status_code, answer.json()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    made = Api(tmp_path)
    yield made
    await made.close()


async def test_cron_steps_are_listed(api: Api) -> None:
    api.start(step("B"), step("A", "@daily"))
    status, found = await api.ask("GET", "")

    assert status == 200
    assert [job["step"] for job in found["cron"]] == ["A", "B"]
    assert found["cron"] == api.service.statistics()


async def test_the_next_times_of_a_step_are_told_in_its_zone(api: Api) -> None:
    api.start(step("a/b", "0 9 * * *", timezone="Europe/Berlin"))
    status, found = await api.ask("GET", "/a%2Fb/next?limit=2")

    assert status == 200
    assert found == {
        "step": "a/b",
        "next": [
            {"at": ms("2026-01-06T08:00"), "time": "2026-01-06 09:00:00+01:00"},
            {"at": ms("2026-01-07T08:00"), "time": "2026-01-07 09:00:00+01:00"},
        ],
    }
    assert len((await api.ask("GET", "/a%2Fb/next"))[1]["next"]) == 10


async def test_a_run_is_begun_or_waited_for(api: Api) -> None:
    api.runners.behaviours["Bad"] = lambda call: failed("no kibble")
    api.start(step(), step("Bad"))

    status, begun = await api.ask("POST", "/Audit/run")
    assert status == 200
    assert begun == {"step": "Audit", "trace_id": begun["trace_id"], "status": "running"}
    assert api.ran == [("Audit", START)]
    assert api.runners.calls[0].span.trace_id == begun["trace_id"]

    status, ended = await api.ask("POST", "/Bad/run?wait=true")
    assert status == 200
    assert (ended["status"], ended["error"]["message"]) == ("error", "no kibble")
    assert ended["duration_ms"] >= 0


async def test_a_pause_is_set_and_lifted(api: Api) -> None:
    api.start(step())

    assert await api.ask("POST", "/Audit/pause") == (200, {"step": "Audit", "paused": True})
    assert [paused for *_, paused in await api.recorded()] == [True]
    await api.advance(MINUTE)
    assert api.ran == []
    assert await api.ask("POST", "/Audit/resume") == (200, {"step": "Audit", "paused": False})
    assert [paused for *_, paused in await api.recorded()] == [False]


async def test_what_cannot_be_done_says_why(api: Api) -> None:
    api.hold = True
    api.start(step())
    await api.advance(MINUTE)

    assert await api.ask("POST", "/Audit/run") == (
        409,
        {"error": "Audit is running; wait for its end, or set overlap: true in its config"},
    )
    missing = {"error": 'there is no cron step "X"; there are: Audit'}
    for method, verb in (
        ("GET", "next"),
        ("POST", "run"),
        ("POST", "pause"),
        ("POST", "resume"),
    ):
        assert await api.ask(method, f"/X/{verb}") == (404, missing)
    assert (await api.ask("GET", "/Audit/run"))[0] == 405
    assert (await api.ask("GET", "/Audit/next?limit=0"))[0] == 400
    assert (await api.ask("POST", "/Audit/run?wait=perhaps"))[0] == 400
    assert (await api.ask("POST", "/Audit/pause?x=1"))[0] == 400
    api.store.refuse = "the disk is full"
    assert await api.ask("POST", "/Audit/pause") == (503, {"error": "the disk is full"})
    assert not api.job()["paused"]
    api.store.refuse = None
    api.service.stop()
    await api.release()
    assert (await api.ask("POST", "/Audit/run"))[0] == 503
