"""Queries, headers and bodies: what a handler gets of them, the same in every language."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.flows.harness import Running
from tests.http.project import LANGUAGES, MAX_BODY
from tests.http.wire import Answer, ask, connect, request

pytestmark = pytest.mark.anyio

JSON = ("content-type", "application/json")
FORM = ("content-type", "application/x-www-form-urlencoded")

each_language = pytest.mark.parametrize("language", LANGUAGES)


async def echo(
    running: Running,
    language: str,
    *head: tuple[str, str | bytes],
    query: str = "",
    body: bytes | None = None,
) -> dict[str, Any]:
    """What the handler saw."""
    answer = await ask(running, "POST", f"/{language}/echo{query}", *head, body=body)
    assert answer.status == 200, answer
    seen: dict[str, Any] = answer.json()
    return seen


# --- queries


@each_language
@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", {}),
        ("?", {}),
        ("?a=1&b=&c", {"a": "1", "b": "", "c": ""}),
        ("?a=1&a=2", {"a": ["1", "2"]}),
        ("?tags[]=x&tags[]=y", {"tags": ["x", "y"]}),
        ("?a[b]=1&a[c][d]=2", {"a": {"b": "1", "c": {"d": "2"}}}),
        ("?q=%E4%B8%96+%F0%9F%90%BE", {"q": "世 🐾"}),
        ("?__proto__[x]=1&toString=2", {"__proto__": {"x": "1"}, "toString": "2"}),
        ("?a=1#b=2", {"a": "1"}),
    ],
)
async def test_a_query_is_texts_lists_and_objects(
    running: Running, language: str, query: str, seen: dict[str, Any]
) -> None:
    assert (await echo(running, language, query=query))["query"] == seen


async def test_a_query_of_too_many_fields_is_refused(running: Running) -> None:
    most = "?" + "&".join(f"k{i}=v" for i in range(1000))
    assert len((await echo(running, "python", query=most))["query"]) == 1000

    answer = await ask(running, "POST", f"/python/echo{most}&more=v")

    assert answer.status == 400
    assert answer.json() == {"error": "there are more than 1,000 fields"}
    assert answer.get("x-trace-id")


# --- headers


@each_language
async def test_headers_come_in_lower_case_and_lists_where_they_repeat(
    running: Running, language: str
) -> None:
    seen = await echo(
        running,
        language,
        ("X-One", "1"),
        ("X-Two", "a"),
        ("x-two", "b"),
        ("X-TWO", "c, d"),
        ("Cookie", "a=1"),
        ("cookie", "b=2"),
        ("X-Empty", ""),
        ("X-Latin", b"caf\xe9"),
        ("__proto__", "x"),
    )

    assert seen["headers"] == {
        "host": "localhost",
        "x-one": "1",
        "x-two": ["a", "b", "c, d"],
        "cookie": "a=1; b=2",
        "x-empty": "",
        "x-latin": "café",
        "__proto__": "x",
    }


# --- bodies


@each_language
@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True], "ü": "世 🐾", "": {}},
        [],
        "text",
        0,
        False,
        None,
        {"__proto__": {"x": 1}, "constructor": 2},
        2**53,
        [[[[[[[[[[["deep"]]]]]]]]]]],
    ],
)
async def test_json_is_read_whatever_its_top_is(
    running: Running, language: str, value: Any
) -> None:
    raw = json.dumps(value).encode()

    seen = await echo(running, language, JSON, body=raw)

    assert seen["body"] == value
    assert seen["raw"] == len(raw)


@each_language
@pytest.mark.parametrize(
    "kind", ["APPLICATION/JSON", "application/json; charset=UTF-8", "application/problem+json"]
)
async def test_json_is_known_by_its_content_type(
    running: Running, language: str, kind: str
) -> None:
    seen = await echo(running, language, ("content-type", kind), body=b'\xef\xbb\xbf{"a":1}')

    assert seen["body"] == {"a": 1}


@each_language
@pytest.mark.parametrize("head", [(), (JSON,), (FORM,), (("content-type", "text/plain"),)])
async def test_no_body_is_an_empty_object(
    running: Running, language: str, head: tuple[tuple[str, str], ...]
) -> None:
    for body in (None, b""):
        seen = await echo(running, language, *head, body=body)
        assert (seen["body"], seen["raw"]) == ({}, 0)


@each_language
async def test_a_form_is_an_object(running: Running, language: str) -> None:
    form = f"name=Rex+the+dog&tags[]=a&tags[]=b&owner[email]={quote('a@b.c')}&x=%C3%BC&empty="

    seen = await echo(running, language, FORM, body=form.encode())

    assert seen["body"] == {
        "name": "Rex the dog",
        "tags": ["a", "b"],
        "owner": {"email": "a@b.c"},
        "x": "ü",
        "empty": "",
    }


@each_language
async def test_text_is_text(running: Running, language: str) -> None:
    text = "a,ü\n1,🐾"

    seen = await echo(running, language, ("content-type", "text/csv"), body=text.encode())

    assert (seen["body"], seen["raw"]) == (text, len(text.encode()))


@each_language
@pytest.mark.parametrize(
    "head",
    [(), (("content-type", "image/png"),), (("content-type", "multipart/mixed; boundary=x"),)],
)
async def test_what_has_no_known_type_is_bytes(
    running: Running, language: str, head: tuple[tuple[str, str], ...]
) -> None:
    raw = bytes(range(256))

    seen = await echo(running, language, *head, body=raw)

    assert seen["body"] == {"bytes": raw.hex()}


@pytest.mark.parametrize(
    ("kind", "body", "says"),
    [
        ("application/json", b'{"a":', "the body is not JSON: "),
        ("application/json", b"name=Rex", "the body is not JSON: "),
        ("application/json", b'"\xff"', "the body is not JSON: "),
        ("application/json", b" ", "the body is not JSON: "),
        ("application/x-www-form-urlencoded", b"a=%C3%BC&b=%FF", "the form is not UTF-8"),
        ("application/json", b"[" * 50_000, "the body is not JSON: "),
        ("text/plain", b"\xff\xfe", "the text is not UTF-8"),
        ("application/x-www-form-urlencoded", b"a=\xff", "the form is not UTF-8"),
        ("application/x-www-form-urlencoded", b"a&" * 1001, "there are more than 1,000 fields"),
    ],
)
async def test_a_body_that_is_not_what_it_says_is_a_400_with_the_reason(
    running: Running, kind: str, body: bytes, says: str
) -> None:
    answer = await ask(running, "POST", "/python/echo", ("content-type", kind), body=body)

    assert answer.status == 400
    assert answer.json()["error"].startswith(says)
    assert answer.get("x-trace-id")


# --- sizes


def chunked(*parts: bytes) -> bytes:
    head = request("POST", "/python/echo", ("transfer-encoding", "chunked"))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))


@pytest.mark.parametrize("sizes", [[1], [1] * 50, [70_000, 70_000], [MAX_BODY], [199_999, 1]])
async def test_a_chunked_body_is_put_together(running: Running, sizes: list[int]) -> None:
    async with connect(running) as wire:
        await wire.send(chunked(*(b"x" * size for size in sizes)))
        answer = await wire.answer()

    assert answer.status == 200
    assert answer.json()["raw"] == sum(sizes)


@pytest.mark.parametrize("pause", [True, False])
async def test_a_body_may_come_in_pieces(running: Running, pause: bool) -> None:
    text = request("POST", "/python/echo", JSON, body=b'{"name":"Rex","age":7}')
    async with connect(running) as wire:
        for index in range(0, len(text), 7):
            await wire.send(text[index : index + 7])
            if pause and index % 21 == 0:
                await ask(running, "GET", "/pets/7")
        assert (await wire.answer()).json()["body"] == {"name": "Rex", "age": 7}


async def test_a_body_at_the_limit_passes(running: Running) -> None:
    answer = await ask(running, "POST", "/python/echo", body=b"x" * MAX_BODY)

    assert answer.json()["raw"] == MAX_BODY


def too_large(answer: Answer, says: str) -> None:
    assert answer.status == 413
    assert says in answer.json()["error"]
    assert answer.get("x-trace-id")


async def test_a_length_over_the_limit_is_a_413_before_the_body_comes(running: Running) -> None:
    size = MAX_BODY + 1
    async with connect(running) as wire:
        await wire.send(request("POST", "/python/echo", ("content-length", str(size))))
        too_large(await wire.answer(), f"the body has {size} bytes, the limit is {MAX_BODY}")


async def test_a_client_that_asks_first_is_told_to_go_on_or_not(running: Running) -> None:
    asks = ("expect", "100-continue")
    async with connect(running) as wire:
        await wire.send(request("POST", "/python/echo", asks, ("content-length", "10000000")))
        too_large(await wire.answer(), "the limit is")

    async with connect(running) as wire:
        await wire.send(request("POST", "/python/echo", asks, ("content-length", "3")))
        await wire.send(b"abc")
        assert (await wire.answer()).json()["raw"] == 3


@pytest.mark.parametrize("sizes", [[MAX_BODY + 1], [150_000, 150_000], [MAX_BODY, 1], [1000] * 300])
async def test_a_chunked_body_over_the_limit_is_a_413(running: Running, sizes: list[int]) -> None:
    async with connect(running) as wire:
        await wire.send(chunked(*(b"x" * size for size in sizes)))
        too_large(await wire.answer(), f"the body is over the limit of {MAX_BODY} bytes")
        await wire.send(request("GET", "/pets/7"))
        assert (await wire.answer()).status == 200


async def test_what_is_left_of_a_refused_body_is_no_request(running: Running) -> None:
    smuggled = request("GET", "/pets/newest")
    body = smuggled * (MAX_BODY // len(smuggled) + 1)
    async with connect(running) as wire:
        await wire.send(request("POST", "/python/echo", body=body) + request("GET", "/pets/7"))
        assert (await wire.answer()).status == 413
        assert (await wire.answer()).json()["step"] == "pet"
