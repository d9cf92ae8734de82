"""Streams as handlers use them: the same items and the same changes in every language."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepweave import payload
from stepweave.engine.streams import Change
from tests.flows.harness import Running, start
from tests.flows.probes import FORMS, probe

pytestmark = pytest.mark.anyio

BOARD = {
    "js": """
const board = streams.board
out.push(await board.get('GROUP', 'a'))
out.push(await board.set('GROUP', 'b', { text: 'one', n: 0, none: null }))
out.push(await streams['board'].set('GROUP', 'a', { text: 'two', id: 'not mine' }))
out.push(await board.get('GROUP', 'b'))
out.push(await board.update('GROUP', 'b', [
  { op: 'increment', path: 'n', value: 2 }, { type: 'set', path: ['deep', 'er'], value: false },
]))
out.push(await board.getGroup('GROUP'), await board.list('GROUP.empty'))
out.push(await board.set('GROUP', 'a', await board.get('GROUP', 'a')))
out.push(await board.delete('GROUP', 'b'), await board.delete('GROUP', 'b'))
out.push(await board.getGroup('GROUP'))
await board.send({ groupId: 'GROUP' }, { type: 'typing', data: { who: 'ann' } })
await board.send({ groupId: 'GROUP', id: 'a' }, { type: 'seen' })
await board.send('GROUP', { type: 'short', data: false })
try { await streams.nowhere.get('GROUP', 'a') } catch (e: any) { out.push(e.code, e.message) }
try { await streams['no-where'].set('GROUP', 'a', {}) } catch (e: any) { out.push(e.code) }
""",
    "py": """
board = streams.board
out.append(await board.get("GROUP", "a"))
out.append(await board.set("GROUP", "b", {"text": "one", "n": 0, "none": None}))
out.append(await streams["board"].set("GROUP", "a", {"text": "two", "id": "not mine"}))
out.append(await board.get("GROUP", "b"))
out.append(await board.update("GROUP", "b", [
    {"op": "increment", "path": "n", "value": 2},
    {"type": "set", "path": ["deep", "er"], "value": False},
]))
out.extend([list(await board.get_group("GROUP")), list(await board.list("GROUP.empty"))])
out.append(await board.set("GROUP", "a", await board.get("GROUP", "a")))
out.extend([await board.delete("GROUP", "b"), await board.delete("GROUP", "b")])
out.append(list(await board.getGroup("GROUP")))
await board.send({"groupId": "GROUP"}, {"type": "typing", "data": {"who": "ann"}})
await board.send({"group_id": "GROUP", "id": "a"}, {"type": "seen"})
await board.send("GROUP", {"type": "short", "data": False})
try:
    await streams.nowhere.get("GROUP", "a")
except Exception as error:
    out.extend([error.code, str(error)])
try:
    await streams["no-where"].set("GROUP", "a", {})
except Exception as error:
    out.append(error.code)
""",
    "rb": """
board = streams.board
out.push(board.get('GROUP', 'a'))
out.push(board.set('GROUP', 'b', { text: 'one', n: 0, none: nil }))
out.push(streams['board'].set('GROUP', 'a', { text: 'two', id: 'not mine' }))
out.push(board.get('GROUP', 'b'))
out.push(board.update('GROUP', 'b', [
  { op: 'increment', path: 'n', value: 2 }, { type: 'set', path: ['deep', 'er'], value: false }
]))
out.push(board.get_group('GROUP'), board.list('GROUP.empty'))
out.push(board.set('GROUP', 'a', board.get('GROUP', 'a')))
out.push(board.delete('GROUP', 'b'), board.delete('GROUP', 'b'))
out.push(board.getGroup('GROUP'))
board.send({ groupId: 'GROUP' }, { type: 'typing', data: { who: 'ann' } })
board.send({ group_id: 'GROUP', id: 'a' }, { type: 'seen' })
board.send('GROUP', { type: 'short', data: false })
begin
  streams.nowhere.get('GROUP', 'a')
rescue => e
  out.push(e.code, e.message)
end
begin
  streams['no-where'].set('GROUP', 'a', {})
rescue => e
  out.push(e.code)
end
""",
}
COUNT = {
    "js": """
await Promise.all([...Array(25)].map(() =>
  streams.board.update('count', 'n', [{ op: 'increment', path: 'n', value: 1 }])))
""",
    "py": """
one = [{"op": "increment", "path": "n", "value": 1}]
for _ in range(25):
    await streams.board.update("count", "n", one)
""",
    "rb": """
25.times { streams.board.update('count', 'n', [{ op: 'increment', path: 'n', value: 1 }]) }
""",
}
STREAM = """
config = {"name": "board", "schema": {"text": "string"}, "baseConfig": {"storageType": "default"}}
"""


def project() -> dict[str, str]:
    """The probes in every form, and the stream they write to."""
    files = {"streams/board.stream.py": STREAM}
    for form in FORMS:
        files |= probe("board", form, BOARD) | probe("count", form, COUNT)
    return files


@pytest.fixture
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with start(tmp_path_factory.mktemp("streams"), project()) as it:
        assert [str(p) for p in it.it.registry.all_problems if p.severity == "error"] == []
        yield it


def heard(running: Running) -> list[Change]:
    """The changes from now on."""
    changes: list[Change] = []
    running.it.streams.listeners.append(changes.append)
    return changes


def expected(group: str) -> list[Any]:
    """What the board probe answers."""

    def item(id: str, **fields: Any) -> dict[str, Any]:
        mark = {"type": "state-stream", "streamName": "board", "groupId": group, "id": id}
        return {**fields, "id": id, "__motia": mark}

    b = item("b", text="one", n=0, none=None)
    changed = item("b", text="one", n=2, none=None, deep={"er": False})
    a = item("a", text="two")
    return [
        *(None, b, a, b, changed, [changed, a], []),
        *(a, changed, None, [a]),
        "stream_failed",
        'there is no stream "nowhere"; add a stream file whose config has this name',
        "stream_failed",
    ]


async def test_items_are_the_same_in_every_language_and_each_change_is_told(
    running: Running,
) -> None:
    for form in FORMS:
        changes = heard(running)
        slug = form.replace(", ", "_")
        answer = await running.http.post(f"/board/{slug}")
        assert answer.status_code == 200, answer.text
        group = f"board.{slug}"
        assert answer.json() == expected(group), form

        assert {(change.stream, change.group) for change in changes} == {("board", group)}
        told = [(each.type, each.id, each.name) for each in changes]
        assert told == [
            *(("create", "b", None), ("create", "a", None), ("update", "b", None)),
            *(("update", "a", None), ("delete", "b", None)),
            *(("event", None, "typing"), ("event", "a", "seen"), ("event", None, "short")),
        ], form
        assert [change.seq for change in changes] == [1, 2, 3, 4, 5, 0, 0, 0]
        data = [payload.decode(change.data) for change in changes]
        assert data[0] == {"text": "one", "n": 0, "none": None, "id": "b"}
        assert data[1] == data[3] == {"text": "two", "id": "a"}
        assert data[4]["deep"] == {"er": False}, "a deleted item is told as it was"
        assert data[5:] == [{"who": "ann"}, None, False]
        running.it.streams.listeners.clear()


async def test_updates_from_all_languages_at_once_are_all_counted_in_order(
    running: Running,
) -> None:
    changes = heard(running)
    paths = [f"/count/{form.replace(', ', '_')}" for form in FORMS]
    answers = await asyncio.gather(*(running.http.post(path) for path in paths * 3))
    assert {answer.status_code for answer in answers} == {200}
    total = 25 * len(FORMS) * 3
    assert [change.seq for change in changes] == list(range(1, total + 1))
    assert [payload.decode(change.data)["n"] for change in changes] == list(range(1, total + 1))


async def test_items_outlive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("restart")
    async with start(root, project()) as first:
        await first.http.post("/board/ruby")
    async with start(root, project()) as second:
        answer = await second.http.post("/board/ruby")
        before = expected("board.ruby")
        assert answer.json()[0] == before[2], "what the first run left"
        changes = heard(second)
        await second.http.post("/board/ruby")
        assert changes[0].seq > 5, "numbers go on, or clients would think they are behind"
