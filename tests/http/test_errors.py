"""Handlers that fail: what a client learns in production, and what a developer sees."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flows.harness import Running, start
from tests.http.wire import ask

pytestmark = pytest.mark.anyio

FILES = {
    "steps/raise.step.py": """
        config = {"type": "api", "name": "RaisePython", "method": "GET", "path": "/python"}

        def deeper():
            raise LookupError("no such pet: s3cret <b>")

        async def handler(req, context):
            deeper()
        """,
    "steps/raise.step.js": """
        exports.config = {
          type: 'api', name: 'RaiseJavaScript', method: 'GET', path: '/javascript',
        }

        function deeper() {
          throw new RangeError('no such pet: s3cret <b>')
        }

        exports.handler = async () => deeper()
        """,
    "steps/raise.step.rb": """
        def config = { type: "api", name: "RaiseRuby", method: "GET", path: "/ruby" }

        def deeper
          raise IndexError, "no such pet: s3cret <b>"
        end

        def handler(_req, _context)
          deeper
        end
        """,
    "steps/big.step.py": """
        config = {"type": "api", "name": "BigPython", "method": "GET", "path": "/python/big"}

        async def handler(req, context):
            return {"status": 200, "body": "x" * 2_000_000}
        """,
    "steps/big.step.js": """
        exports.config = {
          type: 'api', name: 'BigJavaScript', method: 'GET', path: '/javascript/big',
        }
        exports.handler = async () => ({ status: 200, body: 'x'.repeat(2_000_000) })
        """,
    "steps/big.step.rb": """
        def config = { type: "api", name: "BigRuby", method: "GET", path: "/ruby/big" }

        def handler(_req, _context) = { status: 200, body: "x" * 2_000_000 }
        """,
    "steps/broken.step.py": """
        config = {"type": "api", "name": "Broken", "method": "GET", "path": "/broken"
        """,
}
TYPES = {"python": "LookupError", "javascript": "RangeError", "ruby": "IndexError"}


@pytest.fixture(scope="module")
async def production(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    root = tmp_path_factory.mktemp("start")
    async with start(root, FILES, mode="start", STEPWEAVE_SERVER_MAX_BODY="1000") as it:
        yield it


@pytest.fixture(scope="module")
async def development(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("dev"), FILES, mode="dev") as it:
        yield it


@pytest.mark.parametrize("language", TYPES)
async def test_in_production_a_client_learns_only_the_trace(
    production: Running, language: str
) -> None:
    answer = await ask(production, "GET", f"/{language}")

    trace = answer.get("x-trace-id")
    assert answer.status == 500
    assert answer.json() == {"error": "Internal server error", "traceId": trace}
    (record,) = [r for r in production.records if r.trace_id == trace and r.level == "error"]
    assert f"{TYPES[language]}: no such pet: s3cret <b>" in record.message


@pytest.mark.parametrize("language", TYPES)
async def test_in_development_the_answer_says_what_and_where(
    development: Running, language: str
) -> None:
    answer = await ask(development, "GET", f"/{language}")

    assert answer.status == 500
    body = answer.json()
    assert body["error"] == "Internal server error"
    assert body["traceId"] == answer.get("x-trace-id")
    assert body["message"] == "no such pet: s3cret <b>"
    assert body["type"] == TYPES[language]
    assert body["step"] == f"Raise{language.capitalize()}".replace("script", "Script")
    frames = body["frames"]
    assert "/steps/raise.step." in frames[0]["file"]
    assert "deeper" in frames[0]["function"]
    assert all("/steps/" in frame["file"] for frame in frames)
    assert "Traceback" not in answer.body.decode()


async def test_a_step_that_does_not_load_has_no_route(
    production: Running, development: Running
) -> None:
    for running in (production, development):
        assert (await ask(running, "GET", "/broken")).status == 404
        assert (await ask(running, "GET", "/python")).status == 500


@pytest.mark.parametrize("language", TYPES)
async def test_an_answer_over_the_limit_is_the_handlers_fault_and_not_the_clients(
    production: Running, language: str
) -> None:
    answer = await ask(production, "GET", f"/{language}/big")

    trace = answer.get("x-trace-id")
    assert answer.status == 500
    assert answer.json() == {"error": "Internal server error", "traceId": trace}
    (record,) = [r for r in production.records if r.trace_id == trace and r.level == "error"]
    assert "a frame of 2000" in record.message
