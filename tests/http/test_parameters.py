"""Query and path parameters with a schema: read as its types, or refused with every issue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.harness import Running
from tests.http.wire import Answer, ask

pytestmark = pytest.mark.anyio

JSON = ("content-type", "application/json")
FIRST = {"page": 1, "sort": "name"}
"""What a query without anything becomes."""


async def shop(running: Running, target: str, body: bytes = b'{"id":"1"}') -> Answer:
    return await ask(running, "POST", f"/python/shops/{target}", JSON, body=body)


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", {}),
        ("?page=2", {"page": 2}),
        ("?ratio=-1.5e2", {"ratio": -150.0}),
        ("?ratio=3", {"ratio": 3}),
        ("?sold=true", {"sold": True}),
        ("?sold=0", {"sold": False}),
        ("?sold=", {"sold": None}),
        ("?tag=a", {"tag": ["a"]}),
        ("?tag=1&tag=2", {"tag": ["1", "2"]}),
        ("?sizes[]=1&sizes[]=2", {"sizes": [1, 2]}),
        ("?sizes=7", {"sizes": [7]}),
        ("?sort=age", {"sort": "age"}),
        ("?text=1", {"text": "1"}),
        ("?range[from]=3", {"range": {"from": 3}}),
    ],
)
async def test_texts_are_read_as_the_types_of_the_schema(
    running: Running, query: str, seen: dict[str, Any]
) -> None:
    answer = await shop(running, f"7{query}")

    assert answer.status == 200, answer
    assert answer.json() == {"params": {"shop": 7}, "query": FIRST | seen}


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("page=0", "page"),
        ("page=two", "page"),
        ("page=1.5", "page"),
        ("page=", "page"),
        ("page=%2B1", "page"),
        ("page=01", "page"),
        ("page=1_000", "page"),
        ("page=%D9%A1", "page"),
        ("page=1&page=2", "page"),
        ("page[a]=1", "page"),
        ("page=" + "9" * 5000, "page"),
        ("ratio=1e999", "ratio"),
        ("ratio=NaN", "ratio"),
        ("sold=yes", "sold"),
        ("sizes=a", "sizes[0]"),
        ("sort=size", "sort"),
        ("range=1", "range"),
        ("more=1", "more"),
        ("__proto__[x]=1", "__proto__"),
    ],
)
async def test_what_does_not_fit_is_a_400_with_its_place(
    running: Running, query: str, path: str
) -> None:
    answer = await shop(running, f"7?{query}")

    assert answer.status == 400
    assert answer.json()["error"] == "Invalid query parameters"
    assert {(issue["in"], issue["path"]) for issue in answer.json()["issues"]} == {("query", path)}


@pytest.mark.parametrize("given", ["x", "1.5", "%2e5", "7%2F8", "-", "9" * 40])
async def test_a_path_parameter_of_another_type_is_a_400(running: Running, given: str) -> None:
    answer = await shop(running, given)

    assert answer.status == 400
    assert answer.json() == {
        "error": "Invalid path parameters",
        "issues": [
            {"in": "path", "path": "shop", "message": "must be a whole number, not a string"}
        ],
    }


async def test_everything_wrong_with_a_request_is_told_at_once(running: Running) -> None:
    answer = await shop(running, "x?page=0&more=1", b"{}")

    assert answer.status == 400
    assert answer.json()["error"] == "Invalid request"
    found = [(issue["in"], issue["path"]) for issue in answer.json()["issues"]]
    assert sorted(found) == [("body", "id"), ("path", "shop"), ("query", "more"), ("query", "page")]


@pytest.mark.parametrize(
    ("target", "query"),
    [
        ("/javascript/shops/7", {"page": 1}),
        ("/javascript/shops/7?page=3&sold=true", {"page": 3, "sold": True}),
        ("/ruby/shops/7?page=3&tags=a", {"page": 3, "tags": ["a"]}),
    ],
)
async def test_other_languages_and_shorthand_say_it_the_same_way(
    running: Running, target: str, query: dict[str, Any]
) -> None:
    answer = await ask(running, "GET", target)

    assert answer.json() == {"params": {"shop": 7}, "query": query}


async def test_their_issues_come_in_the_same_form(running: Running) -> None:
    answer = await ask(running, "GET", "/javascript/shops/a?page=0")

    assert answer.status == 400
    assert [(each["in"], each["path"]) for each in answer.json()["issues"]] == [
        ("path", "shop"),
        ("query", "page"),
    ]
