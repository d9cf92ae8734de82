"""Answers that a client has already are not sent again, and others can be packed."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator

import pytest

from tests.flows.harness import Running, start
from tests.http.wire import Answer, ask

pytestmark = pytest.mark.anyio

LONG = "a line of text that is repeated\n" * 500
FILES = {
    "steps/get.step.py": f"""
        LONG = {LONG!r}
        ANSWERS = {{
            "json": {{"status": 200, "body": {{"a": 1}}}},
            "tagged": {{"status": 200, "body": LONG, "headers": {{"ETag": '"v1"', "X-A": "b",
                        "Cache-Control": "max-age=9", "Set-Cookie": ["a=1", "b=2"]}}}},
            "private": {{"status": 200, "body": "a", "headers": {{"Cache-Control": "no-store"}}}},
            "created": {{"status": 201, "body": "a"}},
            "missing": {{"status": 404, "body": LONG}},
            "empty": {{"status": 200}},
            "long": {{"status": 200, "body": LONG}},
            "short": {{"status": 200, "body": "a" * 600}},
            "data": {{"status": 200, "body": [LONG] * 10}},
            "svg": {{"status": 200, "body": LONG, "headers": {{"Content-Type": "image/svg+xml"}}}},
            "problem": {{"status": 200, "body": LONG,
                         "headers": {{"Content-Type": "application/problem+json; a=b"}}}},
            "png": {{"status": 200, "body": LONG, "headers": {{"Content-Type": "image/png"}}}},
            "bytes": {{"status": 200, "body": LONG.encode()}},
            "events": {{"status": 200, "body": LONG,
                        "headers": {{"Content-Type": "text/event-stream"}}}},
            "packed": {{"status": 200, "body": LONG, "headers": {{"Content-Encoding": "br"}}}},
            "alone": {{"status": 200, "body": LONG,
                       "headers": {{"Cache-Control": "public, no-transform"}}}},
        }}
        config = {{"type": "api", "name": "Get", "method": "GET", "path": "/:what"}}

        async def handler(req, context):
            return ANSWERS[req.path_params["what"]]
        """,
    "steps/post.step.py": """
        config = {"type": "api", "name": "Post", "method": "POST", "path": "/json"}

        async def handler(req, context):
            return {"status": 200, "body": {"a": 1}}
        """,
    "public/page.html": LONG,
    "public/photo.png": LONG,
}
GZIP = ("accept-encoding", "br;q=1.0, gzip;q=0.8")


@pytest.fixture(scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("plain"), FILES) as it:
        yield it


@pytest.fixture(scope="module")
async def packing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(
        tmp_path_factory.mktemp("packing"),
        FILES,
        STEPWEAVE_SERVER_COMPRESSION="true",
        STEPWEAVE_SERVER_STATIC="/files=public",
    ) as it:
        yield it


# --- conditional answers


async def test_an_answer_that_is_known_is_not_sent_again(plain: Running) -> None:
    first = await ask(plain, "GET", "/json")
    tag = first.get("etag") or ""
    assert tag.startswith('W/"')
    assert (await ask(plain, "HEAD", "/json")).get("etag") == tag

    for method in ("GET", "HEAD"):
        for known in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
            answer = await ask(plain, method, "/json", ("if-none-match", known))
            assert (answer.status, answer.body) == (304, b"")
            assert answer.get("etag") == tag
            assert answer.get("content-length") is None
            assert answer.get("x-trace-id")
    two = (("if-none-match", '"x"'), ("if-none-match", tag))
    assert (await ask(plain, "GET", "/json", *two)).status == 304


@pytest.mark.parametrize("known", ['"other"', 'W/"other"', "nonsense", "", '"'])
async def test_an_answer_that_differs_is_sent(plain: Running, known: str) -> None:
    answer = await ask(plain, "GET", "/json", ("if-none-match", known))

    assert (answer.status, answer.json()) == (200, {"a": 1})


async def test_a_handlers_own_tag_counts(plain: Running) -> None:
    answer = await ask(plain, "GET", "/tagged")
    assert (answer.status, answer.get("etag")) == (200, '"v1"')

    answer = await ask(plain, "GET", "/tagged", ("if-none-match", 'W/"v1"'))

    assert answer.status == 304
    assert answer.get("cache-control") == "max-age=9"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert answer.get("x-a") is None and answer.get("content-type") is None


@pytest.mark.parametrize("what", ["private", "created", "missing", "empty"])
async def test_only_answers_that_may_be_kept_get_a_tag(plain: Running, what: str) -> None:
    answer = await ask(plain, "GET", f"/{what}", ("if-none-match", "*"))

    assert answer.get("etag") is None
    assert answer.status != 304


async def test_other_methods_get_no_tag(plain: Running) -> None:
    answer = await ask(plain, "POST", "/json", ("if-none-match", "*"))

    assert (answer.status, answer.get("etag")) == (200, None)


async def test_tags_can_be_left_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with start(
        tmp_path_factory.mktemp("untagged"), FILES, STEPWEAVE_SERVER_ETAG="false"
    ) as it:
        answer = await ask(it, "GET", "/json", ("if-none-match", "*"))
        assert (answer.status, answer.get("etag")) == (200, None)


# --- compression


def unpacked(answer: Answer) -> bytes:
    assert answer.get("content-encoding") == "gzip"
    assert answer.get("content-length") == str(len(answer.body))
    assert answer.get("vary") == "accept-encoding"
    return gzip.decompress(answer.body)


@pytest.mark.parametrize("what", ["long", "svg", "problem", "missing"])
async def test_a_long_answer_is_packed_for_who_takes_it(packing: Running, what: str) -> None:
    answer = await ask(packing, "GET", f"/{what}", GZIP)
    assert len(answer.body) < len(LONG) / 10
    assert unpacked(answer) == LONG.encode()

    whole = await ask(packing, "GET", f"/{what}")
    assert (whole.body, whole.get("content-encoding")) == (LONG.encode(), None)
    assert whole.get("vary") == "accept-encoding"


async def test_a_large_answer_is_packed_beside_the_others(packing: Running) -> None:
    answer = await ask(packing, "GET", "/data", GZIP)

    assert json.loads(unpacked(answer)) == [LONG] * 10


@pytest.mark.parametrize("what", ["short", "png", "bytes", "events", "alone", "empty"])
async def test_what_would_not_gain_is_left_alone(packing: Running, what: str) -> None:
    answer = await ask(packing, "GET", f"/{what}", GZIP)

    assert answer.get("content-encoding") is None
    assert answer.get("vary") is None


async def test_what_is_packed_already_stays_so(packing: Running) -> None:
    answer = await ask(packing, "GET", "/packed", GZIP)

    assert (answer.get("content-encoding"), answer.body) == ("br", LONG.encode())


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("deflate, gzip;q=0.001", True),
        ("gzip ; q = 0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("br", False),
        ("", False),
    ],
)
async def test_the_client_decides(packing: Running, accepted: str, packed: bool) -> None:
    answer = await ask(packing, "GET", "/long", ("accept-encoding", accepted))

    assert (answer.get("content-encoding") == "gzip") is packed


async def test_a_packed_answer_has_a_weak_tag_that_counts(packing: Running) -> None:
    answer = await ask(packing, "GET", "/tagged", GZIP)
    assert answer.get("etag") == 'W/"v1"'

    again = await ask(packing, "GET", "/tagged", GZIP, ("if-none-match", 'W/"v1"'))

    assert again.status == 304


async def test_head_says_what_get_would(packing: Running) -> None:
    get = await ask(packing, "GET", "/long", GZIP)
    head = await ask(packing, "HEAD", "/long", GZIP)

    assert head.body == b""
    for name in ("content-length", "content-encoding", "etag", "vary"):
        assert head.get(name) == get.get(name)


async def test_files_are_packed_too(packing: Running) -> None:
    page = await ask(packing, "GET", "/files/page.html", GZIP)
    assert unpacked(page) == LONG.encode()
    tag = page.get("etag") or ""
    assert tag.startswith('W/"')
    again = await ask(packing, "GET", "/files/page.html", GZIP, ("if-none-match", tag))
    assert again.status == 304
    part = await ask(packing, "GET", "/files/page.html", GZIP, ("range", "bytes=0-5"))
    assert (part.status, part.body, part.get("content-encoding")) == (206, b"a line", None)
    photo = await ask(packing, "GET", "/files/photo.png", GZIP)
    assert (photo.body, photo.get("content-encoding")) == (LONG.encode(), None)
    assert (await ask(packing, "HEAD", "/files/page.html")).get("content-length") == "16000"


async def test_nothing_is_packed_unless_asked_for(plain: Running) -> None:
    answer = await ask(plain, "GET", "/long", GZIP)

    assert (answer.get("content-encoding"), answer.get("vary")) == (None, None)
