"""Cron steps in a running project: each tick once, none beside a run that goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stepweave.engine.store.operations import CronTick
from tests.flows.harness import Running, start
from tests.flows.languages import LANGUAGES

pytestmark = pytest.mark.anyio

EVERY_SECOND = {
    "typescript": """
        export const config = {{ type: 'cron', name: 'Tick{name}', cron: '* * * * * *' }}
        export const handler = async ({{ state, traceId }}: any) => {{
          await state.set('ticks.{name}', traceId, Date.now())
        }}
    """,
    "javascript": """
        exports.config = {{ type: 'cron', name: 'Tick{name}', cron: '* * * * * *' }}
        exports.handler = async ({{ state, traceId }}) => {{
          await state.set('ticks.{name}', traceId, Date.now())
        }}
    """,
    "python": """
        import time
        config = {{"type": "cron", "name": "Tick{name}", "cron": "* * * * * *"}}
        async def handler(context):
            await context.state.set("ticks.{name}", context.trace_id, time.time() * 1000)
    """,
    "ruby": """
        def config
          {{ type: 'cron', name: 'Tick{name}', cron: '* * * * * *' }}
        end
        def handler(context)
          context.state.set('ticks.{name}', context.trace_id, Time.now.to_f * 1000)
        end
    """,
}


async def test_every_language_ticks_and_a_restart_repeats_no_tick(tmp_path: Path) -> None:
    files = {
        f"steps/tick_{name}{language.suffix}": EVERY_SECOND[name].format(name=name)
        for name, language in LANGUAGES.items()
    }
    newest: dict[str, int] = {}
    for _run in (1, 2):
        async with start(tmp_path, files) as running:
            first: dict[str, int] = {}

            def ticked(running: Running = running, first: dict[str, int] = first) -> bool:
                for job in running.it.cron.statistics():
                    if job["runs"]:
                        first.setdefault(job["step"], job["last"]["at"])
                return len(first) == len(LANGUAGES)

            await running.until(ticked, "a tick in every language")
            for name in LANGUAGES:
                assert await running.state(f"ticks.{name}")
            assert all(at > newest.get(step, 0) for step, at in first.items())
            newest = {job["step"]: job["last"]["at"] for job in running.it.cron.statistics()}


async def test_a_tick_that_was_recorded_by_another_is_not_run(tmp_path: Path) -> None:
    files = {"steps/tick.step.py": EVERY_SECOND["python"].format(name="python")}
    async with start(tmp_path, files) as running:
        at = time.time_ns() // 1_000_000 + 3_600_000
        assert await running.it.store.apply((CronTick("Tickpython", at),)) == [True]
        await running.until(lambda: not running.it.cron.statistics()[0]["running"], "their ends")
        ran = len(await running.state("ticks.python"))
        due = running.it.cron.statistics()[0]["next"]
        await running.until(
            lambda: running.it.cron.statistics()[0]["next"] > due + 1000, "two more times"
        )
        assert len(await running.state("ticks.python")) <= ran + 1


GATED = """
    import os, asyncio
    config = {{"type": "cron", "name": "Slow", "cron": "* * * * * *", "overlap": {overlap}}}
    async def handler(context):
        await context.state.increment("runs", "begun")
        while not os.path.exists("gate"):
            await asyncio.sleep(0.005)
"""


async def test_a_tick_beside_a_run_that_goes_on_is_skipped(tmp_path: Path) -> None:
    files = {"steps/slow.step.py": GATED.format(overlap=False)}
    async with start(tmp_path, files) as running:
        said = "Slow is skipped: its last run has not ended"
        await running.until(lambda: said in running.messages, "a skipped tick")
        assert await running.state("runs") == {"begun": 1}
        (tmp_path / "gate").touch()
        (job,) = running.it.cron.statistics()
        assert job["skipped"] >= 1
        await running.until(lambda: running.it.cron.statistics()[0]["runs"] >= 2, "the next tick")


async def test_ticks_may_overlap_if_the_config_says_so(tmp_path: Path) -> None:
    files = {"steps/slow.step.py": GATED.format(overlap=True)}
    async with start(tmp_path, files) as running:

        async def both() -> bool:
            return (await running.state("runs")).get("begun", 0) >= 2

        await running.until(both, "two runs at once")
        assert running.it.cron.statistics()[0]["running"] >= 2
        (tmp_path / "gate").touch()


FAILS = {
    "typescript": """
        export const config = { type: 'cron', name: 'Fails', cron: '0 0 1 1 *' }
        export const handler = async () => { throw new Error('no kibble') }
    """,
    "python": """
        config = {"type": "cron", "name": "Fails", "cron": "0 0 1 1 *"}
        def handler(context):
            raise RuntimeError("no kibble")
    """,
    "ruby": """
        def config
          { type: 'cron', name: 'Fails', cron: '0 0 1 1 *' }
        end
        def handler(context)
          raise 'no kibble'
        end
    """,
}


@pytest.mark.parametrize("language", FAILS)
async def test_a_run_that_fails_is_reported_with_its_trace(tmp_path: Path, language: str) -> None:
    files = {f"steps/fails{LANGUAGES[language].suffix}": FAILS[language]}
    async with start(tmp_path, files) as running:
        _trace_id, future = running.it.cron.run_now("Fails")
        assert (await future).outcome.status == "error"
        (record,) = [r for r in running.records if r.message == "Fails failed: no kibble"]
        assert (record.level, record.step) == ("error", "Fails")
        assert record.trace_id
        trace_id = record.trace_id

        async def ended() -> bool:
            trace = await running.it.traces.trace(trace_id)
            return trace is not None and bool(trace["spans"]) and trace["spans"][0]["ended_at"]

        await running.until(ended, "the span")
        trace = await running.it.traces.trace(trace_id)
        assert trace is not None and trace["spans"][0]["status"] == "error"
        (job,) = running.it.cron.statistics()
        assert (job["runs"], job["failed"]) == (1, 1)


async def test_an_edited_expression_takes_effect(tmp_path: Path) -> None:
    rarely = EVERY_SECOND["python"].format(name="python").replace("* * * * * *", "0 0 1 1 *")
    async with start(tmp_path, {"steps/tick.step.py": rarely}, mode="dev") as running:
        assert running.it.cron.statistics()[0]["next"] - time.time() * 1000 > 1000
        path = tmp_path / "steps" / "tick.step.py"
        path.write_text(path.read_text().replace("0 0 1 1 *", "* * * * * *"))

        async def ticked() -> bool:
            return bool(await running.state("ticks.python"))

        await running.until(ticked, "a tick")


async def test_only_those_who_may_run_and_pause_cron_steps(tmp_path: Path) -> None:
    files = {"steps/fails.step.py": FAILS["python"]}
    targets = [f"/_stepweave/api/cron/Fails/{verb}" for verb in ("run", "pause", "resume")]
    async with start(tmp_path, files, mode="dev") as running:
        for target in targets:
            answer = await running.http.post(target, headers={"origin": "http://evil.example"})
            assert answer.status_code == 403
    async with start(tmp_path) as running:
        for target in targets:
            assert (await running.http.post(target)).status_code == 404
    async with start(tmp_path, STEPWEAVE_SERVER_TOKEN="s3cret") as running:
        assert (await running.http.post(targets[0])).status_code == 401
        running.http.headers["authorization"] = "Bearer s3cret"
        ended = (await running.http.post(f"{targets[0]}?wait=true")).json()
        assert (ended["status"], ended["error"]["message"]) == ("error", "no kibble")
        assert [frame["line"] for frame in ended["error"]["frames"]] == [3]
        (job,) = (await running.http.get("/_stepweave/api/cron")).json()["cron"]
        assert (job["runs"], job["paused"]) == (1, False)
