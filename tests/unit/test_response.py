"""What a handler answered, as bytes on the wire, and what cannot be sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE

from stepweave import payload
from stepweave.errors import InvalidInput
from stepweave.http.response import Reply, error_reply, from_handler, send_reply


def answer(status: Any = 200, body: Any = None, **headers: Any) -> Reply:
    return from_handler({"status": status, "headers": headers, "body": body})


def header(reply: Reply, name: bytes) -> list[bytes]:
    return [value for key, value in reply.head if key == name]


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        (("json", b'{"a":1}'), b"application/json", b'{"a":1}'),
        (payload.NULL, b"application/json", b"null"),
        (("text", "ü".encode()), b"text/html; charset=utf-8", "ü".encode()),
        (("text", b""), b"text/html; charset=utf-8", b""),
        (("bytes", b"\x00\xff"), b"application/octet-stream", b"\x00\xff"),
        (payload.encode({"b": b"\xff"}), b"application/json", b'{"b":"/w=="}'),
    ],
)
def test_a_body_has_the_type_of_its_format_unless_it_is_set(
    body: payload.Payload, kind: bytes, data: bytes
) -> None:
    reply = answer(body=body)
    assert (reply.status, reply.body) == (200, data)
    assert header(reply, b"content-type") == [kind]
    assert header(reply, b"content-length") == [b"%d" % len(data)]

    assert header(answer(body=body, **{"Content-Type": "a/b"}), b"content-type") == [b"a/b"]
    assert header(answer(body=body, **{"Content-Type": None}), b"content-type") == [kind]


def test_no_body_is_empty_and_has_no_type() -> None:
    reply = from_handler({"status": 202})

    assert reply.body == b""
    assert reply.head == [(b"content-length", b"0")]


def test_a_reset_content_has_no_body_and_says_so() -> None:
    reply = answer(205, ("text", b"x"))

    assert reply.body == b""
    assert reply.head == [(b"content-length", b"0")]


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_may_have_no_body_has_none_and_no_length(status: int) -> None:
    reply = answer(status, ("json", b'{"a":1}'), etag='"1"')

    assert reply.body == b""
    assert reply.head == [(b"etag", b'"1"')]


def test_headers_go_out_in_lower_case_with_lists_as_several() -> None:
    reply = answer(302, Location="/x", **{"Set-Cookie": ["a=1", "b=2"], "X-N": 7, "X-B": True})

    assert reply.head[:-1] == [
        (b"location", b"/x"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-n", b"7"),
        (b"x-b", b"true"),
    ]


def test_a_header_that_is_null_is_left_out() -> None:
    assert answer(a=None, b=["1", None]).head == [(b"b", b"1"), (b"content-length", b"0")]


@pytest.mark.parametrize(
    ("text", "sent"), [("é", b"\xe9"), ("世界", "世界".encode()), ("a\tb", b"a\tb")]
)
def test_header_text_is_latin_1_if_it_can_be(text: str, sent: bytes) -> None:
    assert header(answer(x=text), b"x") == [sent]


@pytest.mark.parametrize(
    "name",
    ["Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "X-Trace-Id"],
)
def test_a_handler_cannot_set_what_is_the_servers_own(name: str) -> None:
    assert answer(**{name: "99"}).head == [(b"content-length", b"0")]


@pytest.mark.parametrize(
    "value",
    ["a\r\nset-cookie: b=1", "a\nb", "a\rb", "a\0b", "a\x01b", "a\x1f", "\x7f", ["ok", "a\n"]],
)
def test_a_header_with_a_line_break_or_control_sign_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="header X-A holds a line break or control sign"):
        answer(**{"X-A": value})


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\nb", "ü", "a\0", "(a)"])
def test_a_header_name_that_http_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="characters that HTTP does not allow"):
        answer(**{name: "1"})


@pytest.mark.parametrize("value", [{"a": 1}, [["a"]], b"raw", {"a": "x" * 1000}])
def test_a_header_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput, match="header x must be text or a list of texts") as caught:
        answer(x=value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("status", [None, "200", 200.0, True, 0, -1, 99, 100, 101, 199, 600, 10**9])
def test_a_status_that_cannot_be_sent_is_refused(status: Any) -> None:
    with pytest.raises(InvalidInput, match="status must be a number from 200 to 599"):
        answer(status)


@pytest.mark.parametrize("result", [None, [], "text", 1, ("json", b"{}")])
def test_a_result_that_is_no_answer_is_refused(result: Any) -> None:
    with pytest.raises(InvalidInput, match="an API step answers with"):
        from_handler(result)


@pytest.mark.parametrize("headers", ["a: b", [["a", "b"]], 1])
def test_headers_that_are_no_object_are_refused(headers: Any) -> None:
    with pytest.raises(InvalidInput, match="headers must be an object"):
        from_handler({"status": 200, "headers": headers})


@pytest.mark.parametrize("body", ["plain", {"a": 1}, ["json", "text"], ["xml", b""], ["json"]])
def test_a_body_that_is_no_payload_is_refused(body: Any) -> None:
    with pytest.raises(InvalidInput, match="a payload is nil or"):
        from_handler({"status": 200, "body": body})


@given(
    st.dictionaries(st.text(), st.one_of(st.text(), st.lists(st.text()), st.none(), st.floats()))
)
def test_whatever_headers_a_handler_gives_what_is_sent_is_http(headers: dict[str, Any]) -> None:
    try:
        reply = from_handler({"status": 200, "headers": headers})
    except InvalidInput:
        return
    for name, value in reply.head:
        assert name and not HEADER_RE.search(name)
        assert not HEADER_VALUE_RE.search(value)


def test_an_error_is_json_with_its_length() -> None:
    reply = error_reply(418, "Grüße", traceId="ab")

    assert orjson.loads(reply.body) == {"error": "Grüße", "traceId": "ab"}
    assert header(reply, b"content-length") == [b"%d" % len(reply.body)]


@pytest.mark.anyio
async def test_head_gets_everything_but_the_body() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await send_reply(send, answer(body=("json", b"[1]")), "ab" * 16, head_only=True)

    start, end = sent
    assert (b"content-length", b"3") in start["headers"]
    assert (b"x-trace-id", b"ab" * 16) in start["headers"]
    assert end["body"] == b""
