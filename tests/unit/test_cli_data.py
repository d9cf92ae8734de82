"""`events` and `state` on a project that no server runs, and how they find one that does."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepweave import cli, serving
from stepweave.cli import desk as cli_desk
from stepweave.cli import presence
from stepweave.cli.table import table
from stepweave.engine.store.operations import Bury, PutEvent, Retry, StateSet
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.paint import Paint
from stepweave.payload import encode

ERROR = {
    "code": "handler_failed",
    "type": "ValueError",
    "message": "no\nmoney\x1b[31m",
    "frames": [{"file": "steps/pay.step.py", "line": 3, "function": "handler"}],
}


class Desk:
    """A project's folder, and what the last command said."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.storage = root / ".stepweave"
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, *words: str) -> int:
        code = cli.main([*words, "--dir", str(self.root)])
        self.out, self.err = self._capsys.readouterr()
        return code

    def json(self, *words: str) -> Any:
        assert self.run(*words, "--json") == 0, self.err
        return json.loads(self.out)

    def apply(self, *operations: Any) -> None:
        async def apply() -> None:
            store = SqliteStore(self.storage)
            await store.apply(operations)
            await store.close()

        asyncio.run(apply())

    def bury(self, *steps: str) -> None:
        """Make a dead letter for each of the steps."""
        for n, step in enumerate(steps, 1):
            put = PutEvent(n, "order", encode({"n": n}), "00-7-8-01", "Shop", 5, None, None,
                           ((step, 0),))  # fmt: skip
            self.apply(put, Bury(n, step, 4, "error", orjson.dumps(ERROR), 8, True))

    def waiting(self) -> list[Any]:
        """The data of what is to be delivered."""
        found: list[Any] = []

        async def read() -> None:
            store = SqliteStore(self.storage)
            for each in list(store.waiting()):
                store.event(each.event, lambda error, event: found.append(event.data))
            await store.close()

        asyncio.run(read())
        return found


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    (tmp_path / "steps").mkdir()
    return Desk(tmp_path, capsys)


# --- events


def test_dead_letters_are_listed_on_one_line_each(desk: Desk) -> None:
    desk.bury("Pay", "Ship")

    assert desk.run("events", "dead") == 0
    head, second, first = desk.out.splitlines()
    assert head.split() == ["ID", "DIED", "STEP", "TOPIC", "AFTER", "REASON", "ERROR"]
    assert second.startswith("2 ") and first.startswith("1 ")
    assert "Pay   order  4 tries  error   no money\\x1b[31m" in first
    assert desk.err == ""

    assert desk.run("events", "dead", "--limit", "1") == 0
    assert len(desk.out.splitlines()) == 2 and "--before 2" in desk.err
    assert [it["id"] for it in desk.json("events", "dead", "--before", "2")["dead"]] == [1]


def test_no_dead_letters_are_said_to_be_none(desk: Desk) -> None:
    assert desk.run("events", "dead") == 0
    assert (desk.out, desk.err) == ("", "there are no dead letters\n")
    assert desk.json("events", "dead") == {"dead": [], "next": None}


def test_a_dead_letter_is_shown_with_its_place_and_data(desk: Desk) -> None:
    desk.bury("Pay")

    assert desk.run("events", "show", "1") == 0
    lines = desk.out.splitlines()
    assert lines[0] == "dead letter 1"
    assert "  topic   order, emitted by Shop" in lines
    assert "      at steps/pay.step.py:3 in handler" in lines
    assert lines[-4:] == ["data (object, 7 B)", "{", '  "n": 1', "}"]
    assert "\x1b" not in desk.out
    assert desk.json("events", "show", "1")["error"] == ERROR


def test_an_error_outside_the_project_is_shown_with_its_stack(desk: Desk) -> None:
    error = orjson.dumps({"message": "no money", "frames": [], "trace": "no money\n  at lib.js:1"})
    put = PutEvent(1, "order", None, "00-7-8-01", "Shop", 5, "eu", None, (("Pay", 0),))
    desk.apply(put, Bury(1, "Pay", 1, "error", error, 8, True))

    assert desk.run("events", "show", "1") == 0
    lines = desk.out.splitlines()
    assert "  group   eu" in lines
    assert lines[-6:] == [
        "  a try", "    no money", "      no money", "        at lib.js:1", "", "no data",
    ]  # fmt: skip


def test_what_is_retried_waits_for_the_next_start(desk: Desk) -> None:
    desk.bury("Pay", "Pay")

    assert desk.run("events", "retry", "1", "2", "--data", '{"n": 9}') == 0
    assert desk.out.startswith("dead letter 1 waits for the next start as event ")
    assert desk.waiting() == [encode({"n": 9})] * 2


def test_a_letter_that_is_not_there_does_not_keep_the_others(desk: Desk) -> None:
    desk.bury("Pay", "Pay")

    assert desk.run("events", "retry", "7", "1", "--json") == 1
    assert list(json.loads(desk.out)) == ["1"]
    assert desk.err == "stepweave: there is no dead letter 7\n"
    assert desk.run("events", "discard", "7", "2") == 1
    assert desk.out == "dead letter 2 discarded\n"
    assert desk.run("events", "show", "2") == 1
    assert desk.waiting() == [encode({"n": 1})]


def test_all_or_those_of_one_step_are_taken(desk: Desk) -> None:
    desk.bury("Pay", "Ship", "Pay")

    assert desk.run("events", "retry", "--all", "--step", "Pay") == 0
    assert desk.out == "2 dead letters wait for the next start\n"
    assert desk.run("events", "discard", "--all") == 0
    assert desk.out == "1 dead letter discarded\n"
    assert desk.json("events", "retry", "--all") == {"retried": 0}


@pytest.mark.parametrize(
    "words",
    [
        ["events"],
        ["events", "bury"],
        ["events", "show"],
        ["events", "show", "x"],
        ["events", "show", ""],
        ["events", "show", "9" * 40],
        ["events", "dead", "--limit", "0"],
        ["events", "dead", "--before", "-1"],
        ["events", "retry"],
        ["events", "retry", "1", "--all"],
        ["events", "retry", "1", "--step", "Pay"],
        ["events", "retry", "1", "--data", "{"],
        ["events", "retry", "--all", "--data", "1"],
        ["events", "discard"],
        ["events", "list", "--state", "lost"],
        ["events", "list", "--limit", "0"],
        ["events", "list", "--before", "7"],
        ["events", "cancel"],
        ["events", "cancel", "7"],
        ["events", "cancel", "0000000000000001", "--all"],
        ["events", "cancel", "0000000000000001", "--topic", "order"],
        ["state", "set", "g", "k", "1", "--ttl", "soon"],
        ["state", "set", "g", "k", "1", "--ttl", "0"],
        ["state", "set", "g", "k", "1", "--expect", "{"],
        ["state", "set", "g", "k", "1", "--expect", "1", "--absent"],
        ["state", "set", "g", "k", "-", "--expect", "-"],
        ["state"],
        ["state", "list"],
        ["state", "list", "g", "--limit", "x"],
        ["state", "list", "\udcff"],
        ["state", "get", "g"],
        ["state", "set", "g", "k", "text"],
    ],
)
def test_what_is_asked_for_wrongly_changes_nothing(desk: Desk, words: list[str]) -> None:
    desk.bury("Pay")

    assert desk.run(*words) == 2
    assert desk.err
    assert desk.waiting() == []
    assert len(desk.json("events", "dead")["dead"]) == 1


@pytest.mark.parametrize("name", ["events", "state"])
def test_every_subcommand_explains_itself_with_examples(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    words = {line.split()[2] for line in text.split("examples:\n")[1].splitlines()}
    assert len(words) >= 4
    for word in words:
        assert cli.main([name, word, "--help"]) == 0
        help = capsys.readouterr().out
        assert f"examples:\n  stepweave {name} {word}" in help and "--json" in help


def test_a_letter_that_holds_a_group_is_marked_and_tells_of_every_try(desk: Desk) -> None:
    errors = [{"attempt": n, "at": n, "status": "error", "message": f"no {n % 2}"} for n in (1, 3)]
    put = [PutEvent(n, "order", None, "00-7-8-01", "Shop", 5, "order-7", None, (("Pay", 0),))
           for n in (1, 2)]  # fmt: skip
    desk.apply(
        *put,
        Retry(1, "Pay", 2, 0, orjson.dumps(errors[0])),
        Retry(1, "Pay", 3, 0, orjson.dumps(errors[1])),
        Bury(1, "Pay", 3, "timeout", orjson.dumps({"message": "late", "status": "timeout"}), 8,
             True, holds=True),
    )  # fmt: skip

    assert desk.run("events", "dead", "--step", "Pay") == 0
    assert "3 tries  timeout  holds order-7  late" in desk.out
    assert desk.run("events", "dead", "--step", "Ship") == 0
    assert desk.out == ""
    assert desk.run("events", "show", "1") == 0
    assert "  holds   order-7: 1 delivery behind it waits until it is retried or" in desk.out
    assert [line.split(",")[0] for line in desk.out.splitlines() if line[:5] == "  try"] == [
        "  try 1", "  try 3",
    ]  # fmt: skip
    assert ": the same" in desk.out and "    late\n" in desk.out
    assert desk.run("events", "discard", "1") == 0
    assert desk.run("events", "list") == 0
    assert "waiting" in desk.out and "held" not in desk.out


# --- deliveries


def put(id: int, *steps: str, due_at: int = 0, **more: Any) -> PutEvent:
    deliveries = tuple((step, due_at) for step in steps)
    put = PutEvent(id, "order", encode({"n": id}), "00-7-8-01", "Shop", 5, None, None, deliveries)
    return put._replace(**more)


def test_deliveries_are_listed_with_their_states(desk: Desk) -> None:
    desk.apply(
        put(1, "Pay"), put(2, "Pay", due_at=1 << 42), put(3, "Pay", "Ship", group="eu"),
        Retry(3, "Ship", 2, 1 << 42, orjson.dumps({"message": "no\nship"})),
    )  # fmt: skip

    assert desk.run("events", "list") == 0
    head, *rows = desk.out.splitlines()
    assert head.split() == ["EVENT", "STEP", "TOPIC", "STATE", "WHEN", "TRY", "GROUP", "SIZE",
                            "ERROR"]  # fmt: skip
    assert [(row.split()[1], row.split()[3]) for row in rows] == [
        ("Ship", "retrying"), ("Pay", "waiting"), ("Pay", "scheduled"), ("Pay", "waiting"),
    ]  # fmt: skip
    assert rows[0].endswith("2    eu     7 B   no ship") and " d ago " in rows[1]
    assert desk.run("events", "list", "--state", "waiting", "--limit", "1") == 0
    assert len(desk.out.splitlines()) == 2
    assert desk.err == "there may be more: --before 0000000000000003:Pay\n"
    found = desk.json("events", "list", "--before", "0000000000000003:Pay")["events"]
    assert [it["event"][-1] for it in found] == ["2", "1"]
    assert desk.run("events", "list", "--state", "held") == 0
    assert (desk.out, desk.err) == ("", "nothing like that waits\n")


def test_nothing_that_waits_is_said_to_be_none(desk: Desk) -> None:
    assert desk.run("events", "list") == 0
    assert (desk.out, desk.err) == ("", "nothing waits\n")


def test_an_event_is_shown_with_its_deliveries(desk: Desk) -> None:
    desk.apply(put(1, "Pay", "Ship"), Bury(1, "Pay", 4, "error", orjson.dumps(ERROR), 8, None))

    assert desk.run("events", "show", "0000000000000001") == 0
    lines = desk.out.splitlines()
    assert lines[0] == "event 0000000000000001"
    assert "Pay dead after 4 tries (error): dead letter 1" in lines
    assert any(line.startswith("Ship waiting, try 1, ") for line in lines)
    assert lines[-4:] == ["data (object, 7 B)", "{", '  "n": 1', "}"]
    assert len(desk.json("events", "show", "0000000000000001")["deliveries"]) == 2
    assert desk.run("events", "show", "0000000000000009") == 1
    assert "its trace tells" in desk.err


def test_deliveries_are_cancelled_one_event_or_many(desk: Desk) -> None:
    desk.apply(*(put(n, "Pay", "Ship") for n in (1, 2, 3)))

    assert desk.run("events", "cancel", "0000000000000001", "0000000000000009") == 1
    assert desk.out == "event 0000000000000001: 2 deliveries cancelled\n"
    assert desk.err == "stepweave: nothing of event 0000000000000009 waits or runs\n"
    assert desk.run("events", "cancel", "0000000000000002", "--step", "Pay") == 0
    assert desk.out == "event 0000000000000002: 1 delivery cancelled\n"
    assert desk.run("events", "cancel", "--all", "--step", "Ship", "--topic", "order") == 0
    assert desk.out == "2 deliveries cancelled\n"
    assert desk.json("events", "cancel", "--all") == {"cancelled": 1, "running": 0}
    assert desk.waiting() == []


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_person_is_asked_before_everything_goes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    desk.apply(put(7, "Pay"), StateSet("g", "k", encode(1)))
    desk.bury("Ship")
    monkeypatch.setattr("stepweave.cli.subcommands.at_terminal", lambda: True)
    for words in (["events", "cancel", "--all"], ["events", "discard", "--all"],
                  ["state", "delete", "g"]):  # fmt: skip
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        assert desk.run(*words) == left
        assert "? [y/N] " in desk.err and ("nothing was changed" in desk.err) == bool(left)
    assert len(desk.waiting()) == left
    assert desk.run("events", "cancel", "--all", "--yes") == 0
    assert "[y/N]" not in desk.err


# --- state


def test_values_are_set_read_listed_and_deleted(desk: Desk) -> None:
    assert desk.run("state", "set", "a/b", "k k", '{"x": [1, 12345678901234567890123]}') == 0
    assert desk.out == '"k k" of "a/b" is set\n'
    assert desk.run("state", "get", "a/b", "k k") == 0
    assert json.loads(desk.out) == {"x": [1, 12345678901234567890123]}
    assert desk.json("state", "get", "a/b", "k k")["type"] == "object"

    assert desk.run("state", "groups") == 0
    assert [line.split() for line in desk.out.splitlines()] == [
        ["GROUP", "KEYS", "SIZE"], ["a/b", "1", "35", "B"],
    ]  # fmt: skip
    assert desk.run("state", "list", "a/b") == 0
    assert desk.out.splitlines()[1] == 'k k  object  35 B  {"x": [1, 12345678901234567890123]}'

    assert desk.run("state", "delete", "a/b", "k k") == 0
    assert desk.run("state", "get", "a/b", "k k") == 1
    assert desk.err == 'stepweave: the group "a/b" has no key "k k"\n'


def test_a_value_is_printed_exactly(desk: Desk) -> None:
    value = '{"pi": 3.14159265358979323846, "big": 12e300, "s": "a\\u0000\\u2713", "n": 1.10}'
    assert desk.run("state", "set", "g", "k", value) == 0

    assert desk.run("state", "get", "g", "k") == 0
    assert "".join(desk.out.split()) == "".join(value.split())
    desk.apply(StateSet("g", "bytes", encode(b"\x00")), StateSet("g", "bad", ("msgpack", b"\xc1")))
    assert desk.run("state", "get", "g", "bytes") == 0
    assert desk.out == '"AA=="\n'
    assert desk.run("state", "get", "g", "bad") == 1
    assert "cannot be shown" in desk.err


def test_a_value_is_set_only_where_the_expected_one_is(desk: Desk) -> None:
    place = ["state", "set", "jobs", "night"]
    assert desk.run(*place, "1", "--expect", "1") == 1
    assert desk.err == 'stepweave: "night" of "jobs" is not there, so it was not set\n'
    assert desk.run(*place, '{"a": 1, "b": 2}', "--absent") == 0
    assert desk.run(*place, "1", "--absent") == 1
    assert desk.err == 'stepweave: "night" of "jobs" is there already; it was left as it is\n'
    assert desk.run(*place, "1", "--expect", '{"b": 2, "a": 1}') == 0
    assert desk.run(*place, "2", "--expect", "true") == 1
    assert desk.err == 'stepweave: "night" of "jobs" holds 1, so it was left as it is\n'
    assert desk.json("state", "get", "jobs", "night")["value"] == 1


def test_a_value_with_a_time_to_live_shows_when_it_leaves(desk: Desk) -> None:
    assert desk.run("state", "set", "g", "k", "1", "--ttl", "10m") == 0

    assert desk.run("state", "list", "g") == 0
    head, row = desk.out.splitlines()
    assert head.split() == ["KEY", "TYPE", "SIZE", "EXPIRES", "VALUE"]
    assert "in 10 min" in row or "in 9 min" in row


def test_names_that_cannot_be_seen_are_spelled_out(desk: Desk) -> None:
    for key in ("", "a/b", "a\nb", "é", " x"):
        desk.apply(StateSet("g\n", key, encode(1)))

    assert desk.run("state", "groups") == 0
    assert desk.out.splitlines()[1].startswith('"g\\n"  5 ')
    assert desk.run("state", "list", "g\n") == 0
    rows = desk.out.splitlines()[1:]
    assert [row.split("  ")[0].rstrip() for row in rows] == ['""', '" x"', '"a\\nb"', "a/b", "é"]
    assert desk.run("state", "list", "g\n", "--limit", "3") == 0
    assert desk.err == "there may be more: --after $'a\\x0ab'\n"
    assert desk.run("state", "list", "g\n", "--limit", "1") == 0
    assert desk.err == "there may be more: --after ''\n"
    assert desk.run("state", "get", "g\n", "a\nb") == 0
    assert desk.run("state", "delete", "g\n", "") == 0
    assert desk.out == '"" of "g\\n" is deleted\n'


def test_a_group_is_listed_in_pages_and_deleted(desk: Desk) -> None:
    desk.apply(*(StateSet("g", key, encode("x" * 20_000)) for key in ("a", "b", "c d")))

    assert desk.run("state", "list", "g", "--limit", "2") == 0
    _head, *rows = desk.out.splitlines()
    assert [row.split()[0] for row in rows] == ["a", "b"]
    assert all(len(row) < 110 and row.endswith("…") for row in rows)
    assert desk.err == "there may be more: --after b\n"
    assert [it["key"] for it in desk.json("state", "list", "g", "--after", "b")["values"]] == [
        "c d"
    ]
    assert desk.run("state", "delete", "g") == 0
    assert desk.out == '3 values of "g" deleted\n'
    assert desk.run("state", "list", "g") == 0
    assert desk.err == 'there is nothing in the group "g"\n'


def test_a_value_of_many_levels_is_shown_and_keeps_no_other_from_being_listed(desk: Desk) -> None:
    deep = b'{"a":' * 1020 + b"1" + b"}" * 1020
    desk.apply(StateSet("g", "deep", ("json", deep)), StateSet("g", "flat", encode(1)))

    assert desk.run("state", "list", "g") == 0
    assert len(desk.out.splitlines()) == 3
    assert desk.run("state", "list", "g", "--json") == 0
    assert desk.out.count('"key"') == 2
    assert desk.run("state", "get", "g", "deep") == 0
    assert desk.out.count("{") == 1020


def test_a_table_is_as_wide_as_the_terminal_and_coloured_there() -> None:
    text = table(("A", "B"), [("on", "x" * 50)], styles={"A": Paint.red}, paint=Paint(True),
                 width=20)  # fmt: skip

    assert text.splitlines() == ["\x1b[90mA \x1b[0m  \x1b[90mB\x1b[0m",
                                 f"\x1b[31mon\x1b[0m  {'x' * 15}…"]  # fmt: skip


def test_a_table_has_columns_and_one_line_a_row() -> None:
    text = table(("A", "BB"), [("one\ntwo", "x" * 100), ("", "\x07")])

    assert text == f"A        BB\none two  {'x' * 71}…\n         \\x07\n"


# --- which server


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_a_server_is_found_while_its_process_lives(tmp_path: Path) -> None:
    assert presence.find(tmp_path) is None
    presence.announce(tmp_path, "http://localhost:1", "secret")
    assert presence.find(tmp_path) == ("http://localhost:1", os.getpid(), "secret")
    assert (tmp_path / "server.json").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["server.json"]
    presence.withdraw(tmp_path)
    presence.withdraw(tmp_path)
    assert presence.find(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"url": "http://x", "pid": "x"}',
                                  '{"url": "http://x", "pid": 0}'])  # fmt: skip
def test_a_broken_note_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)

    assert presence.find(tmp_path) is None


def test_what_a_killed_server_left_is_passed_over(desk: Desk) -> None:
    desk.bury("Pay")
    for pid in (dead_pid(), os.getpid()):  # the second: the number went to another process
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"http://localhost:{nobody.getsockname()[1]}"
            presence.announce(desk.storage, url, "key")
            file = desk.storage / "server.json"
            file.write_text(json.dumps({**json.loads(file.read_text()), "pid": pid}))
            assert [it["id"] for it in desk.json("events", "dead")["dead"]] == [1]


def test_a_copy_of_a_folder_is_not_taken_for_the_one_that_a_server_runs(tmp_path: Path) -> None:
    first, copy, moved = tmp_path / "first", tmp_path / "copy", tmp_path / "moved"
    first.mkdir()
    presence.announce(first, "http://localhost:1", "secret")
    shutil.copytree(first, copy)
    assert presence.find(copy) is None
    first.rename(moved)
    assert presence.find(moved) is not None


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_desk, "_PATIENCE_S", 0.05)
    desk.bury("Pay")
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        url = f"http://127.0.0.1:{frozen.getsockname()[1]}"
        presence.announce(desk.storage, url, "key")
        assert desk.run("events", "dead") == 1
    assert desk.err == f"stepweave: {url}: the server did not answer: timed out\n"


def test_data_that_another_holds_is_left_alone(desk: Desk) -> None:
    desk.bury("Pay")
    with (desk.storage / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert desk.run("events", "dead") == 1
    assert "another Stepweave" in desk.err and "stop it first" in desk.err


def test_a_folder_without_a_project_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["events", "dead"], ["state", "groups"]):
        assert cli.main([*words, "--dir", str(tmp_path)]) == 2
        assert "holds no project" in capsys.readouterr().err


def test_an_address_of_version_6_has_brackets_in_its_url() -> None:
    class Listener:
        def getsockname(self) -> tuple[str, int]:
            return ("fd00::1", 80)

    listener: Any = Listener()
    assert serving.url_of(listener) == "http://[fd00::1]:80"
