"""The trace store: what is kept, found, trimmed and survived."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stepweave.engine.traces import TraceStore, database, listing
from stepweave.errors import StoreFailed
from stepweave.logs import Level, Record
from stepweave.trace import Preview, Span, new_trace_id

pytestmark = pytest.mark.anyio

HOUR_US = 3_600_000_000
NOW_US = 1_700_000_000_000_000
A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@dataclass(frozen=True)
class Settings:
    enabled: bool = True
    retention_hours: float = 1_000_000
    max_mb: float = 100
    preview_bytes: int = 50


Open = Callable[..., TraceStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "traces.sqlite"


@pytest.fixture
def open_store(path: Path) -> Iterator[Open]:
    stores: list[TraceStore] = []

    def open_it(settings: Settings = Settings(), **more: Any) -> TraceStore:
        stores.append(TraceStore(path, settings, **more))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(open_store: Open) -> TraceStore:
    return open_store()


def span(
    trace_id: str = A,
    name: str = "Pay",
    *,
    at: int = 0,
    ms: int = 10,
    wait_ms: int = 0,
    status: Any = "ok",
    error: dict[str, Any] | None = None,
    output: Any = None,
    language: str = "python",
    **more: Any,
) -> Span:
    """A finished span that was accepted `at` ms after NOW."""
    made = Span(trace_id, name, "event", language, **more)
    made.queued_at = NOW_US + at * 1000
    made.started_at = made.queued_at + wait_ms * 1000
    made.finish(status, error=error, output=output)
    made.ended_at = made.started_at + ms * 1000
    return made


def log(message: str, level: Level = "info", at: int = 0, **more: Any) -> Record:
    return Record(NOW_US // 1000 + at, level, message, **more)


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)


# --- one trace


async def test_a_trace_shows_everything_its_spans_were_told(store: TraceStore) -> None:
    made = span(
        name="Pay", wait_ms=3, ms=7, event_id="e1", topic="order.created", attempt=2,
        input=("json", b'{"id":1}'), output=("bytes", b"\x00\xff"), status="error",
        error={"code": "handler_failed", "message": "no"},
    )  # fmt: skip
    made.add("state", "set", "orders", "o1", 40)
    store.add_span(made)

    found = await store.trace(A)

    assert found is not None
    assert (found["name"], found["status"], found["duration_ms"]) == ("Pay", "error", 10)
    (shown,) = found["spans"]
    assert shown["started_at"] == NOW_US / 1000 + 3
    assert (shown["wait_ms"], shown["duration_ms"], shown["depth"]) == (3, 7, 0)
    assert (shown["topic"], shown["event_id"], shown["attempt"]) == ("order.created", "e1", 2)
    assert shown["error"] == {"code": "handler_failed", "message": "no"}
    assert shown["input"] == {"format": "json", "size": 8, "text": '{"id":1}'}
    assert shown["output"] == {"format": "bytes", "size": 2, "text": "2 bytes: 00ff"}
    assert shown["events"][0]["type"] == "state"
    assert shown["events"][0]["detail"] == ["set", "orders", "o1", 40]


async def test_spans_stand_below_the_span_that_caused_them(store: TraceStore) -> None:
    root = span(name="Create", at=0)
    slow = span(name="Slow", at=1, parent_id=root.span_id)
    fast = span(name="Fast", at=2, parent_id=root.span_id)
    last = span(name="Last", at=3, parent_id=slow.span_id)
    stray = span(name="Stray", at=4, parent_id="f" * 16)
    for made in (last, stray, fast, root, slow):
        store.add_span(made)

    found = await store.trace(A)

    assert found is not None and found["name"] == "Create"
    assert [(item["name"], item["depth"]) for item in found["spans"]] == [
        ("Create", 0),
        ("Slow", 1),
        ("Last", 2),
        ("Fast", 1),
        ("Stray", 0),
    ]
    assert found["steps"] == ["Create", "Slow", "Fast", "Last", "Stray"]


async def test_spans_that_claim_to_cause_each_other_are_all_shown(store: TraceStore) -> None:
    one = span(name="One")
    two = span(name="Two", parent_id=one.span_id)
    one.parent_id = two.span_id
    store.add_span(one)
    store.add_span(two)

    found = await store.trace(A)

    assert found is not None and len(found["spans"]) == 2


async def test_a_trace_has_its_log_records_in_order(store: TraceStore) -> None:
    store.add_span(span())
    store.add_log(log("one", trace_id=A, step="Pay", fields=b'{"id":1}', span_id="d" * 16))
    store.add_log(log("other", trace_id=B))
    store.add_log(log("two", "error", trace_id=A))

    found = await store.trace(A)

    assert found is not None
    assert [item["message"] for item in found["logs"]] == ["one", "two"]
    assert found["logs"][0]["fields"] == {"id": 1}
    assert found["logs"][0]["span_id"] == "d" * 16
    assert found["logs"][1]["level"] == "error"


@pytest.mark.parametrize("trace_id", [C, "not an id", ""])
async def test_an_unknown_trace_is_none(store: TraceStore, trace_id: str) -> None:
    assert await store.trace(trace_id) is None


async def test_previews_are_cut_and_say_the_full_size(store: TraceStore) -> None:
    store.add_span(span(name="Small", input=("json", b'"' + b"x" * 98 + b'"')))
    store.add_span(span(name="Huge", input=("text", b"y" * 100_000)))
    store.add_span(span(name="Packed", input=("msgpack", b"\xc4\x02" + b"zz")))
    store.add_span(span(name="Broken", input=("msgpack", b"\xc1")))
    store.add_span(span(name="HugePacked", input=("msgpack", b"z" * 100_000)))

    found = await store.trace(A)

    assert found is not None
    shown = {item["name"]: item["input"] for item in found["spans"]}
    assert shown["Small"]["size"] == 100 and shown["Small"]["text"].startswith('"xxx')
    assert shown["Huge"]["size"] == 100_000 and len(shown["Huge"]["text"]) < 100
    assert shown["Packed"]["text"] == '"eno="'
    assert shown["Broken"] == {"format": "msgpack", "size": 1, "text": None}
    assert shown["HugePacked"] == {"format": "msgpack", "size": 100_000, "text": None}


async def test_large_payloads_do_not_wait_in_memory(store: TraceStore) -> None:
    made = span(input=("text", b"y" * 100_000))
    store.add_span(made)

    assert isinstance(made.input, Preview)


async def test_no_preview_is_kept_when_the_setting_says_so(open_store: Open) -> None:
    store = open_store(Settings(preview_bytes=0))
    store.add_span(span(input=("json", b'{"secret":1}')))

    found = await store.trace(A)

    assert found is not None
    assert found["spans"][0]["input"] == {"format": "json", "size": 12, "text": None}


async def test_values_that_json_lacks_do_not_lose_a_span(store: TraceStore) -> None:
    made = span()
    made.add("emit", b"bytes", {1: "a"}, object)
    made.error = {"data": {2: Path("/x")}}
    store.add_span(made)

    found = await store.trace(A)

    assert found is not None and found["spans"][0]["error"] == {"data": {"2": "/x"}}


# --- the list


async def test_the_list_has_one_item_a_trace_newest_first(store: TraceStore) -> None:
    root = span(A, "Create", at=0, ms=5, language="typescript", route="POST /orders")
    store.add_span(span(A, "Pay", at=20, ms=10, parent_id=root.span_id))
    store.add_span(root)
    store.add_span(span(B, "Audit", at=50))

    newest, oldest = await store.traces()

    assert newest["trace_id"] == B
    assert oldest == {
        "trace_id": A,
        "name": "Create",
        "kind": "event",
        "route": "POST /orders",
        "status": "ok",
        "started_at": NOW_US / 1000,
        "duration_ms": 30,
        "spans": 2,
        "failed": 0,
        "steps": ["Pay", "Create"],
        "languages": ["python", "typescript"],
    }


async def test_spans_of_one_trace_may_come_in_different_batches(store: TraceStore) -> None:
    root = span(A, "Create", at=0)
    store.add_span(span(A, "Pay", at=20, parent_id=root.span_id, status="error"))
    await store.flush()
    store.add_span(root)

    (item,) = await store.traces()

    assert (item["name"], item["spans"], item["failed"]) == ("Create", 2, 1)
    assert (item["started_at"], item["duration_ms"]) == (NOW_US / 1000, 30)


async def test_the_list_pages_backwards_in_time(store: TraceStore) -> None:
    for number in range(5):
        store.add_span(span(f"{number:032x}", at=number))

    first = await store.traces(limit=2)
    second = await store.traces(limit=2, before=first[-1]["started_at"])
    rest = await store.traces(since=NOW_US / 1000 + 3)

    assert [int(item["trace_id"], 16) for item in first + second] == [4, 3, 2, 1]
    assert [int(item["trace_id"], 16) for item in rest] == [4, 3]


async def test_the_list_is_filtered_by_status_step_and_duration(store: TraceStore) -> None:
    store.add_span(span(A, "Create", ms=5))
    store.add_span(span(B, "Pay", ms=500, status="timeout"))
    store.add_span(span(C, "Pay", ms=5, status="cancelled"))

    async def found(**wanted: Any) -> list[str]:
        return sorted(item["trace_id"] for item in await store.traces(**wanted))

    assert await found(status="error") == [B]
    assert await found(status="ok") == [A, C]
    assert await found(status="running") == []
    assert await found(steps=["Pay", "None"]) == [B, C]
    assert await found(steps=[]) == []
    assert await found(min_duration_ms=100) == [B]
    assert await found(steps=["Pay"], status="ok") == [C]


async def test_the_list_is_searched_by_text(store: TraceStore) -> None:
    store.add_span(span(A, "Create", route="POST /orders", input=("json", b'{"to":"Ann"}')))
    store.add_span(span(B, "Pay", topic="order.created", output=("json", b'{"to":"Bob"}')))
    store.add_span(span(C, "Ship", status="error", error={"message": "100% lost"}))
    store.add_log(log("parcel 17 is late", trace_id=C))

    async def found(text: str) -> list[str]:
        return sorted(item["trace_id"] for item in await store.traces(text=text))

    assert await found("ship") == [C]
    assert await found("ORDER.created") == [B]
    assert await found("/orders") == [A]
    assert await found('"to":"Ann"') == [A]
    assert await found("0% lost") == [C]
    assert await found("0%l") == []
    assert await found("parcel 17") == [C]
    assert await found("bbbbbb") == [B]
    assert await found("Create_") == []


async def test_a_retry_that_succeeds_heals_its_trace(store: TraceStore) -> None:
    store.add_span(span(A, "Pay", event_id="e1", attempt=1, status="error"))
    await store.flush()
    store.add_span(span(A, "Pay", event_id="e1", attempt=2, status="lost", at=20))
    (item,) = await store.traces()
    assert (item["status"], item["failed"]) == ("error", 1)

    store.add_span(span(A, "Pay", event_id="e1", attempt=3, at=40))
    (item,) = await store.traces()
    assert (item["status"], item["failed"], item["spans"]) == ("ok", 0, 3)
    found = await store.trace(A)
    assert found is not None and found["status"] == "ok"
    assert [made["retried"] for made in found["spans"]] == [True, True, False]


async def test_a_retry_does_not_forgive_another_step(store: TraceStore) -> None:
    store.add_span(span(A, "Ship", event_id="e1", attempt=1, status="error"))
    store.add_span(span(A, "Pay", event_id="e1", attempt=1, status="error"))
    store.add_span(span(A, "Pay", event_id="e1", attempt=2))

    (item,) = await store.traces()

    assert (item["status"], item["failed"]) == ("error", 1)


# --- what still runs


async def test_a_running_span_shows_until_it_is_added(store: TraceStore) -> None:
    running = Span(B, "Slow", "cron", "ruby", topic="t")
    running.add("log", "info", "still here")
    store.open_span(running)

    (item,) = await store.traces(status="running")
    assert (item["name"], item["status"], item["spans"]) == ("Slow", "running", 1)
    found = await store.trace(B)
    assert found is not None and found["status"] == "running"
    (shown,) = found["spans"]
    assert (shown["status"], shown["ended_at"]) == ("running", None)
    assert shown["events"][0]["detail"] == ["info", "still here"]

    running.finish()
    store.add_span(running)
    assert await store.traces(status="running") == []
    (item,) = await store.traces()
    assert (item["status"], item["spans"]) == ("ok", 1)


async def test_a_trace_runs_while_one_of_its_spans_does(store: TraceStore) -> None:
    root = span(A, "Create")
    store.add_span(root)
    store.open_span(Span(A, "Pay", "event", "ruby", parent_id=root.span_id))

    (item,) = await store.traces()

    assert (item["name"], item["status"], item["spans"]) == ("Create", "running", 2)
    assert item["steps"] == ["Create", "Pay"]
    assert await store.traces(status="ok") == []
    assert len(await store.traces(steps=["Pay"])) == 1
    assert len(await store.traces(text="pay")) == 1
    assert await store.traces(text="zzz") == []
    assert await store.traces(before=0) == []


async def test_a_span_that_ends_during_a_read_is_counted_once(path: Path) -> None:
    path.parent.mkdir()
    db = database.connect(path)
    made = span(A)
    database.insert_spans(db, [made], 50)

    (item,) = listing.traces(db, listing.TraceFilter(), [made])
    db.close()

    assert (item["status"], item["spans"]) == ("ok", 1)


# --- logs


async def test_logs_come_newest_first_and_page_by_id(store: TraceStore) -> None:
    for number in range(5):
        store.add_log(log(str(number), at=number))

    newest = await store.logs(limit=2)
    older = await store.logs(limit=2, before=newest[-1]["id"])
    later = await store.logs(after=older[-1]["id"])

    assert [item["message"] for item in newest + older] == ["4", "3", "2", "1"]
    assert [item["message"] for item in later] == ["2", "3", "4"]
    assert newest[0]["at"] == NOW_US // 1000 + 4


async def test_logs_are_filtered(store: TraceStore) -> None:
    store.add_log(log("paid 100%", "info", at=0, step="Pay", fields=b'{"who":"Ann"}'))
    store.add_log(log("late", "warn", at=1, step="Ship", trace_id=A))
    store.add_log(log("lost", "error", at=2, step="Ship", source="stderr"))

    async def found(**wanted: Any) -> list[str]:
        return [item["message"] for item in await store.logs(**wanted)]

    assert await found(level="warn") == ["lost", "late"]
    assert await found(steps=["Ship"]) == ["lost", "late"]
    assert await found(trace_id=A) == ["late"]
    assert await found(trace_id="nonsense") == []
    assert await found(text="ann") == ["paid 100%"]
    assert await found(text="100%") == ["paid 100%"]
    assert await found(text="1%") == []
    assert await found(since=NOW_US / 1000 + 1, until=NOW_US / 1000 + 1) == ["late"]


# --- limits


async def test_traces_and_logs_leave_with_age(open_store: Open) -> None:
    gone: list[str] = []
    now = NOW_US / 1_000_000
    store = open_store(Settings(retention_hours=1), on_trimmed=gone.extend, now=lambda: now)
    store.add_span(span(A, at=-2 * 3_600_000))
    store.add_log(log("old", at=-2 * 3_600_000, trace_id=A))
    store.add_log(log("old and alone", at=-2 * 3_600_000))
    store.add_span(span(B))
    store.add_log(log("new", trace_id=B))
    await store.flush()

    assert gone == [A]
    assert [item["trace_id"] for item in await store.traces()] == [B]
    assert [item["message"] for item in await store.logs()] == ["new"]
    assert await store.trace(A) is None
    assert store.statistics().trimmed_traces == 1


async def test_the_oldest_leave_when_the_file_is_full(path: Path) -> None:
    path.parent.mkdir()
    db = database.connect(path)
    body = ("text", b"x" * 1000)
    made = [span(f"{number + 1:032x}", at=number, input=body) for number in range(1000)]
    database.insert_spans(db, made, 2000)
    database.insert_logs(db, [log("y" * 500, at=number) for number in range(1000)])
    full = database.size(db)

    steps = 0
    more = True
    while more:
        _, more = database.trim(db, 0, full // 2)
        steps += 1

    left = [row[0] for row in db.execute("SELECT started_at FROM traces ORDER BY started_at")]
    assert database.size(db) <= full // 2
    assert steps > 1 and 0 < len(left) < 900
    assert left[-1] == made[-1].queued_at and left[0] == made[1000 - len(left)].queued_at
    assert db.execute("PRAGMA freelist_count").fetchone()[0] * 4096 < full // 4
    db.close()


async def test_logs_alone_are_trimmed_by_size_too(path: Path) -> None:
    path.parent.mkdir()
    db = database.connect(path)
    database.insert_logs(db, [log("y" * 500, at=number) for number in range(3000)])
    full = database.size(db)
    while database.trim(db, 0, full // 4)[1]:
        pass

    assert database.size(db) <= full // 4
    assert db.execute("SELECT max(at) FROM logs").fetchone()[0] == NOW_US // 1000 + 2999
    db.close()


async def test_a_limit_below_the_empty_file_does_not_spin(path: Path) -> None:
    path.parent.mkdir()
    db = database.connect(path)

    assert database.trim(db, 0, 1) == ([], False)
    db.close()


async def test_a_flood_does_not_outrun_the_limit_of_the_file(open_store: Open) -> None:
    store = open_store(Settings(max_mb=2, preview_bytes=2000))
    body = ("json", b'"%b"' % (b"x" * 1000))
    sizes = []
    for _ in range(20):
        for _ in range(400):  # about 500 kB
            store.add_span(span(new_trace_id(), input=body))
        await store.flush()
        sizes.append(database.size(store._db))
    assert max(sizes) < 3_000_000
    assert store.statistics().trimmed_traces > 3000


async def test_a_flood_drops_logs_before_spans_and_counts_them(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, reached = threading.Event(), threading.Event()
    write = database.insert_spans

    def slow(*args: Any) -> None:
        reached.set()
        held.wait()
        write(*args)

    monkeypatch.setattr(database, "insert_spans", slow)
    store = open_store(capacity=10)
    store.add_span(span())
    store._hurry.set()
    assert reached.wait(60)
    for number in range(8):
        store.add_log(log(str(number)))
    for _ in range(8):
        store.add_span(span())
    held.set()
    await store.flush()

    counts = store.statistics()
    assert (counts.logs, counts.dropped_logs) == (5, 3)
    assert (counts.spans, counts.dropped_spans) == (6, 3)


async def test_nothing_is_traced_when_tracing_is_off_but_logs_are_kept(open_store: Open) -> None:
    store = open_store(Settings(enabled=False))
    made = span()
    store.open_span(made)
    store.add_span(made)
    store.add_log(log("kept"))

    assert await store.traces() == []
    assert len(await store.logs()) == 1
    assert store.statistics().running == 0


# --- faults


async def test_what_was_written_is_there_after_a_restart(open_store: Open) -> None:
    store = open_store()
    store.add_span(span())
    store.add_log(log("kept"))
    store.close()
    store.close()

    again = open_store()
    assert len(await again.traces()) == 1
    assert len(await again.logs()) == 1


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" * 300])
async def test_a_damaged_file_is_set_aside_with_one_warning(
    open_store: Open, path: Path, content: bytes
) -> None:
    put(path, content)
    warnings: list[str] = []

    store = open_store(warn=warnings.append)
    store.add_span(span())

    assert len(await store.traces()) == 1
    assert len(warnings) == 1 and str(path) in warnings[0] and ".damaged" in warnings[0]
    assert path.with_name("traces.sqlite.damaged").read_bytes() == content


async def test_a_file_of_another_version_is_set_aside(open_store: Open, path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    warnings: list[str] = []

    store = open_store(warn=warnings.append)

    assert await store.traces() == []
    assert "version 99" in warnings[0]


async def test_damage_found_while_writing_replaces_the_file(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    store = open_store(warn=warnings.append)
    store.add_span(span(A))
    assert len(await store.traces()) == 1

    def broken(*_: Any) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with monkeypatch.context() as patch:
        patch.setattr(database, "insert_spans", broken)
        store.add_span(span(B))
        await store.flush()
    store.add_span(span(C))

    assert [item["trace_id"] for item in await store.traces()] == [C]
    assert len(warnings) == 1 and "malformed" in warnings[0]
    assert store.statistics().lost_to_errors == 1


async def test_a_full_disk_loses_the_batch_and_is_said_once(
    open_store: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    store = open_store(warn=warnings.append)

    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(database, "insert_spans", full)
        for _ in range(3):
            store.add_span(span(A))
            await store.flush()
    store.add_span(span(B))

    assert [item["trace_id"] for item in await store.traces()] == [B]
    assert len(warnings) == 1 and "disk is full" in warnings[0]
    assert store.statistics().lost_to_errors == 3


async def test_a_span_that_cannot_be_stored_is_lost_alone(open_store: Open) -> None:
    warnings: list[str] = []
    store = open_store(warn=warnings.append)
    wrong: Any = object()
    store.add_span(span(A))
    store.add_span(span(wrong))
    store.add_span(span(B, name=wrong))
    store.add_log(log("kept"))
    store.add_log(log(wrong))
    store.add_span(span(C))

    assert sorted(item["trace_id"] for item in await store.traces()) == [A, C]
    assert [item["message"] for item in await store.logs()] == ["kept"]
    assert store.statistics().lost_to_errors == 3
    assert len(warnings) == 1


async def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")

    with pytest.raises(StoreFailed, match="cannot be opened"):
        TraceStore(blocked / "traces.sqlite", Settings())


async def test_two_processes_may_share_the_file(open_store: Open) -> None:
    one, two = open_store(), open_store()
    one.add_span(span(A))
    two.add_span(span(B))
    await one.flush()

    assert len(await two.traces()) == 2


async def test_many_spans_survive_the_way_to_disk(store: TraceStore) -> None:
    for number in range(3001):
        store.add_span(span(new_trace_id(), at=number))

    assert len(await store.traces(limit=5000)) == 3001
    assert store.statistics().spans == 3001
