"""Hundreds of bad inputs: each ends in a handler's answer or a clear refusal, never in a 500.

After each of them the connection is usable or closed, and the project still answers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flows.harness import Running
from tests.http.project import LANGUAGES
from tests.http.wire import Answer, ask, connect, request

pytestmark = pytest.mark.anyio

FINE, REFUSED, NOWHERE, TOO_LARGE = 200, 400, 404, 413
PROBE = request("GET", "/pets/probe", ("connection", "close"))

some = settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

TYPES = st.sampled_from(
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "application/merge-patch+json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "text/html; charset=iso-8859-1",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/xml",
        ";",
        "/",
        "",
    ]
)
ALMOST_JSON = st.text(alphabet='{}[]":,0123456789.eE+-truefalsn \\u\n', max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
BODIES = st.one_of(
    st.binary(max_size=300),
    ALMOST_JSON.map(str.encode),
    st.text(alphabet="ab[]=&%+0z", max_size=100).map(str.encode),
    JSON.map(lambda value: json.dumps(value).encode()),
)


@pytest.fixture(scope="module", autouse=True)
async def unharmed(running: Running) -> AsyncIterator[None]:
    """Prove at the end that nothing broke on the way."""
    yield
    for language in LANGUAGES:
        assert (await ask(running, "POST", f"/{language}/echo", body=b"x")).status == FINE
    assert [pool.restarts for pool in running.it.pools.pools.values()] == [0, 0, 0]
    assert [r.message for r in running.records if r.level == "error"] == []


def clear(answer: Answer) -> None:
    """A refusal must say why, and which trace it is."""
    if answer.status != FINE:
        assert answer.json()["error"]
        assert answer.get("x-trace-id")


async def exchange(running: Running, data: bytes) -> Answer:
    """The answer to one request, on a connection that must serve another one or be closed."""
    async with connect(running) as wire:
        await wire.send(data)
        answer = await wire.answer()
        if answer.get("connection") != "close":
            await wire.send(PROBE)
            assert (await wire.answer()).json()["params"] == {"id": "probe"}
        await wire.closed()
        return answer


@pytest.mark.parametrize("language", LANGUAGES)
@some
@given(kind=TYPES, body=BODIES)
async def test_any_body_of_any_type(
    running: Running, language: str, kind: str | None, body: bytes
) -> None:
    head = () if kind is None else (("content-type", kind),)

    answer = await exchange(running, request("POST", f"/{language}/echo", *head, body=body))

    assert answer.status in (FINE, REFUSED)
    clear(answer)
    if answer.status == FINE and body:
        assert answer.json()["raw"] >= len(body.removeprefix(b"\xef\xbb\xbf")) or "form" in str(
            kind
        )


@pytest.mark.parametrize("language", LANGUAGES)
@some
@given(value=JSON)
async def test_any_json_value_against_a_schema(running: Running, language: str, value: Any) -> None:
    head = ("content-type", "application/json")
    body = json.dumps(value).encode()

    answer = await exchange(running, request("POST", f"/{language}/checked", head, body=body))

    assert answer.status == REFUSED
    assert answer.json()["error"] == "Invalid request body" or "not JSON" in answer.json()["error"]


@some
@given(
    parts=st.lists(st.binary(min_size=1, max_size=50), max_size=10),
    tail=st.sampled_from([b"", b"0\r\n\r\n", b"0\r\nx: y\r\n\r\n", b"-1\r\n", b"g\r\n", b"\r\n"]),
)
async def test_any_chunks(running: Running, parts: list[bytes], tail: bytes) -> None:
    data = request("POST", "/python/echo", ("transfer-encoding", "chunked"))
    data += b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + tail
    async with connect(running) as wire:
        await wire.send(data)
        if tail.startswith(b"0"):
            answer = await wire.answer()
            assert answer.json()["raw"] >= sum(map(len, parts))
        wire.end()
        rest = await wire.closed()
        assert not rest or rest.startswith(b"HTTP/1.1 400 ")


TEXT = st.text(st.characters(codec="latin-1", exclude_characters=" \r\n"), max_size=80)
ODD = st.lists(
    st.sampled_from(
        [
            *"/%.:;*+?#@&=[]\\'\"<>{}|^`~",
            "%2f",
            "%00",
            "%ff",
            "..",
            "pets",
            "7",
            "café",
            "_stepweave",
        ]
    ),
    max_size=12,
).map("".join)


@some
@given(method=st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]), path=TEXT | ODD)
async def test_any_path(running: Running, method: str, path: str) -> None:
    async with connect(running) as wire:
        await wire.send(request(method, f"/{path}", ("connection", "close")))
        answer = await wire.answer(to_head=method == "HEAD")
        await wire.closed()

    assert answer.status in (FINE, 204, REFUSED, NOWHERE, 405)
    if answer.status in (NOWHERE, 405) and method != "HEAD":
        clear(answer)


@pytest.mark.parametrize("language", LANGUAGES)
@some
@given(query=TEXT | ODD | st.text(alphabet="ab01[]=&%+", max_size=80))
async def test_any_query(running: Running, language: str, query: str) -> None:
    async with connect(running) as wire:
        await wire.send(request("POST", f"/{language}/echo?{query}", ("connection", "close")))
        answer = await wire.answer()
        await wire.closed()

    assert answer.status in (FINE, REFUSED)


NUMBERS = st.text(alphabet="0123456789-+.eE_ ", max_size=12) | st.integers().map(str)


@some
@given(
    shop=NUMBERS | TEXT,
    fields=st.lists(
        st.tuples(
            st.sampled_from(
                ["page", "ratio", "sold", "tag", "tag[]", "sizes", "sort", "text", "range[from]"]
            ),
            NUMBERS | st.sampled_from(["true", "false", "", "null", "name", "[]", "{}"]) | TEXT,
        ),
        max_size=8,
    ),
)
async def test_any_parameter_against_a_schema(
    running: Running, shop: str, fields: list[tuple[str, str]]
) -> None:
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in fields)
    head = ("content-type", "application/json")
    target = f"/python/shops/{quote(shop, safe='')}?{query}"

    answer = await exchange(running, request("POST", target, head, body=b'{"id":"1"}'))

    assert answer.status in (FINE, REFUSED, NOWHERE)
    clear(answer)
    if answer.status == FINE:
        seen = answer.json()
        assert isinstance(seen["params"]["shop"], int)
        assert seen["query"]["page"] >= 1


@some
@given(
    names=st.lists(
        st.sampled_from(
            [
                "origin",
                "range",
                "if-none-match",
                "if-modified-since",
                "accept-encoding",
                "x-request-id",
                "x-forwarded-for",
                "x-forwarded-proto",
                "upgrade",
                "access-control-request-method",
                "access-control-request-headers",
            ]
        ),
        max_size=4,
    ),
    value=st.text(alphabet='*"/,;=-:qW0123456789.abcdefgzip \t', max_size=60)
    | st.sampled_from(["gzip;q=x", 'W/"', "bytes=0-,-1,5-2", "bytes=" + "0-1," * 500, "null"]),
    method=st.sampled_from(["GET", "HEAD", "OPTIONS"]),
)
async def test_any_header_that_the_edge_reads(
    running: Running, names: list[str], value: str, method: str
) -> None:
    head = [(name, value) for name in names]
    async with connect(running) as wire:
        await wire.send(request(method, "/pets/7", ("connection", "close"), *head))
        rest = await wire.closed()

    assert rest.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 204 ", b"HTTP/1.1 304 "))


@some
@given(
    name=st.sampled_from(
        ["x-a", "content-type", "traceparent", "cookie", "host", "accept", "expect", "origin", "te"]
    )
    | st.binary(min_size=1, max_size=20).map(lambda raw: raw.decode("latin-1")),
    value=st.binary(max_size=100),
)
async def test_any_header(running: Running, name: str, value: bytes) -> None:
    async with connect(running) as wire:
        await wire.send(request("GET", "/pets/7", ("connection", "close"), (name, value)))
        rest = await wire.closed()

    assert rest.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 400 "))


GOOD = request(
    "POST", "/python/echo/7?a=1", ("content-type", "application/json"), body=b'{"a":[1]}'
)


@some
@given(
    edits=st.lists(
        st.tuples(
            st.integers(0, len(GOOD)),
            st.integers(0, 5),
            st.binary(max_size=3)
            | st.sampled_from([b"\r\n", b"\r\n\r\n", b":", b" ", b"%", b"\x00"]),
        ),
        min_size=1,
        max_size=4,
    )
)
async def test_any_damage_to_a_good_request(
    running: Running, edits: list[tuple[int, int, bytes]]
) -> None:
    data = GOOD
    for place, gone, new in edits:
        data = data[:place] + new + data[place + gone :]
    async with connect(running) as wire:
        await wire.send(data)
        wire.end()
        rest = await wire.closed()

    assert b"HTTP/1.1 5" not in rest
    assert b"Traceback" not in rest


@some
@given(data=st.binary(min_size=1, max_size=400))
async def test_any_noise(running: Running, data: bytes) -> None:
    async with connect(running) as wire:
        await wire.send(data)
        wire.end()
        rest = await wire.closed()

    assert not rest or rest.startswith(b"HTTP/1.1 4")
