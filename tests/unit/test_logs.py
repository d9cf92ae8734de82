"""The hub, masking and cutting of records, and how a console shows them."""

from __future__ import annotations

import io
import logging
import threading
from typing import Any

import orjson
import pytest

from stepweave import logs, masking
from stepweave.console import Console
from stepweave.errors import UsageError
from stepweave.logline import render, render_json
from stepweave.logs import Bridge, LogHub, Record
from stepweave.paint import Paint, wants_color

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BARE = Paint(color=False)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def add_log(self, record: Record) -> None:
        self.records.append(record)


class Terminal(io.StringIO):
    """A text stream that says whether it is a terminal, and can be made to hang."""

    def __init__(self, tty: bool = False) -> None:
        super().__init__()
        self.tty = tty
        self.open = threading.Event()
        self.reached = threading.Event()
        self.open.set()

    def isatty(self) -> bool:
        return self.tty

    def write(self, text: str) -> int:
        self.reached.set()
        self.open.wait()
        return super().write(text)


def record(message: str = "hi", level: Any = "info", **fields: Any) -> Record:
    data = orjson.dumps(fields) if fields else None
    return Record(1_732_300_000_123, level, message, data, TRACE, None, "Pay")


def masked(fields: dict[str, Any]) -> Any:
    return orjson.loads(masking.mask(orjson.dumps(fields)))


# --- hub


def test_every_sink_gets_a_record_until_it_is_taken_off() -> None:
    one, two = Kept(), Kept()
    hub = LogHub(one)
    hub.add(two)
    hub.emit(record("first"))
    hub.remove(one)
    hub.emit(record("second"))

    assert [item.message for item in one.records] == ["first"]
    assert [item.message for item in two.records] == ["first", "second"]


def test_stepweaves_own_records_carry_any_value_as_text() -> None:
    kept = Kept()
    LogHub(kept).log("warn", "odd", step="Pay", trace_id=TRACE, what=object, port=1)

    (said,) = kept.records
    assert (said.level, said.source, said.step, said.trace_id) == (
        "warn",
        "stepweave",
        "Pay",
        TRACE,
    )
    assert orjson.loads(said.fields or b"") == {"what": "<class 'object'>", "port": 1}


def test_a_record_without_fields_passes_untouched() -> None:
    kept = Kept()
    given = record()
    LogHub(kept).emit(given)

    assert kept.records[0] is given


def test_secrets_are_masked_before_any_sink_sees_them() -> None:
    kept = Kept()
    LogHub(kept).emit(record(password="hunter2", orderId="o1"))

    assert orjson.loads(kept.records[0].fields or b"") == {"password": "[masked]", "orderId": "o1"}


def test_long_parts_of_a_record_are_cut_with_a_note() -> None:
    kept = Kept()
    LogHub(kept).emit(record("x" * 40_000, text="y" * 100_000, rows=list(range(500))))

    (said,) = kept.records
    assert said.message.endswith("… (7232 more characters)")
    assert said.fields is not None and len(said.fields) < logs.FIELDS_LIMIT
    fields = orjson.loads(said.fields)
    assert fields["text"].endswith("… (95904 more characters)")
    assert fields["rows"][-1] == "… (400 more)"


def test_fields_that_stay_too_large_show_their_beginning() -> None:
    kept = Kept()
    LogHub(kept).emit(record(**dict.fromkeys(map(str, range(2000)), "z" * 100)))

    fields = orjson.loads(kept.records[0].fields or b"")
    assert list(fields) == ["cut"] and fields["cut"].startswith('{"0":')


def test_pythons_own_logging_comes_in_through_the_bridge() -> None:
    kept = Kept()
    logger = logging.Logger("uvicorn.error")
    logger.addHandler(Bridge(LogHub(kept)))
    try:
        raise ValueError("no")
    except ValueError:
        logger.exception("it broke: %s", "x")
    logger.info("chatter")

    (said,) = kept.records
    assert (said.level, said.message) == ("error", "it broke: x")
    fields = orjson.loads(said.fields or b"")
    assert fields["logger"] == "uvicorn.error"
    assert fields["error"]["message"] == "no" and "Traceback" in fields["error"]["stack"]


@pytest.mark.parametrize(
    ("text", "level"), [("INFO", "info"), ("warning", "warn"), (" debug ", "debug")]
)
def test_a_level_may_be_written_in_any_case(text: str, level: str) -> None:
    assert logs.level_of(text) == level


def test_an_unknown_level_is_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match='"loud" is not one of debug, info, warn, error'):
        logs.level_of("loud")


# --- masking


@pytest.mark.parametrize(
    "key",
    [
        "password", "dbPassword", "DB_PASSWORD", "passwd", "pwd", "passphrase", "secret",
        "clientSecret", "token", "accessToken", "access_token", "Authorization", "api_key",
        "apiKey", "APIKey", "x-api-key", "apikey", "privateKey", "cookie", "set-cookie",
        "credentials", "STRIPE_SECRET_KEY",
    ],
)  # fmt: skip
def test_a_value_whose_key_looks_like_a_secret_is_masked(key: str) -> None:
    assert masked({"a": [{key: "s3cr3t"}]}) == {"a": [{key: "[masked]"}]}


@pytest.mark.parametrize(
    "fields",
    [
        {"key": "order-1"},
        {"keyboard": "qwerty"},
        {"secretary": "Ann"},
        {"max_tokens": 512, "usage": {"prompt_tokens": 12}},
        {"tokenCount": 7},
        {"hasPassword": True, "password": None},
        {"author": "Ann", "passenger": "Bob"},
    ],
)
def test_a_value_that_only_resembles_a_secret_stays(fields: dict[str, Any]) -> None:
    assert masked(fields) == fields


def test_everything_below_a_secrets_key_is_masked() -> None:
    assert masked({"cookies": {"sid": "1"}, "password": 1234}) == {
        "cookies": "[masked]",
        "password": "[masked]",
    }


@pytest.mark.parametrize(
    "data", [b'{"password": oops', b'{"a":' * 900 + b'{"token":1}' + b"}" * 900]
)
def test_what_cannot_be_read_and_may_hold_a_secret_is_not_kept(data: bytes) -> None:
    assert list(orjson.loads(masking.mask(data))) == ["unreadable"]


# --- one line


def test_a_record_is_one_line_with_short_fields_on_it() -> None:
    line = render(record("Paid", orderId="o-1", amount=12.5, note="two words", ok=True), BARE)

    assert line[0] == "[" and line[13:] == (
        '] INFO  0e0e4736 Pay Paid orderId=o-1 amount=12.5 note="two words" ok=true'
    )


def test_large_fields_become_a_tree_below_the_line() -> None:
    long = "word " * 30
    line = render(record("Paid", user={"name": long, "city": "Oslo"}, id=1), BARE)

    assert line.splitlines()[0].endswith("Pay Paid id=1")
    assert line.splitlines()[1:] == ["  └ user", f"    ├ name {long}", "    └ city Oslo"]


def test_an_error_shows_its_stack_as_lines() -> None:
    error = {"name": "TypeError", "message": "x is null", "stack": "at handler (pay.ts:1:2)\nat y"}
    line = render(record("Failed", error=error), BARE)

    assert line.splitlines()[1:] == [
        "  └ error",
        "    TypeError: x is null",
        "    at handler (pay.ts:1:2)",
        "    at y",
    ]


def test_a_message_cannot_steer_the_terminal_or_forge_a_line() -> None:
    line = render(record("a\x1b[2Jb\rc\n[12:00:00.000] INFO  forged", k="\x1b]0;t\x07"), BARE)

    assert "\x1b" not in line and "\r" not in line
    assert line.splitlines()[1].startswith("  [12:00:00.000]")


def test_verbose_fields_can_be_turned_off() -> None:
    assert render(record("Paid", id=1), BARE, fields=False).endswith("Pay Paid")


def test_fields_that_are_no_object_are_shown_as_a_value() -> None:
    assert render(Record(1, "info", "x", b"[1,2]"), BARE).endswith("x value=[1,2]")
    assert render(Record(1, "info", "x", b"oops"), BARE).endswith("x value=oops")


def test_a_record_as_json_is_one_object_a_line() -> None:
    assert orjson.loads(render_json(record("Paid", id=1))) == {
        "time": "2024-11-22T18:26:40.123Z",
        "level": "info",
        "message": "Paid",
        "step": "Pay",
        "traceId": TRACE,
        "source": "logger",
        "fields": {"id": 1},
    }


def test_colours_dress_the_line_and_nothing_else() -> None:
    plain = render(record("Paid", id=1), BARE)
    colored = render(record("Paid", id=1), Paint(color=True))

    assert colored != plain and "\x1b[34mINFO" in colored


@pytest.mark.parametrize(
    ("tty", "env", "wanted"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "0"}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    tty: bool, env: dict[str, str], wanted: bool
) -> None:
    assert wants_color(Terminal(tty), env) is wanted


# --- console


def test_a_console_writes_records_of_its_level_in_order_with_text() -> None:
    terminal = Terminal()
    console = Console(terminal, level="info")
    console.add_log(record("first"))
    console.add_log(record("hidden", "debug"))
    console.write("— text —\n")
    console.add_log(record("last", "error"))
    console.close()

    lines = terminal.getvalue().splitlines()
    assert [line.split()[-1] for line in lines] == ["first", "—", "last"]


def test_a_console_that_is_flushed_has_written_everything() -> None:
    terminal = Terminal()
    console = Console(terminal)
    assert console.flush()
    console.add_log(record("now"))
    assert console.flush()

    assert "now" in terminal.getvalue()
    console.close()


def test_a_stuck_terminal_drops_debug_first_and_says_how_many() -> None:
    terminal = Terminal()
    console = Console(terminal, level="debug", capacity=10)
    terminal.open.clear()
    console.add_log(record("taken by the thread"))
    assert terminal.reached.wait(30)
    for number in range(20):
        console.add_log(record(f"debug-{number}", "debug"))
    for number in range(20):
        console.add_log(record(f"info-{number}"))
    for number in range(20):
        console.add_log(record(f"error-{number}", "error"))
    terminal.open.set()
    console.close()

    text = terminal.getvalue()
    assert [text.count(word) for word in ("debug-", "info-", "error-")] == [5, 5, 10]
    assert "40 records (15 debug) left out" in text


def test_a_stream_that_is_gone_does_not_hurt() -> None:
    terminal = Terminal()
    terminal.close()
    console = Console(terminal, color=False)
    console.add_log(record("lost"))
    console.close()
    console.add_log(record("after the end"))

    assert console.flush()


def test_a_character_that_the_stream_lacks_is_replaced() -> None:
    raw = io.BytesIO()
    console = Console(io.TextIOWrapper(raw, encoding="ascii"))
    console.add_log(record("grüße", large={"a": "x " * 100}))
    console.close()

    assert b"gr??e" in raw.getvalue()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_record_that_cannot_be_shown_does_not_end_the_others(as_json: bool) -> None:
    terminal = Terminal()
    console = Console(terminal, as_json=as_json)
    console.add_log(record("half \ud800"))
    console.add_log(record("next"))
    console.close()

    assert "half" in terminal.getvalue() and "next" in terminal.getvalue()


def test_json_lines_are_written_instead_of_text() -> None:
    terminal = Terminal()
    console = Console(terminal, as_json=True)
    console.add_log(record("Paid"))
    console.close()

    assert orjson.loads(terminal.getvalue())["message"] == "Paid"
