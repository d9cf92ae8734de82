"""Bodies in parts, server-sent events and uploaded files, as handlers write and read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepweave_runner.files import Files
from stepweave_runner.sse import sse
from stepweave_runner.streaming import is_stream


async def numbers() -> Any:
    yield 1


@pytest.mark.parametrize("body", [iter([1]), (n for n in [1]), map(str, [1]), numbers()])
def test_generators_and_iterators_are_streams(body: Any) -> None:
    assert is_stream(body)


@pytest.mark.parametrize("body", [[1], (1,), {1}, {"a": 1}, "text", b"bytes", 1, None, range(3)])
def test_data_is_no_stream(body: Any) -> None:
    assert not is_stream(body)


def written(*events: Any) -> str:
    return "".join(sse(list(events))["body"])


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ("hello", "data: hello\n\n"),
        ({"data": "a\nb\r\nc\rd"}, "data: a\ndata: b\ndata: c\ndata: d\n\n"),
        ({"data": ""}, "data: \n\n"),
        ({"data": None}, "data: null\n\n"),
        ({"data": {"ü": [1]}}, 'data: {"ü":[1]}\n\n'),
        ({"event": "e", "id": 7, "retry": 10}, "event: e\nid: 7\nretry: 10\n\n"),
        ([1, 2], "data: [1,2]\n\n"),
    ],
)
def test_events_are_written_as_browsers_read_them(event: Any, text: str) -> None:
    assert written(event) == text


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"date": 1}, "an event has data, event, id and retry"),
        ({}, "an event has data"),
        ({"event": "a\nb", "data": 1}, "the event of an event is one line"),
        ({"id": "a\0b"}, "the id of an event is one line"),
        ({"retry": "soon"}, "in whole milliseconds"),
    ],
)
def test_what_is_no_event_is_refused(event: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        written(event)


@pytest.mark.parametrize("events", ["text", b"bytes", {"data": 1}, 7, None])
def test_what_holds_no_events_is_refused_at_once(events: Any) -> None:
    with pytest.raises(TypeError, match="a list or generator of events"):
        sse(events)


def test_headers_of_ones_own_go_before() -> None:
    headers = sse([], {"cache-control": "private"})["headers"]
    assert (headers["cache-control"], headers["content-type"]) == ("private", "text/event-stream")


def test_closing_the_body_closes_the_events() -> None:
    closed = []

    def events() -> Any:
        try:
            yield "one"
            yield "two"
        finally:
            closed.append(True)

    body = sse(events())["body"]
    assert next(body) == "data: one\n\n"
    body.close()
    assert closed == [True]


def test_files_are_read_by_position_field_key_and_attribute(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"on disk")
    files = Files(
        [
            {"field": "a", "name": "1", "type": "t", "size": 2, "data": b"in"},
            {"field": "a", "name": "2", "type": "t", "size": 7, "path": str(tmp_path / "b")},
        ]
    )

    assert [file.name for file in files] == ["1", "2"]
    assert files["a"] is files[0]
    assert files.named("a") == list(files)
    assert files.get("none") is None
    assert [(file["bytes"], file.path is None) for file in files] == [
        (b"in", True),
        (b"on disk", False),
    ]
    with pytest.raises(KeyError):
        files["none"]
    with pytest.raises(AttributeError, match="it has path, field"):
        _ = files[0].colour
