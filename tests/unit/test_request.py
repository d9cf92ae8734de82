"""A request on its way to a handler: headers, query, the body and how much of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave import payload
from stepweave.errors import InvalidInput, TooLarge
from stepweave.http import request
from stepweave.http.request import ClientGone, Receive, body_payload, headers, read_body

GONE = None


def receiver(*parts: bytes | None) -> Receive:
    """The messages of a body that comes in parts; GONE is a client that hung up."""
    messages: Iterable[Any] = iter(
        {"type": "http.disconnect"}
        if part is GONE
        else {"type": "http.request", "body": part, "more_body": index + 1 < len(parts)}
        for index, part in enumerate(parts)
    )

    async def receive() -> Any:
        return next(iter(messages))

    return receive


def test_headers_are_text_and_repeated_ones_lists() -> None:
    raw = [(b"host", b"a"), (b"x-a", b"1"), (b"x-a", b"2"), (b"x-a", b"3"), (b"x-b", b"caf\xe9")]

    assert headers(raw) == {"host": "a", "x-a": ["1", "2", "3"], "x-b": "café"}


def test_cookies_are_one_text_however_many_headers_they_take() -> None:
    raw = [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]

    assert headers(raw) == {"cookie": "a=1; b=2; c=3"}


def test_an_empty_header_that_repeats_is_a_list_too() -> None:
    assert headers([(b"x", b""), (b"x", b"")]) == {"x": ["", ""]}


def test_a_query_is_ascii_with_escapes() -> None:
    assert request.query_of({"query_string": b""}) == {}
    assert request.query_of({"query_string": b"a=%C3%BC"}) == {"a": "ü"}
    with pytest.raises(InvalidInput, match="not percent-encoded"):
        request.query_of({"query_string": b"a=\xc3\xbc"})


@pytest.mark.anyio
async def test_without_a_length_there_is_no_body_to_wait_for() -> None:
    assert await read_body(receiver(), {}, 10) == b""


@pytest.mark.anyio
@pytest.mark.parametrize("head", [{"content-length": "6"}, {"transfer-encoding": "chunked"}])
async def test_a_body_is_put_together_from_its_parts(head: dict[str, str]) -> None:
    assert await read_body(receiver(b"abcdef"), head, 6) == b"abcdef"
    assert await read_body(receiver(b"ab", b"", b"cdef"), head, 6) == b"abcdef"


@pytest.mark.anyio
async def test_a_length_over_the_limit_is_refused_before_anything_is_read() -> None:
    with pytest.raises(TooLarge, match="has 11 bytes, the limit is 10"):
        await read_body(receiver(), {"content-length": "11"}, 10)


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [(b"x" * 11,), (b"x" * 10, b"y"), (b"x" * 11, b"", b"")])
async def test_a_chunked_body_over_the_limit_is_refused_wherever_it_passes_it(
    parts: tuple[bytes, ...],
) -> None:
    with pytest.raises(TooLarge, match="over the limit of 10 bytes"):
        await read_body(receiver(*parts), {"transfer-encoding": "chunked"}, 10)


@pytest.mark.anyio
@pytest.mark.parametrize("parts", [(GONE,), (b"ab", GONE)])
async def test_a_client_that_hangs_up_is_gone(parts: tuple[bytes | None, ...]) -> None:
    with pytest.raises(ClientGone):
        await read_body(receiver(*parts), {"content-length": "6"}, 10)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.api+json",
        " a/b+json ",
    ],
)
def test_json_is_known_by_its_type_and_kept_as_it_came(kind: str) -> None:
    assert body_payload(b' {"a": 1}', kind) == (("json", b' {"a": 1}'), {"a": 1}, None)


def test_a_byte_order_mark_before_json_is_dropped() -> None:
    assert body_payload(b"\xef\xbb\xbf[1]", "application/json") == (("json", b"[1]"), [1], None)


@pytest.mark.parametrize(
    "body",
    [b"{", b"nul", b"[1,]", b"{'a':1}", b"NaN", b" ", b'"\xff"', b'"\\ud800"', b"1e999", b"1 2"],
)
def test_what_is_not_json_is_refused_with_the_reason(body: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"the body is not JSON: .+"):
        body_payload(body, "application/json")


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the body is not JSON"):
        body_payload(b"[" * 100_000, "application/json")


def test_a_form_becomes_json_with_nested_fields() -> None:
    sent = b"name=Rex+%C3%BC&tags[]=a&tags[]=b&owner[email]=x"
    given, value, raw = body_payload(sent, "application/x-www-form-urlencoded")

    assert value == {"name": "Rex ü", "tags": ["a", "b"], "owner": {"email": "x"}}
    assert payload.decode(given) == value
    assert raw == sent
    with pytest.raises(InvalidInput, match="the form is not UTF-8"):
        body_payload(b"\xff", "application/x-www-form-urlencoded")


def test_text_is_text_and_must_be_utf8() -> None:
    assert body_payload("ü".encode(), "text/plain") == (("text", "ü".encode()), "ü", None)
    with pytest.raises(InvalidInput, match="the text is not UTF-8"):
        body_payload(b"\xff", "text/csv; header=present")


@pytest.mark.parametrize("kind", [None, "", "image/png", "multipart/form-data; boundary=x", "json"])
def test_anything_else_is_bytes(kind: str | None) -> None:
    assert body_payload(b"{\xff", kind) == (("bytes", b"{\xff"), None, None)


@pytest.mark.parametrize("kind", [None, "application/json", "text/plain"])
def test_no_body_is_no_payload_and_an_empty_object_to_a_schema(kind: str | None) -> None:
    assert body_payload(b"", kind) == (None, {}, None)


@given(
    st.binary(),
    st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "text/plain", "a/b", None]
    ),
)
def test_any_bytes_are_a_payload_or_a_clear_refusal(body: bytes, kind: str | None) -> None:
    try:
        found, value, _ = body_payload(body, kind)
    except InvalidInput as error:
        assert str(error)
    else:
        assert payload.check(found) == found
        if found is not None and value is not None:
            assert payload.decode(found) == value


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"cookie"]), st.binary())))
def test_any_header_bytes_become_text_that_keeps_them(raw: list[tuple[bytes, bytes]]) -> None:
    found = headers(raw)

    for name in (b"a", b"b"):
        values = [value for key, value in raw if key == name]
        kept = found.get(name.decode(), [])
        texts = kept if isinstance(kept, list) else [kept]
        assert [text.encode("latin-1") for text in texts] == values
