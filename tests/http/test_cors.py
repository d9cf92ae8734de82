"""CORS: which pages may use the routes, told to browsers without waking a runner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepweave.orchestrator import Mode
from stepweave.project import SettingsError
from tests.flows.harness import Running, start
from tests.http.wire import Answer, ask

pytestmark = pytest.mark.anyio

FILES = {
    "steps/pets.step.py": """
        config = {"type": "api", "name": "Pets", "method": "POST", "path": "/pets/:id"}

        async def handler(req, context):
            return {"status": 200, "body": "ok"}
        """,
    "steps/own.step.py": """
        config = {"type": "api", "name": "Own", "method": "GET", "path": "/own"}

        async def handler(req, context):
            return {"status": 200, "headers": {"Access-Control-Allow-Origin": "https://own.example"}}
        """,
    "steps/options.step.py": """
        config = {"type": "api", "name": "Options", "method": "OPTIONS", "path": "/own"}

        async def handler(req, context):
            return {"status": 200, "body": "mine"}
        """,
}
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    toml = f"""
        [cors]
        origins = ["{SHOP}", "https://*.shop.example", "http://localhost:*", "http://[::1]:8080"]
        credentials = true
        max_age_s = "1h"
        """
    async with start(tmp_path_factory.mktemp("shop"), {**FILES, "stepweave.toml": toml}) as it:
        yield it


async def preflight(
    running: Running, target: str, origin: str, *head: tuple[str, str], method: str = "POST"
) -> Answer:
    asked = (("origin", origin), ("access-control-request-method", method), *head)
    return await ask(running, "OPTIONS", target, *asked)


def granted(answer: Answer) -> dict[str, str]:
    """The CORS headers of an answer, without their common beginning."""
    start = "access-control-"
    return {n.removeprefix(start): value for n, value in answer.head if n.startswith(start)}


@pytest.mark.parametrize("target", ["/pets/7", "/nowhere"])
async def test_a_preflight_is_answered_without_a_handler(shop: Running, target: str) -> None:
    before = shop.it.api.served
    asks = ("access-control-request-headers", "content-type, x-mine")

    answer = await preflight(shop, target, SHOP, asks)

    assert (answer.status, answer.body) == (204, b"")
    assert granted(answer) == {
        "allow-origin": SHOP,
        "allow-credentials": "true",
        "allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "allow-headers": "content-type, x-mine",
        "max-age": "3600",
    }
    assert answer.get("vary") == "origin"
    assert shop.it.api.served == before


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SHOP, True),
        ("https://SHOP.example", True),
        ("https://a.shop.example", True),
        ("https://a.b.shop.example", True),
        ("http://localhost", True),
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:8080", True),
        ("http://shop.example", False),
        ("https://shop.example:444", False),
        ("https://shop.example.evil.example", False),
        ("https://evil-shop.example", False),
        ("https://evil.example/.shop.example", False),
        ("https://localhost.evil.example", False),
        ("null", False),
        ("", False),
        ("https://shop.example, https://evil.example", False),
    ],
)
async def test_only_origins_of_the_list_are_let_in(
    shop: Running, origin: str, allowed: bool
) -> None:
    asked = await preflight(shop, "/pets/7", origin)
    sent = await ask(shop, "POST", "/pets/7", ("origin", origin))

    for answer in (asked, sent):
        assert answer.get("access-control-allow-origin") == (origin if allowed else None)
        assert answer.get("vary") == "origin"
    assert (asked.status, sent.status) == (204, 200)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [("POST", "/pets/7", 200), ("GET", "/pets/7", 405), ("GET", "/nowhere", 404)],
)
async def test_answers_and_errors_may_be_read(
    shop: Running, method: str, target: str, status: int
) -> None:
    answer = await ask(shop, method, target, ("origin", SHOP))

    assert answer.status == status
    assert granted(answer) == {
        "allow-origin": SHOP,
        "allow-credentials": "true",
        "expose-headers": "x-trace-id, x-request-id",
    }


async def test_a_request_without_an_origin_only_learns_that_it_matters(shop: Running) -> None:
    answer = await ask(shop, "POST", "/pets/7")

    assert (granted(answer), answer.get("vary")) == ({}, "origin")


async def test_a_handlers_own_headers_and_options_win(shop: Running) -> None:
    answer = await ask(shop, "GET", "/own", ("origin", SHOP))
    assert granted(answer) == {"allow-origin": "https://own.example"}

    answer = await preflight(shop, "/own", SHOP, method="GET")
    assert (answer.body, granted(answer)) == (b"mine", {})


@pytest.mark.parametrize("asked", ["x y", "a,,b", "a:b", "ü", "x" * 10 + "\t;"])
async def test_header_names_that_are_none_are_not_repeated(shop: Running, asked: str) -> None:
    answer = await preflight(shop, "/pets/7", SHOP, ("access-control-request-headers", asked))

    assert answer.status == 204
    assert answer.get("access-control-allow-headers") is None


@pytest.mark.parametrize("target", ["/_stepweave/health", "/_stepweave/api/steps", "/_stepweave"])
async def test_internal_paths_are_no_business_of_other_pages(shop: Running, target: str) -> None:
    for answer in (
        await preflight(shop, target, SHOP),
        await ask(shop, "GET", target, ("origin", SHOP)),
    ):
        assert (granted(answer), answer.get("vary")) == ({}, None)


async def test_any_page_may_be_let_in_without_cookies(tmp_path: Path) -> None:
    toml = '[cors]\norigins = ["*"]\nheaders = ["X-A", "X-B"]\nmethods = ["POST"]\nexpose = []\n'
    async with start(tmp_path, {**FILES, "stepweave.toml": toml}) as it:
        answer = await preflight(it, "/pets/7", "null", ("access-control-request-headers", "x-c"))
        assert granted(answer) == {
            "allow-origin": "*",
            "allow-methods": "POST",
            "allow-headers": "X-A, X-B",
            "max-age": "600",
        }
        answer = await ask(it, "POST", "/pets/7", ("origin", "https://a.example"))
        assert (granted(answer), answer.get("vary")) == ({"allow-origin": "*"}, None)


@pytest.mark.parametrize(
    ("mode", "origin", "allowed"),
    [
        ("dev", "http://localhost:3000", True),
        ("dev", "https://127.0.0.1:5173", True),
        ("dev", "https://shop.example", False),
        ("start", "http://localhost:3000", False),
    ],
)
async def test_unless_told_only_development_lets_pages_of_this_machine_in(
    tmp_path: Path, mode: Mode, origin: str, allowed: bool
) -> None:
    async with start(tmp_path, FILES, mode=mode) as it:
        answer = await ask(it, "POST", "/pets/7", ("origin", origin))
        assert answer.get("access-control-allow-origin") == (origin if allowed else None)
        asked = await preflight(it, "/pets/7", origin)
        assert granted(asked).get("allow-origin") == (origin if allowed else None)
        assert asked.status == 204


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('origins = ["*"]\ncredentials = true', "needs origins by name"),
        ('origins = ["shop.example"]', 'origins has "shop.example"; write origins such as'),
        ('origins = ["https://shop.example/"]', "origins has"),
        ('origins = ["https://*"]', "origins has"),
        ('origins = ["null"]', "origins has"),
    ],
)
async def test_rules_that_cannot_be_meant_stop_the_start(
    tmp_path: Path, toml: str, says: str
) -> None:
    with pytest.raises(SettingsError, match=says.replace("*", r"\*")):
        async with start(tmp_path, {**FILES, "stepweave.toml": f"[cors]\n{toml}\n"}):
            pass
