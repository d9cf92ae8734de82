"""The trace store: how much it keeps, and what it survives."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from stepweave.engine.traces import TraceStore, database
from stepweave.errors import StoreFailed
from stepweave.trace import new_trace_id
from tests.unit.traces.kit import NOW_US, A, B, C, Open, Settings, log, put, span

pytestmark = pytest.mark.anyio


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
