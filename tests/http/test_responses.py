"""What a handler returns, as its client gets it: the same from every language."""

from __future__ import annotations

import re

import pytest

from tests.flows.harness import Running
from tests.http.project import LANGUAGES
from tests.http.wire import Answer, ask

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("language", LANGUAGES)]

JSON, HTML, BYTES = "application/json", "text/html; charset=utf-8", "application/octet-stream"


async def get(running: Running, language: str, what: str) -> Answer:
    answer = await ask(running, "GET", f"/{language}/as/{what}")
    assert re.fullmatch("[0-9a-f]{32}", answer.get("x-trace-id") or "")
    assert answer.get("date")
    return answer


@pytest.mark.parametrize(
    ("what", "kind", "body"),
    [
        ("object", JSON, '{"a":[1,null,"ü"],"b":{}}'.encode()),
        ("array", JSON, b'[1,"two"]'),
        ("text", HTML, "<b>ü</b>".encode()),
        ("typed", "text/csv", b"a,b"),
        ("number", JSON, b"7"),
        ("false", JSON, b"false"),
        ("null", JSON, b"null"),
        ("nothing", None, b""),
        ("emptytext", HTML, b""),
        ("bytes", BYTES, b"\x00\xff\x89PNG"),
        ("image", "image/png", b"\x89PNG"),
        ("nested", JSON, b'{"blob":"/w==","at":"2026-01-31"}'),
    ],
)
async def test_a_body_goes_out_by_its_kind(
    running: Running, language: str, what: str, kind: str | None, body: bytes
) -> None:
    answer = await get(running, language, what)

    assert answer.status == 200
    assert answer.body == body
    assert answer.get("content-type") == kind
    assert answer.get("content-length") == str(len(body))


async def test_status_and_headers_are_the_handlers(running: Running, language: str) -> None:
    created = await get(running, language, "created")
    assert (created.status, created.get("location")) == (201, "/pets/1")
    redirect = await get(running, language, "redirect")
    assert (redirect.status, redirect.get("location")) == (302, "/elsewhere?a=1")
    assert redirect.body == b""
    teapot = await get(running, language, "teapot")
    assert (teapot.status, teapot.json()) == (418, {"error": "short and stout"})
    refused = await get(running, language, "refused")
    assert (refused.status, refused.get("retry-after"), refused.body) == (503, "7", b"busy")


@pytest.mark.parametrize("what", ["gone", "goneanyway"])
async def test_204_has_no_body(running: Running, language: str, what: str) -> None:
    answer = await get(running, language, what)

    assert answer.status == 204
    assert answer.get("content-length") is answer.get("transfer-encoding") is None


async def test_a_list_is_one_header_each(running: Running, language: str) -> None:
    answer = await get(running, language, "cookies")

    assert answer.all("set-cookie") == ["a=1; Path=/", "b=2"]


async def test_a_number_is_written_out_and_null_is_no_header(
    running: Running, language: str
) -> None:
    answer = await get(running, language, "numbers")

    assert (answer.get("x-count"), answer.get("x-off")) == ("3", None)


async def test_the_servers_own_headers_stay_its_own(running: Running, language: str) -> None:
    answer = await get(running, language, "own")

    assert answer.get("content-length") == "0"
    assert answer.get("transfer-encoding") is answer.get("connection") is None
    assert answer.get("date") != "yesterday"


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("injected", "header X-A holds a line break"),
        ("control", "header X-A holds a line break or control sign"),
        ("badname", "header name 'X A' has characters that HTTP does not allow"),
        ("informal", "status must be a number from 200 to 599, not 101"),
        ("small", "status must be a number from 200 to 599, not 99"),
        ("large", "status must be a number from 200 to 599, not 600"),
        ("textstatus", "status"),
        ("nostatus", "status"),
        ("bare", "status"),
        ("none", "status"),
    ],
)
async def test_what_cannot_be_sent_is_a_500_that_tells_the_client_nothing(
    running: Running, language: str, what: str, says: str
) -> None:
    answer = await get(running, language, what)

    assert answer.status == 500
    trace = answer.get("x-trace-id")
    assert answer.json() == {"error": "Internal server error", "traceId": trace}
    assert answer.get("x-evil") is None
    (record,) = [r for r in running.records if r.trace_id == trace and r.level == "error"]
    assert says in record.message
    assert record.message.startswith("steps/answer.step.")


async def test_head_has_the_headers_of_get_without_its_body(
    running: Running, language: str
) -> None:
    got = await get(running, language, "object")
    head = await ask(running, "HEAD", f"/{language}/as/object")

    assert head.status == got.status == 200
    kept = ("content-type", "content-length")
    assert [head.get(name) for name in kept] == [got.get(name) for name in kept]
