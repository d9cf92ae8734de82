"""The trace store: what is kept and how it is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepweave.engine.traces import TraceStore, database, listing
from stepweave.trace import Preview, Span
from tests.unit.traces.kit import NOW_US, A, B, C, Open, Settings, log, span

pytestmark = pytest.mark.anyio


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
