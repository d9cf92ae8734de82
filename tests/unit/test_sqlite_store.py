"""The embedded store: atomic units, reads of one's own writes, what survives, what is refused."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from stepweave.engine.store.contract import CronState
from stepweave.engine.store.operations import (
    Bury,
    Cancel,
    CronDone,
    CronPause,
    CronTick,
    Discard,
    Expect,
    PutEvent,
    Redrive,
    Retry,
    Settle,
    StateClear,
    StateDelete,
    StateSet,
    StateUpdate,
    StreamDelete,
    StreamSet,
)
from stepweave.engine.store.sqlite import SqliteStore
from stepweave.errors import Conflict, InvalidInput, StoreFailed
from stepweave.payload import Payload, encode

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = encode(1), encode(2), encode(3)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path)
    yield opened
    await opened.close()


def event(id: int, *steps: str, key: str | None = None, topic: str = "a.b") -> PutEvent:
    deliveries = tuple((step, 0) for step in steps)
    return PutEvent(
        id, topic, encode({"n": id}), "00-t-s-01", "Src", 5, None, key, deliveries, 1 << 60
    )


def read(store: SqliteStore, group: str, key: str) -> list[Any]:
    """What state_get answers; filled at once unless it has to wait for the writer."""
    found: list[Any] = []
    store.state_get(group, key, lambda error, value: found.append(error or value))
    return found


async def test_a_write_is_read_before_it_is_committed(store: SqliteStore) -> None:
    store.submit((StateSet("g", "k", ONE),))
    assert read(store, "g", "k") == [ONE]
    store.submit((StateSet("g", "k", TWO),))
    assert read(store, "g", "k") == [TWO]
    store.submit((StateDelete("g", "k"),))
    assert read(store, "g", "k") == [None]


async def test_a_read_behind_an_update_waits_for_it(store: SqliteStore) -> None:
    store.submit((StateSet("g", "k", ONE),))
    store.submit((StateUpdate("g", "k", [{"op": "increment"}]),))
    found = read(store, "g", "k")
    assert found == []
    await store.apply(())
    assert found == [TWO]


async def test_a_group_is_exactly_the_group_and_comes_in_order_of_keys(store: SqliteStore) -> None:
    await store.apply(
        (StateSet("orders", "b", TWO), StateSet("orders", "a", ONE), StateSet("orders:x", "c", ONE))
    )
    listed: list[Any] = []
    store.state_list("orders", lambda error, rows: listed.append(rows))
    assert listed == [[("a", ONE), ("b", TWO)]]
    groups: list[Any] = []
    store.state_groups(lambda error, rows: groups.append(rows))
    assert groups == [["orders", "orders:x"]]
    assert await store.apply((StateClear("orders"),)) == [2]
    assert read(store, "orders:x", "c") == [ONE]


@pytest.mark.parametrize("value", [0, False, "", None, [], {}, b"", b"\x00\xff"])
async def test_falsy_values_and_bytes_are_values_that_can_be_deleted(
    store: SqliteStore, value: Any
) -> None:
    stored = encode(value)
    await store.apply((StateSet("g", "k", stored),))
    assert read(store, "g", "k") == [stored]
    assert await store.apply((StateDelete("g", "k"),)) == [stored]
    assert read(store, "g", "k") == [None]


async def test_compare_and_set_refuses_another_value_and_undoes_its_whole_unit(
    store: SqliteStore,
) -> None:
    await store.apply((StateSet("g", "k", encode({"a": 1, "b": 2})),))
    same = encode({"b": 2, "a": 1})
    await store.apply((StateSet("g", "k", TWO, expect=(same,)),))
    with pytest.raises(Conflict):
        await store.apply((StateSet("g", "other", ONE), StateSet("g", "k", ONE, expect=(ONE,))))
    with pytest.raises(Conflict):
        await store.apply((StateSet("g", "k", ONE, expect=(None,)),))
    assert read(store, "g", "k") == [TWO]
    assert read(store, "g", "other") == [None]
    await store.apply((StateSet("g", "new", ONE, expect=(None,)),))
    assert read(store, "g", "new") == [ONE]


async def test_a_refused_update_leaves_its_neighbours_in_the_same_commit_alone(
    store: SqliteStore,
) -> None:
    errors: list[Any] = []
    store.submit((StateSet("g", "text", encode("x")),))
    store.submit(
        (StateUpdate("g", "text", [{"op": "increment"}]),), lambda error, _: errors.append(error)
    )
    store.submit((StateSet("g", "after", ONE),))
    await store.apply(())
    assert isinstance(errors[0], InvalidInput)
    assert read(store, "g", "text") == [encode("x")]
    assert read(store, "g", "after") == [ONE]


async def test_a_value_with_a_time_to_live_goes_away(store: SqliteStore) -> None:
    await store.apply((StateSet("g", "gone", ONE, 1), StateSet("g", "stays", ONE, 2**62)))
    assert read(store, "g", "gone") == [None]
    assert read(store, "g", "stays") == [ONE]
    assert await store.apply((StateDelete("g", "gone"),)) == [None]


async def test_unsettled_deliveries_are_found_after_a_restart(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.apply((event(1, "A", "B"), event(2, "A"), event(3, "A")))
    await store.apply((Settle(1, "A", False), Settle(2, "A", True), Retry(3, "A", 2, 99, b"{}")))
    await store.close()
    again = SqliteStore(tmp_path)
    waiting = [(row.event, row.subscription, row.attempt, row.due_at) for row in again.waiting()]
    assert waiting == [(1, "B", 1, 0), (3, "A", 2, 99)]
    stored: list[Any] = []
    again.event(1, lambda error, row: stored.append(row))
    assert stored[0].data == encode({"n": 1})
    again.event(2, lambda error, row: stored.append(row))
    assert stored[1] is None
    await again.close()


async def test_a_key_keeps_a_second_event_out(store: SqliteStore) -> None:
    assert await store.apply((event(1, "A", key="order-1"),)) == [None]
    assert await store.apply((event(2, "A", key="order-1"),)) == [1]
    assert await store.apply((event(3, "A", key="order-1", topic="other"),)) == [None]
    assert [row.event for row in store.waiting()] == [1, 3]


async def test_a_dead_letter_keeps_its_payload_and_can_be_delivered_anew(
    store: SqliteStore,
) -> None:
    await store.apply((event(1, "A"),))
    await store.apply((Bury(1, "A", 4, "error", b'{"message":"no"}', 7, True),))
    (letter,) = await store.dead()
    assert (letter.subscription, letter.attempts, letter.data) == ("A", 4, encode({"n": 1}))
    assert list(store.waiting()) == []
    ((put, held),) = await store.apply((Redrive(letter.id, 50, 9),))
    assert not held
    assert put.data == encode({"n": 1})
    assert [row.event for row in store.waiting()] == [50]
    assert await store.dead() == []
    assert await store.apply((Redrive(letter.id, 51, 9),)) == [None]


async def test_a_redriven_dead_letter_may_carry_other_data(store: SqliteStore) -> None:
    for id in (1, 2):
        await store.apply((event(id, "A"), Bury(id, "A", 4, "error", b"{}", 8, True)))
    second, first = await store.dead()

    puts = await store.apply((Redrive(first.id, 50, 9, (TWO,)), Redrive(second.id, 51, 9, (None,))))

    assert [put.data for put, _held in puts] == [TWO, None]
    stored: list[Any] = []
    store.event(50, lambda error, found: stored.append(found.data))
    assert stored == [TWO]


async def test_dead_letters_are_listed_by_page_and_step_and_read_alone(store: SqliteStore) -> None:
    for id, name in ((1, "A"), (2, "B"), (3, "A"), (4, "A")):
        store.submit((event(id, name), Bury(id, name, 4, "error", b"{}", 8, True)))

    letters = await store.dead()
    assert [letter.event for letter in letters] == [4, 3, 2, 1]
    assert [letter.event for letter in await store.dead(2, letters[0].id)] == [3, 2]
    assert [letter.event for letter in await store.dead(2, None, "A")] == [4, 3]
    assert await store.dead(2, None, "a") == []
    assert await store.letter(letters[2].id) == letters[2]
    assert (letters[2].source, letters[2].group) == ("Src", None)
    assert await store.letter(99) is None


async def test_state_is_listed_in_pages_of_living_values(store: SqliteStore) -> None:
    for key in ("", "a", "b", "c", "é"):
        store.submit((StateSet("g", key, encode(key * 10)),))
    store.submit((StateSet("g", "bb", ONE, expires_at=1),))
    store.submit((StateSet("h", "a", encode(b"12345")),))

    page = await store.state_page("g", None, 3, 5)
    assert [(row.key, row.value, row.size) for row in page] == [
        ("", ("json", b'""'), 2),
        ("a", ("json", b'"aaaa'), 12),
        ("b", ("json", b'"bbbb'), 12),
    ]
    assert [row.key for row in await store.state_page("g", "b", 3, 5)] == ["c", "é"]
    assert await store.state_page("nothing", None, 3, 5) == []


async def test_a_group_is_read_whole_or_in_pages(store: SqliteStore) -> None:
    await store.apply([StateSet("g", key, encode(key)) for key in ("", "a", "b", "c", "é")])
    store.submit((StateSet("g", "bb", ONE, expires_at=1),))

    def keys(after: str | None, limit: int | None) -> list[str]:
        rows: list[tuple[str, object]] = []
        store.state_list("g", lambda error, found: rows.extend(found), after, limit)
        return [key for key, _ in rows]

    await store.apply(())
    assert keys(None, None) == ["", "a", "b", "c", "é"]
    assert [keys(None, 2), keys("a", 2), keys("c", 2)] == [["", "a"], ["b", "c"], ["é"]]
    assert [keys("", None), keys("é", 9)] == [["a", "b", "c", "é"], []]


async def test_groups_are_counted_in_pages(store: SqliteStore) -> None:
    store.submit((StateSet("h", "a", encode(b"12345")), StateSet("h", "b", ONE)))
    store.submit((StateSet("", "a", ONE), StateSet("late", "a", ONE, expires_at=1)))

    assert await store.state_counts(None, 9) == [("", 1, 1), ("h", 2, 6)]
    assert await store.state_counts("", 9) == [("h", 2, 6)]
    assert await store.state_counts(None, 1) == [("", 1, 1)]


async def test_a_cron_tick_is_recorded_once(store: SqliteStore) -> None:
    assert await store.apply((CronTick("Audit", 100),)) == [True]
    assert await store.apply((CronTick("Audit", 100),)) == [False]
    assert await store.apply((CronTick("Audit", 50),)) == [False]
    assert await store.apply((CronTick("Audit", 200),)) == [True]


async def test_stream_items_count_per_group(store: SqliteStore) -> None:
    async def put(group: str, id: str) -> tuple[bool, int]:
        (result,) = await store.apply((StreamSet("s", group, id, ONE, 1),))
        return result[0], result[1]

    assert [await put("g", "b"), await put("g", "a"), await put("g", "b"), await put("h", "a")] == [
        (True, 1),
        (True, 2),
        (False, 3),
        (True, 1),
    ]
    assert await store.apply((StreamDelete("s", "g", "b", 2),)) == [(4, ONE)]
    assert await store.apply((StreamDelete("s", "g", "b", 2),)) == [None]


async def test_a_snapshot_of_a_stream_comes_between_the_writes_around_it(
    store: SqliteStore,
) -> None:
    order: list[Any] = []
    store.submit((StreamSet("s", "g", "b", ONE, 1),), lambda e, r: order.append("first"))
    store.stream_snapshot("s", "g", None, lambda e, r: order.append(r))
    store.submit((StreamSet("s", "g", "a", ONE, 2),), lambda e, r: order.append("second"))
    store.stream_snapshot("s", "g", "b", lambda e, r: order.append(r))
    store.stream_snapshot("s", "g", "c", lambda e, r: order.append(r))
    sequence = store.last_sequence
    await store.apply(())
    assert order == ["first", (1, [("b", ONE)]), "second", (2, [("b", ONE)]), (2, [])]
    assert store.settled >= sequence


async def test_an_edge_sync_covers_what_was_submitted_before_it(store: SqliteStore) -> None:
    sequence = store.submit((StateSet("g", "k", ONE),))
    assert not store.synced(sequence)
    await store.sync(sequence)
    assert store.synced(sequence)


async def test_a_copy_of_the_files_after_a_sync_holds_what_was_synced(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "live")
    await store.sync(store.submit((StateSet("g", "k", ONE),)))
    shutil.copytree(tmp_path / "live", tmp_path / "copy")
    await store.close()
    copy = SqliteStore(tmp_path / "copy")
    assert read(copy, "g", "k") == [ONE]
    await copy.close()


async def test_a_second_process_is_kept_out_and_told_who_is_in(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    with pytest.raises(StoreFailed, match=r"another Stepweave \(process \d+\)"):
        SqliteStore(tmp_path)
    await store.close()
    await SqliteStore(tmp_path).close()


async def test_a_damaged_file_is_reported_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "stepweave.sqlite"
    file.write_bytes(b"this is no database, whatever its name says" * 100)
    before = file.read_bytes()
    with pytest.raises(StoreFailed, match="damaged"):
        SqliteStore(tmp_path)
    assert file.read_bytes() == before


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "stepweave.sqlite") as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreFailed, match="newer Stepweave"):
        SqliteStore(tmp_path)


async def test_a_refusing_database_fails_loudly_and_recovers_without_a_restart(
    tmp_path: Path,
) -> None:
    store = SqliteStore(tmp_path)
    await store.apply((StateSet("g", "before", ONE),))
    other = sqlite3.connect(tmp_path / "stepweave.sqlite")
    other.execute(
        "CREATE TRIGGER full BEFORE INSERT ON state BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    other.commit()
    with pytest.raises(StoreFailed, match="full"):
        await store.apply((StateSet("g", "k", ONE),))
    assert read(store, "g", "k") == [None]
    other.execute("DROP TRIGGER full")
    other.commit()
    other.close()
    await store.apply((StateSet("g", "k", TWO),))
    assert read(store, "g", "k") == [TWO]
    assert read(store, "g", "before") == [ONE]
    await store.close()


async def test_one_refused_unit_of_a_group_is_not_its_neighbours_fault(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    other = sqlite3.connect(tmp_path / "stepweave.sqlite")
    other.execute(
        "CREATE TRIGGER bad BEFORE INSERT ON state WHEN NEW.key='bad'"
        " BEGIN SELECT RAISE(FAIL, 'bad'); END"
    )
    other.commit()
    other.close()
    errors: dict[str, Any] = {}
    for key in ("a", "bad", "b"):
        store.submit(
            (StateSet("g", key, ONE),), lambda error, _, key=key: errors.update({key: error})
        )
    await store.apply(())
    assert errors["a"] is None and errors["b"] is None
    assert isinstance(errors["bad"], StoreFailed)
    await store.close()


async def test_a_closed_store_answers_with_an_error(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    await store.close()
    with pytest.raises(StoreFailed, match="closed"):
        await store.apply((StateSet("g", "k", ONE),))


async def test_a_letter_that_holds_its_group_is_delivered_anew_at_its_old_place(
    store: SqliteStore,
) -> None:
    first, second = (event(id, "A")._replace(group="g") for id in (1, 2))
    await store.apply((first, second, Bury(1, "A", 1, "error", b"{}", 8, True, True)))
    assert list(store.held()) == [("A", "g")]
    (letter,) = await store.dead()
    assert letter.holds

    ((put, held),) = await store.apply((Redrive(letter.id, 50, 9),))

    assert held
    assert put.rank == 1
    assert list(store.held()) == []
    assert [(row.event, row.rank) for row in store.waiting()] == [(50, 1), (2, 2)]


async def test_a_discarded_letter_tells_which_group_it_held(store: SqliteStore) -> None:
    for id, holds in ((1, True), (2, False)):
        put = event(id, "A")._replace(group="g")
        await store.apply((put, Bury(id, "A", 1, "error", b"{}", 8, True, holds)))
    assert await store.apply((Discard(2), Discard(1), Discard(9))) == [
        ("A", None),
        ("A", "g"),
        None,
    ]


async def test_the_errors_of_all_tries_are_kept_the_first_and_the_newest(
    store: SqliteStore,
) -> None:
    await store.apply((event(1, "A"),))
    for attempt in range(1, 31):
        await store.apply((Retry(1, "A", attempt + 1, 0, b'{"n":%d}' % attempt),))
    (pending,) = await store.pending()
    kept = [each["n"] for each in orjson.loads(pending.errors)]
    assert kept == [1, *range(12, 31)]
    await store.apply((Bury(1, "A", 31, "error", b'{"n":31}', 8, None),))
    (letter,) = await store.dead()
    assert [each["n"] for each in orjson.loads(letter.errors)] == [1, *range(13, 32)]
    assert store.events([1]) == []


async def test_a_settlement_that_does_not_know_its_event_drops_it_with_the_last_delivery(
    store: SqliteStore,
) -> None:
    await store.apply((event(1, "A", "B"),))
    await store.apply((Settle(1, "A", None),))
    assert [found.id for found in store.events([1])] == [1]
    await store.apply((Settle(1, "B", None),))
    assert store.events([1]) == []


async def test_deliveries_that_do_not_run_are_cancelled(store: SqliteStore) -> None:
    await store.apply((event(1, "A", "B", "C"), event(2, "A")))
    assert sorted((await store.apply((Cancel(1, ("B",)),)))[0]) == ["A", "C"]
    assert [(row.event, row.subscription) for row in store.waiting()] == [(1, "B"), (2, "A")]
    assert await store.apply((Cancel(1, (), "A"), Cancel(2), Cancel(9))) == [[], ["A"], []]
    assert store.events([1, 2])[0].id == 1
    assert len(store.events([1, 2])) == 1


async def test_pending_deliveries_are_listed_newest_first_by_page_step_and_topic(
    store: SqliteStore,
) -> None:
    await store.apply((event(1, "A", "B"), event(2, "A", topic="c"), event(3, "B")))
    every = [(each.event, each.subscription) for each in await store.pending()]
    assert every == [(3, "B"), (2, "A"), (1, "B"), (1, "A")]
    assert [each.event for each in await store.pending(2, (3, "B"))] == [2, 1]
    assert [each.event for each in await store.pending(step="A")] == [2, 1]
    assert [each.event for each in await store.pending(topic="c")] == [2]
    assert [each.subscription for each in await store.pending(event=1)] == ["B", "A"]


async def test_letters_of_an_event_and_what_is_behind_them_are_found(store: SqliteStore) -> None:
    grouped = (event(id, "A", "B")._replace(group="g") for id in (3, 4))
    await store.apply((event(1, "A", "B"), event(2, "A"), *grouped))
    for id, step in ((1, "A"), (2, "A"), (1, "B")):
        await store.apply((Bury(id, step, 1, "error", b"{}", 5, None),))
    assert [each.subscription for each in await store.dead(event=1)] == ["B", "A"]
    assert await store.dead(event=3) == []
    assert (await store.behind("A", "g"), await store.behind("A", "h")) == (2, 0)


async def test_what_was_seen_must_still_be_there(store: SqliteStore) -> None:
    await store.apply((StateSet("g", "k", ONE), StreamSet("s", "g", "i", TWO, 5)))
    seen = (
        Expect(None, "g", "k", ONE), Expect(None, "g", "none", None), Expect("s", "g", "i", TWO),
        Expect(None, "g", None, [("k", ONE)]), Expect("s", "g", None, [("i", TWO)]),
    )  # fmt: skip
    await store.apply(seen)
    await store.apply((StateSet("g", "k", TWO), StreamSet("s", "g", "j", ONE, 5)))
    for expect in (seen[0], seen[3], seen[4]):
        with pytest.raises(Conflict):
            await store.apply((expect, StateSet("g", "after", ONE)))
    assert read(store, "g", "after") == [None]


async def test_a_tick_is_begun_once_and_known_to_be_done(store: SqliteStore) -> None:
    assert await store.apply((CronTick("T", 5),)) == [True]
    assert store.cron() == [CronState("T", 5, (5,), False, 5)]
    await store.apply((CronDone("T", 5), CronPause("T", True), CronPause("U", True)))
    assert store.cron() == [CronState("T", 5, (), True, 5), CronState("U", None, (), True)]
    assert await store.apply((CronTick("T", 5), CronTick("U", 1, False))) == [False, True]
    assert store.cron() == [CronState("T", 5, (), True, 5), CronState("U", 1, (), True)]


async def test_old_dead_letters_are_forgotten_unless_they_hold_a_group(store: SqliteStore) -> None:
    for id, at, holds in ((1, 10, False), (2, 10, True), (3, 30, False)):
        await store.apply((event(id, "A"), Bury(id, "A", 1, "error", b"{}", at, True, holds)))
    assert await store.forget_dead(20) == 1
    assert [letter.event for letter in await store.dead()] == [3, 2]


async def test_a_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "stepweave.sqlite")) as old:
        old.executescript((Path(__file__).parent / "format_1.sql").read_text())
    store = SqliteStore(tmp_path)
    try:
        (pending,) = await store.pending()
        assert (pending.event, pending.attempt, pending.errors) == (7, 2, '[{"message":"no"}]')
        (letter,) = await store.dead()
        assert (letter.event, letter.errors, letter.holds) == (6, '[{"message":"never"}]', 0)
        assert store.cron() == [CronState("Tick", 99, (), False, 99)]
        assert read(store, "g", "k") == [ONE]
    finally:
        await store.close()


@pytest.mark.parametrize("expected", [None, encode(None)], ids=["absent", "null"])
async def test_null_and_absent_are_expected_alike(
    store: SqliteStore, expected: Payload | None
) -> None:
    await store.apply((StateSet("g", "k", encode(None)),))
    for key in ("k", "absent"):
        await store.apply((StateSet("g", key, ONE, expect=(expected,)),))
        with pytest.raises(Conflict):
            await store.apply((StateSet("g", key, TWO, expect=(expected,)),))


@pytest.mark.parametrize(
    ("there", "expected", "same"),
    [
        (1, 1.0, True), (1, True, False), (0, False, False), ("1", 1, False), (None, False, False),
        ({"a": [1, {"b": 2}], "c": 3}, {"c": 3, "a": [1.0, {"b": 2}]}, True),
        ({"a": [1]}, {"a": [True]}, False), ([1, 2], [1], False), ({"a": 1}, {"b": 1}, False),
    ],
)  # fmt: skip
async def test_values_are_compared_as_data(
    store: SqliteStore, there: Any, expected: Any, same: bool
) -> None:
    await store.apply((StateSet("g", "k", encode(there)),))
    if same:
        await store.apply((StateSet("g", "k", ONE, expect=(encode(expected),)),))
    else:
        with pytest.raises(Conflict):
            await store.apply((StateSet("g", "k", ONE, expect=(encode(expected),)),))


async def test_a_value_that_cannot_be_stored_is_told_to_nobody_else(store: SqliteStore) -> None:
    told: list[Any] = []
    for id, name in enumerate(("one", "\ud800", "two")):
        store.submit((event(id, name),), lambda error, _: told.append(error))
        store.submit((StateSet("g", name, ONE),), lambda error, _: told.append(error))
    await store.apply(())
    refused = [isinstance(error, StoreFailed) for error in told]
    assert refused == [False, False, True, True, False, False]
