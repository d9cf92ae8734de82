"""The JSON API for state."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sized
from pathlib import Path

import pytest

from stepweave.engine.store import listing, schema
from stepweave.engine.store.operations import StateSet
from stepweave.http import manage
from stepweave.payload import encode
from tests.unit.manage.kit import Api

pytestmark = pytest.mark.anyio


async def test_groups_come_with_counts_in_pages(api: Api) -> None:
    for group, key in (("a", "1"), ("a", "2"), ("b", "1"), ("c", "1")):
        await api.store.apply((StateSet(group, key, encode("x")),))

    _, page = await api.ask("GET", "/state?limit=2")
    assert page["groups"] == [
        {"group": "a", "count": 2, "size": 6},
        {"group": "b", "count": 1, "size": 3},
    ]
    _, page = await api.ask("GET", f"/state?limit=2&after={page['next']}")
    assert [each["group"] for each in page["groups"]] == ["c"]
    assert page["next"] is None


async def test_a_group_is_listed_in_pages_with_type_and_size(api: Api) -> None:
    values = {"a": {"x": 1}, "b": [1], "c": "s", "d": 1.5, "e": True, "f": None, "g": b"\x00"}
    for key, value in values.items():
        await api.store.apply((StateSet("g", key, encode(value)),))

    _, page = await api.ask("GET", "/state/g?limit=4")
    assert page["group"] == "g" and page["next"] == "d"
    rows = page["values"]
    _, page = await api.ask("GET", "/state/g?limit=4&after=d")
    rows += page["values"]
    assert page["next"] is None
    assert [row["type"] for row in rows] == [
        "object", "array", "string", "number", "boolean", "null", "bytes",
    ]  # fmt: skip
    assert [row["value"] for row in rows] == [{"x": 1}, [1], "s", 1.5, True, None, "AA=="]
    assert rows[0]["size"] == 7 and rows[0]["expires_at"] is None


async def test_a_long_value_is_listed_with_its_start_and_read_whole(api: Api) -> None:
    await api.store.apply((StateSet("g", "long", encode("x" * 50_000)),))

    _, page = await api.ask("GET", "/state/g")
    (row,) = page["values"]
    assert (row["value"], row["type"], row["size"]) == (None, "string", 50_002)
    assert row["start"].startswith('"xxx') and len(row["start"]) == 1024
    _, whole = await api.ask("GET", "/state/g/long")
    assert whole["value"] == "x" * 50_000


@pytest.mark.parametrize("name", ["a/b", "", " ", "é✓", "%2F", "a?b#c", "a\nb", "\x00", "..."])
async def test_any_name_can_be_a_group_and_a_key(api: Api, name: str) -> None:
    path = f"/state/{_quoted(name)}"
    value = f"{path}/{_quoted(name)}"

    status, put = await api.ask("PUT", value, content=b' {"n": 12345678901234567890123}\n')
    assert (status, put["group"], put["key"]) == (200, name, name)
    _, page = await api.ask("GET", path)
    assert [row["key"] for row in page["values"]] == [name]
    status, found = await api.ask("GET", value)
    assert (status, found["group"], found["key"]) == (200, name, name)
    assert found["size"] == len('{"n": 12345678901234567890123}')
    assert await api.ask("DELETE", value) == (200, {"deleted": 1})
    assert (await api.ask("GET", value))[0] == 404


async def test_a_value_that_is_not_there_is_a_404(api: Api) -> None:
    missing = (404, {"error": 'the group "g" has no key "k"'})

    assert await api.ask("GET", "/state/g/k") == missing
    assert await api.ask("DELETE", "/state/g/k") == missing
    assert await api.ask("GET", "/state/g") == (200, {"group": "g", "values": [], "next": None})
    assert await api.ask("DELETE", "/state/g") == (200, {"deleted": 0})
    assert (await api.ask("GET", "/state/g/k/l"))[0] == 404


async def test_a_value_alone_is_as_it_was_written(api: Api) -> None:
    text = '{"n": 1.10, "big": 12345678901234567890123, "e": 1e2}'
    await api.store.apply((StateSet("g", "k", ("json", text.encode())),
                           StateSet("g", "b", encode(b"\x00"))))  # fmt: skip

    answer = await api.http.get("/state/g/k?only=value")
    assert (answer.status_code, answer.text) == (200, text)
    assert await api.ask("GET", "/state/g/b?only=value") == (200, "AA==")
    assert (await api.ask("GET", "/state/g/none?only=value"))[0] == 404
    assert (await api.ask("GET", "/state/g/k?only=key"))[0] == 400


async def test_a_value_over_a_megabyte_is_listed_by_its_start(api: Api) -> None:
    big = b"\x01" * 2_000_000
    await api.store.apply((StateSet("g", "k", encode(big)), StateSet("g", "l", encode([big]))))

    answer = await api.http.get("/state/g")
    assert len(answer.content) < 10_000
    rows = answer.json()["values"]
    assert [(row["type"], row["value"]) for row in rows] == [("bytes", None), ("array", None)]
    assert rows[0]["size"] == 2_000_000 and rows[0]["start"] == "01" * 1024
    _, whole = await api.ask("GET", "/state/g/k")
    assert len(whole["value"]) == 2_666_668


async def test_a_value_may_leave_by_itself(api: Api) -> None:
    before = int(time.time() * 1000)
    assert (await api.ask("PUT", "/state/g/k?ttl_s=600", content=b"1"))[0] == 200

    (row,) = (await api.ask("GET", "/state/g"))[1]["values"]
    assert 0 <= row["expires_at"] - before - 600_000 < 60_000


async def test_a_version_guards_against_overwriting_what_was_not_seen(api: Api) -> None:
    path = "/state/g/k"
    _, made = await api.ask("PUT", f"{path}?version=none", content=b"1")
    _, seen = await api.ask("GET", path)
    assert seen["version"] == made["version"]
    assert (await api.ask("PUT", f"{path}?version=none", content=b"2"))[0] == 409
    status, _ = await api.ask("PUT", f"{path}?version={seen['version']}", content=b"2")
    assert status == 200

    assert await api.ask("PUT", f"{path}?version={seen['version']}", content=b"3") == (
        409, {"error": '"k" of "g" has another value by now; it was left as it is'},
    )  # fmt: skip
    assert (await api.ask("GET", path))[1]["value"] == 2
    status, answer = await api.ask("PUT", f"/state/g/l?version={seen['version']}", content=b"3")
    assert status == 409 and "is not there" in answer["error"]


@pytest.mark.parametrize("ttl", ["0", "-1", "x", "nan", "inf", "", "1e300"])
async def test_a_time_to_live_that_is_none_is_refused(api: Api, ttl: str) -> None:
    status, answer = await api.ask("PUT", f"/state/g/k?ttl_s={ttl}", content=b"1")

    assert status == 400 and "ttl_s must be" in answer["error"]
    assert await api.store.state_page("g", None, 9, 9) == []


def test_a_page_costs_the_same_however_large_the_group_or_many_the_groups() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.prepare(connection, ":memory:")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def cost(read: Callable[[], Sized], rows: int) -> int:
        nonlocal steps
        steps = 0
        assert len(read()) == rows
        return steps

    def fill(keys: int, groups: int) -> None:
        rows = [("big", f"{n:06}") for n in range(keys)]
        rows += [(f"group {n:05}", "k") for n in range(groups)]
        connection.execute("BEGIN")
        connection.executemany("INSERT OR IGNORE INTO state VALUES (?,?,'json',X'31',0,NULL)", rows)
        connection.execute("COMMIT")

    def costs() -> list[int]:
        connection.set_progress_handler(count, 1)
        page = cost(lambda: listing.state_page(connection, "big", "000050", 50, 9, 1), 50)
        groups = cost(lambda: listing.state_counts(connection, "group 00009", 50, 1), 50)
        connection.set_progress_handler(None, 0)
        return [page, groups]

    fill(101, 60)
    small = costs()
    fill(100_000, 10_000)
    assert all(big <= 1.1 * cost for big, cost in zip(costs(), small, strict=True))
    connection.close()


async def test_a_group_is_cleared(api: Api) -> None:
    for group in ("g", "gg"):
        await api.store.apply((StateSet(group, "a", encode(1)), StateSet(group, "b", encode(1))))

    assert await api.ask("DELETE", "/state/g") == (200, {"deleted": 2})
    assert [each.name for each in await api.store.state_counts(None, 9)] == ["gg"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{", 400), (b"nope", 400), (b'"' + b"x" * 300 + b'"', 413)]
)
async def test_a_value_that_is_no_json_or_too_long_is_refused(
    api: Api, body: bytes, status: int
) -> None:
    found, answer = await api.ask("PUT", "/state/g/k", content=body)

    assert found == status
    assert "JSON" in answer["error"] or "limit" in answer["error"]
    assert await api.store.state_page("g", None, 9, 9) == []


async def test_every_path_is_documented(api: Api) -> None:
    text = (Path(__file__).parents[3] / "docs" / "operating.md").read_text("utf-8")
    part = text.split("\n## JSON API\n")[1].split("\n## ")[0]
    paths = api.paths

    told = [
        path.removeprefix(manage.ROOT).replace("{names:names}", "{group}/{key}") for path in paths
    ]
    assert [path for path in told if f"`{path}" not in part] == []


def _quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())
