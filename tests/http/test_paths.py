"""From a path to its step and parameters, and what becomes of paths that lead nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.harness import Running
from tests.http.project import LANGUAGES
from tests.http.wire import ask

pytestmark = pytest.mark.anyio


async def found(running: Running, target: str, method: str = "GET") -> tuple[str, dict[str, Any]]:
    """The step that answered and the parameters it got."""
    answer = await ask(running, method, target)
    assert answer.status == 200, answer
    body = answer.json()
    return body["step"], body["params"]


@pytest.mark.parametrize(
    ("target", "step", "params"),
    [
        ("/pets/7", "pet", {"id": "7"}),
        ("/pets/a%20b", "pet", {"id": "a b"}),
        ("/pets/a+b", "pet", {"id": "a+b"}),
        ("/pets/a%2Fb", "pet", {"id": "a/b"}),
        ("/pets/%25", "pet", {"id": "%"}),
        ("/pets/%E4%B8%96%F0%9F%90%BE", "pet", {"id": "世🐾"}),
        ("/pets/__proto__", "pet", {"id": "__proto__"}),
        ("/pets/7?id=8", "pet", {"id": "7"}),
        ("/pets/7/", "pet", {"id": "7"}),
        ("/PETS/Seven", "pet", {"id": "Seven"}),
        ("/pets/7;x=1", "pet", {"id": "7;x=1"}),
        ("/pets/newest", "newest", {}),
        ("/Pets/NEWEST/", "newest", {}),
        ("/pets/newer", "pet", {"id": "newer"}),
        ("/pets/cats/a/b.txt", "cats", {"0": "a/b.txt"}),
        ("/pets/7/visits", "visits", {"id": "7"}),
        ("/pets/7/visits/2", "visits", {"id": "7", "visit": "2"}),
        ("/files/a/b%20c/d", "files", {"path": "a/b c/d"}),
        ("/orders/2026", "orders", {"year": "2026"}),
        ("/orders/late", "orderTag", {"tag": "late"}),
        ("/flights/BER-MUC", "route", {"from": "BER", "to": "MUC"}),
        ("/caf%C3%A9/th%C3%A9", "cafe", {"dish": "thé"}),
        ("http://elsewhere/pets/7", "pet", {"id": "7"}),
    ],
)
async def test_a_path_finds_its_step_and_gives_decoded_parameters(
    running: Running, target: str, step: str, params: dict[str, str]
) -> None:
    assert await found(running, target) == (step, params)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("tail", "params"), [("", {}), ("/", {}), ("/%C3%BC%2F%22", {"id": 'ü/"'})]
)
async def test_parameters_are_the_same_in_every_language(
    running: Running, language: str, tail: str, params: dict[str, str]
) -> None:
    answer = await ask(running, "POST", f"/{language}/echo{tail}")

    assert answer.json()["params"] == params
    assert answer.json()["method"] == "POST"


@pytest.mark.parametrize(
    "target",
    [
        "/pet",
        "/pets",
        "/pets//7",
        "//pets/7",
        "/pets/7//",
        "/pets/../pets/7",
        "/pets/./7",
        "/pets/%2e%2e/7",
        "/pets/%zz",
        "/pets/%ff",
        "/pets/%",
        "/pets/7/visits/2/3",
        "/files",
        "/_stepwea",
        "*",
        "/" + "a" * 5000,
        "/" + "a/" * 500,
    ],
)
async def test_a_path_that_leads_nowhere_is_a_404_in_json(running: Running, target: str) -> None:
    answer = await ask(running, "GET", target)

    assert answer.status == 404
    assert answer.json() == {"error": f"There is no route GET {target}"}
    assert answer.get("x-trace-id")


async def test_each_method_has_its_step(running: Running) -> None:
    assert await found(running, "/pets/7", "PUT") == ("save", {"id": "7"})
    assert await found(running, "/pets/7", "DELETE") == ("remove", {"id": "7"})


@pytest.mark.parametrize(
    ("method", "target", "allow"),
    [
        ("POST", "/pets/7", "GET, PUT, DELETE, HEAD"),
        ("PATCH", "/pets/7/", "GET, PUT, DELETE, HEAD"),
        ("POST", "/pets/newest", "GET, PUT, DELETE, HEAD"),
        ("GET", "/python/echo", "POST"),
        ("HEAD", "/python/echo/7", "POST"),
        ("PROPFIND", "/python/echo", "POST"),
    ],
)
async def test_another_method_is_a_405_that_names_those_there_are(
    running: Running, method: str, target: str, allow: str
) -> None:
    answer = await ask(running, method, target)

    assert answer.status == 405
    assert answer.get("allow") == allow
    assert answer.get("x-trace-id")
    if method != "HEAD":
        assert answer.json() == {"error": f"{target} answers {allow}, not {method}"}


async def test_a_405_comes_before_the_body_is_read(running: Running) -> None:
    answer = await ask(running, "PUT", "/python/echo", body=b"x" * 300_000)

    assert answer.status == 405


async def test_head_has_a_step_of_its_own_or_that_of_get(running: Running) -> None:
    head = await ask(running, "HEAD", "/pets/7")
    get = await ask(running, "GET", "/pets/7")
    assert (head.status, head.body) == (200, b"")
    assert head.get("content-length") == get.get("content-length")

    own = await ask(running, "HEAD", "/probe")
    other = await ask(running, "GET", "/probe")
    assert own.get("content-length") == str(len(b'{"step":"probe","params":{}}'))
    assert other.json()["step"] == "getProbe"


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/orders/2026", "GET, HEAD, OPTIONS"),
        ("/pets/7", "GET, PUT, DELETE, HEAD, OPTIONS"),
        ("/ruby/echo/7?a=b", "POST, OPTIONS"),
    ],
)
async def test_options_tells_what_a_path_answers(running: Running, target: str, allow: str) -> None:
    answer = await ask(running, "OPTIONS", target)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.get("allow") == allow
    assert (await ask(running, "OPTIONS", "/nowhere")).status == 404


async def test_a_step_for_options_wins(running: Running) -> None:
    assert await found(running, "/choices", "OPTIONS") == ("options", {})
    assert await found(running, "/choices", "GET") == ("choices", {})
