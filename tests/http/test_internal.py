"""The internal paths: health for everyone, the page and the JSON API for those who may."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from stepweave import __version__
from tests.flows.harness import Running, start
from tests.http.wire import ask

pytestmark = pytest.mark.anyio

HELLO = """
    config = {"type": "api", "name": "Hello", "method": "GET", "path": "/hello"}

    async def handler(req, context):
        context.logger.info("hello there")
        return {"status": 200, "body": "hello"}
    """
SCRIPT = "<script>alert(1)</script>"
NASTY = """
    config = {
        "type": "api", "name": "<script>alert(1)</script>", "method": "GET",
        "path": "/<script>alert(1)", "description": "<script>alert(1)</script>",
        "emits": ["<script>alert(1)</script>"], "flows": ["<script>alert(1)</script>"],
    }

    async def handler(req, context): pass
    """
PAGES = ["/", "/_stepweave", "/_stepweave/"]
API = [f"/_stepweave/api/{name}" for name in ("steps", "status", "traces", "logs", "dead")]


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    files = {"steps/hello.step.py": HELLO, "stepweave.toml": 'name = "a <b> project"'}
    async with start(
        tmp_path_factory.mktemp("dev"), files, mode="dev", STEPWEAVE_SERVER_HOSTS="my.example"
    ) as it:
        yield it


@pytest.fixture(scope="module")
async def production(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("start"), {"steps/hello.step.py": HELLO}) as it:
        yield it


@pytest.fixture(scope="module")
async def tokened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    files = {"steps/hello.step.py": HELLO}
    async with start(
        tmp_path_factory.mktemp("token"), files, STEPWEAVE_SERVER_TOKEN="s3cret"
    ) as it:
        yield it


# --- health


async def test_health_is_told_to_everyone(
    dev: Running, production: Running, tokened: Running
) -> None:
    for running in (dev, production, tokened):
        for head in ((), (("origin", "http://evil.example"),)):
            answer = await ask(running, "GET", "/_stepweave/health", *head)
            assert answer.status == 200
            assert answer.json() == {
                "status": "ok",
                "live": True,
                "ready": True,
                "version": __version__,
                "runners": {"python": "ready"},
            }
        assert (await ask(running, "HEAD", "/_stepweave/health")).status == 200
        assert (await ask(running, "POST", "/_stepweave/health")).status == 405
        rebound = await running.http.get("/_stepweave/health", headers={"host": "evil.example"})
        assert rebound.status_code == 200


async def test_health_is_503_and_live_while_a_runner_is_away(
    dev: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev.it, "ready", False)

    answer = await ask(dev, "GET", "/_stepweave/health")

    assert answer.status == 503
    assert (answer.json()["live"], answer.json()["ready"]) == (True, False)


async def test_live_and_ready_are_told_apart(dev: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    ready, live = "/_stepweave/health/ready", "/_stepweave/health/live"
    for target in (ready, live):
        answer = await dev.http.get(target, headers={"host": "10.0.0.7"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

    monkeypatch.setattr(dev.it, "ready", False)

    starting = await ask(dev, "GET", ready)
    assert (starting.status, starting.json()) == (503, {"status": "starting"})
    assert (await ask(dev, "GET", live)).status == 200


# --- browsers


@pytest.mark.parametrize("target", [*PAGES, *API, "/_stepweave/health", "/_stepweave/nowhere"])
@pytest.mark.parametrize("origin", ["http://localhost", "http://evil.example"])
async def test_browsers_are_told_to_keep_internal_answers_apart(
    dev: Running, target: str, origin: str
) -> None:
    answer = await ask(dev, "GET", target, ("origin", origin))

    policy = answer.get("content-security-policy") or ""
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert answer.get("x-content-type-options") == "nosniff"
    assert answer.get("x-frame-options") == "DENY"
    assert answer.get("referrer-policy") == "no-referrer"
    assert answer.get("cross-origin-resource-policy") == "same-origin"
    assert answer.get("cache-control") == "no-store"
    assert [name for name, _ in answer.head if name.startswith("access-control-")] == []


# --- who may


@pytest.mark.parametrize("target", [*PAGES, *API])
async def test_development_lets_this_machine_in(dev: Running, target: str) -> None:
    for head in ((), (("origin", "http://localhost"),), (("origin", "http://my.example"),)):
        assert (await ask(dev, "GET", target, *head)).status == 200


@pytest.mark.parametrize("target", [*PAGES, *API, "/_stepweave/nowhere"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:3000"])
async def test_development_refuses_pages_from_elsewhere(
    dev: Running, target: str, origin: str
) -> None:
    answer = await ask(dev, "GET", target, ("origin", origin))

    assert answer.status == 403
    assert answer.json() == {"error": f"pages of {origin} may not use this API"}
    assert answer.get("access-control-allow-origin") is None


@pytest.mark.parametrize("target", [*PAGES, *API])
async def test_development_refuses_names_that_were_pointed_here(dev: Running, target: str) -> None:
    url = dev.http.base_url
    rebound = await dev.http.get(target, headers={"host": f"evil.example:{url.port}"})
    assert rebound.status_code == 403
    assert "evil.example" in rebound.json()["error"]

    own = await dev.http.get(target, headers={"host": "my.example"})
    assert own.status_code == 200


async def test_the_users_own_routes_are_open_to_every_host_and_page(dev: Running) -> None:
    answer = await dev.http.get(
        "/hello", headers={"host": "evil.example", "origin": "http://evil.example"}
    )

    assert (answer.status_code, answer.text) == (200, "hello")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("target", [*PAGES, *API, "/_stepweave/nowhere"])
async def test_production_answers_as_if_there_were_nothing(
    production: Running, target: str, method: str
) -> None:
    for head in ((), (("authorization", "Bearer "),), (("authorization", "Bearer None"),)):
        answer = await ask(production, method, target, *head)
        assert answer.status == 404
        assert answer.json() == {"error": f"There is no route {method} {target}"}


@pytest.mark.parametrize("target", [*PAGES, *API])
async def test_a_token_opens_production(tokened: Running, target: str) -> None:
    refused = await ask(tokened, "GET", target)
    assert refused.status == 401
    assert refused.get("www-authenticate") == "Bearer"
    wrong = await ask(tokened, "GET", target, ("authorization", "Bearer s3cre"))
    assert wrong.status == 401

    answer = await ask(tokened, "GET", target, ("authorization", "Bearer s3cret"))

    assert answer.status == 200


# --- what is shown


@pytest.mark.parametrize("target", [*PAGES, *API])
async def test_only_get_and_head_are_answered(dev: Running, target: str) -> None:
    answer = await ask(dev, "POST", target)

    assert answer.status == 405
    assert answer.get("allow") == "GET, HEAD"
    assert answer.json() == {"error": f"{target} answers GET, HEAD, not POST"}
    assert (await ask(dev, "HEAD", target)).status == 200


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "", "1.5", "9" * 5000, "%00"])
async def test_a_limit_is_a_number_in_bounds(dev: Running, limit: str) -> None:
    answer = await dev.http.get("/_stepweave/api/logs", params={"limit": limit})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("limit must be a number from 1 to 1000, not ")
    assert len(answer.content) < 300


async def test_the_api_tells_of_steps_traces_and_logs(dev: Running) -> None:
    said = await ask(dev, "GET", "/hello")
    trace_id = said.get("x-trace-id")

    listing = (await ask(dev, "GET", "/_stepweave/api/steps")).json()
    assert [step["name"] for step in listing["steps"]] == ["Hello"]
    newest = (await ask(dev, "GET", "/_stepweave/api/traces?limit=1")).json()["traces"]
    assert [trace["trace_id"] for trace in newest] == [trace_id]
    trace = (await ask(dev, "GET", f"/_stepweave/api/traces/{trace_id}")).json()
    assert [span["name"] for span in trace["spans"]] == ["Hello"]
    logs = (await ask(dev, "GET", "/_stepweave/api/logs")).json()["logs"]
    assert "hello there" in [log["message"] for log in logs]
    status = (await ask(dev, "GET", "/_stepweave/api/status")).json()
    assert status["runners"][0]["name"] == "python"


@pytest.mark.parametrize("trace_id", ["0" * 32, "nonsense", "%2e%2e", "'; drop table spans"])
async def test_a_trace_that_is_not_there_is_a_404(dev: Running, trace_id: str) -> None:
    answer = await dev.http.get(f"/_stepweave/api/traces/{trace_id}")

    assert answer.status_code == 404


async def test_the_page_lists_the_project(dev: Running) -> None:
    answer = await ask(dev, "GET", "/")

    page = answer.body.decode()
    assert answer.get("content-type") == "text/html; charset=utf-8"
    assert (answer.get("content-security-policy") or "").startswith("default-src 'none';")
    assert answer.get("cache-control") == "no-store"
    assert "a &lt;b&gt; project" in page
    assert "/hello" in page and "hello.step.py" in page


async def test_no_name_of_a_project_becomes_markup_of_the_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    files = {
        "steps/nasty.step.py": NASTY,
        "steps/broken.step.py": f"config = {{'x': '{SCRIPT}'\n",
        "steps/<img src=x onerror=alert(1)>.step.py": "raise ValueError('<script>alert(1)')\n",
    }
    async with start(tmp_path_factory.mktemp("nasty"), files, mode="dev") as it:
        page = (await ask(it, "GET", "/")).body.decode()

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;img src=x" in page


async def test_a_step_for_the_root_wins_over_the_page(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    files = {"steps/home.step.py": HELLO.replace("/hello", "/")}
    async with start(tmp_path_factory.mktemp("home"), files, mode="dev") as it:
        answer = await ask(it, "GET", "/", ("origin", "http://evil.example"))
        assert (answer.status, answer.body) == (200, b"hello")
        page = await ask(it, "GET", "/_stepweave")
        assert page.status == 200
        assert b"Hello" in page.body


async def test_the_page_is_there_beside_a_step_that_only_posts_to_the_root(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = HELLO.replace("/hello", "/").replace('"GET"', '"POST"')
    async with start(
        tmp_path_factory.mktemp("root"), {"steps/home.step.py": home}, mode="dev"
    ) as it:
        assert (await ask(it, "POST", "/")).body == b"hello"
        assert b"Hello" in (await ask(it, "GET", "/")).body
        assert (await ask(it, "PUT", "/")).status == 405
