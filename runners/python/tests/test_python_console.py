"""Printed text as log records of the running scope, or as lines of stderr."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest

from stepweave_runner import console


class FakeScope:
    """Keeps what is logged to it."""

    def __init__(self) -> None:
        self.closed = False
        self.held: dict[str, str] | None = None
        self.records: list[tuple[str, str, str]] = []
        self.fields: list[Any] = []

    def log(self, level: str, message: str, fields: Any = None, source: str = "logger") -> None:
        self.records.append((level, message, source))
        self.fields.append(fields)


@pytest.fixture
def scope() -> Iterator[FakeScope]:
    """A scope that is running."""
    scope: Any = FakeScope()
    token = console.running.set(scope)
    yield scope
    console.running.reset(token)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What reaches stderr."""
    lines: list[str] = []
    monkeypatch.setattr(console, "complain", lines.append)
    return lines


def test_a_print_is_one_record_a_line(scope: FakeScope) -> None:
    out = console.Output("stdout", "info", 1)

    print("one", 2, file=out)
    out.write("three\r\nfour\n\n  \n")

    assert scope.records == [
        ("info", "one 2", "stdout"),
        ("info", "three", "stdout"),
        ("info", "four", "stdout"),
    ]


def test_text_waits_for_the_end_of_its_line_or_of_the_handler(scope: Any) -> None:
    out, err = console.Output("stdout", "info", 1), console.Output("stderr", "warn", 2)

    out.write("load")
    err.write("oops")
    out.write("ing\nlast")
    out.settle(scope)
    err.settle(scope)
    out.settle(scope)

    assert scope.records == [
        ("info", "loading", "stdout"),
        ("info", "last", "stdout"),
        ("warn", "oops", "stderr"),
    ]


def test_a_line_that_never_ends_leaves_in_pieces(scope: Any) -> None:
    out = console.Output("stdout", "info", 1)

    for _ in range(100_000):
        out.write(".")

    out.settle(scope)
    assert sum(len(record[1]) for record in scope.records) == 100_000
    assert len(scope.records) == 7


def test_outside_of_handlers_lines_go_to_stderr(lines: list[str]) -> None:
    out = console.Output("stdout", "info", 1)

    out.write("imp")
    out.write("orted\nand")

    assert lines == ["imported"]


def test_after_its_end_a_scope_gets_nothing(scope: FakeScope, lines: list[str]) -> None:
    scope.closed = True

    console.Output("stdout", "info", 1).write("late\n")

    assert scope.records == []
    assert lines == ["late"]


def test_two_scopes_that_print_by_turns_stay_apart(scope: FakeScope) -> None:
    out = console.Output("stdout", "info", 1)
    other: Any = FakeScope()

    out.write("a1 ")
    token = console.running.set(other)
    out.write("b1\n")
    console.running.reset(token)
    out.write("a2\n")

    assert scope.records == [("info", "a1 a2", "stdout")]
    assert other.records == [("info", "b1", "stdout")]


def test_bytes_may_be_written_to_its_buffer(scope: FakeScope) -> None:
    out = console.Output("stdout", "info", 1)

    written = out.buffer.write(b"caf\xc3\xa9 \xff\n")

    assert written == 8
    assert scope.records == [("info", "café \\xff", "stdout")]


def test_it_behaves_as_a_text_stream() -> None:
    out = console.Output("stdout", "info", 1)

    assert (out.writable(), out.readable(), out.isatty(), out.fileno()) == (True, False, False, 1)
    assert out.encoding == "utf-8"
    out.flush()
    out.reconfigure(line_buffering=True)
    with pytest.raises(TypeError, match="must be str, not int"):
        out.write(1)  # type: ignore[arg-type]
    with pytest.raises(io.UnsupportedOperation):
        out.read()


def test_a_logging_handler_on_stderr_keeps_level_and_fields(
    scope: FakeScope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.StreamHandler, "emit", logging.StreamHandler.emit)
    console._capture_logging()
    logger = logging.getLogger("shop")
    handler = logging.StreamHandler(console.stderr)
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    logger.setLevel(logging.DEBUG)

    logger.info("paid %s", 7, extra={"order": 1})
    logger.warning("late")
    try:
        raise ValueError("no stock")
    except ValueError:
        logger.exception("failed")
    logger.debug("detail")

    assert [record[:2] for record in scope.records] == [
        ("info", "paid 7"),
        ("warn", "late"),
        ("error", "failed"),
        ("debug", "detail"),
    ]
    assert scope.fields[0] == {"order": 1, "logger": "shop"}
    assert str(scope.fields[2]["error"]) == "no stock"


def test_the_guard_moves_the_wire_and_points_stdout_at_stderr() -> None:
    outside = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(outside[1], 1)
        os.dup2(outside[1], 2)
        reading, writing = console.guard()
        fine = (
            not os.get_inheritable(reading)
            and not os.get_inheritable(writing)
            and os.read(0, 1) == b""
            and os.fstat(1) == os.fstat(2)
        )
        os.write(writing, b"wire")
        os._exit(0 if fine else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.read(outside[0], 10) == b"wire"
    for descriptor in outside:
        os.close(descriptor)
