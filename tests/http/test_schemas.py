"""Bodies that are not what bodySchema says: every issue at once, and the handler never runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.flows.harness import Running
from tests.http.wire import Answer, ask

pytestmark = pytest.mark.anyio

JSON = ("content-type", "application/json")


async def post(running: Running, language: str, value: Any) -> Answer:
    return await ask(running, "POST", f"/{language}/checked", JSON, body=json.dumps(value).encode())


def issues(answer: Answer) -> list[tuple[str, str]]:
    assert answer.status == 400
    assert answer.get("x-trace-id")
    body = answer.json()
    assert body.keys() == {"error", "issues"}
    assert body["error"] == "Invalid request body"
    assert all(issue.keys() == {"in", "path", "message"} for issue in body["issues"])
    assert {issue["in"] for issue in body["issues"]} == {"body"}
    return sorted((issue["path"], issue["message"]) for issue in body["issues"])


@pytest.mark.parametrize(
    ("language", "value"),
    [
        ("python", {"name": "Ann", "email": "a@b.example"}),
        ("python", {"name": "Ann", "email": "a@b.example", "age": 0, "pet": {"kind": "cat"}}),
        ("javascript", {"id": "1", "tags": [], "owner": {"email": "a@b.example"}, "more": 1}),
        ("javascript", {"id": "", "amount": 1, "tags": ["a"], "owner": {"email": "a@b.example"}}),
        ("ruby", {"id": "1", "count": 2}),
    ],
)
async def test_a_body_that_fits_reaches_the_handler(
    running: Running, language: str, value: Any
) -> None:
    answer = await post(running, language, value)

    assert (answer.status, answer.json()) == (200, value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({}, [("email", "is required"), ("name", "is required")]),
        (
            {
                "name": "",
                "email": "nobody",
                "age": -1,
                "tags": ["a", 2],
                "pet": {"kind": "cow", "legs": 4},
                "more": 1,
            },
            [
                ("age", "must be at least 0"),
                ("email", "must be an email address"),
                ("more", "is not allowed"),
                ("name", "must have at least 1 character"),
                ("pet.kind", 'must be one of "cat", "dog"'),
                ("pet.legs", "is not allowed"),
                ("tags[1]", "must be a string, not a number"),
            ],
        ),
        ([], [("", "must be an object, not a list")]),
        ("text", [("", "must be an object, not a string")]),
        (None, [("", "must be an object, not null")]),
    ],
)
async def test_every_issue_of_a_json_schema_is_named_at_once(
    running: Running, value: Any, found: list[tuple[str, str]]
) -> None:
    assert issues(await post(running, "python", value)) == found


@pytest.mark.parametrize(
    ("language", "value", "paths"),
    [
        ("javascript", {}, ["id", "owner", "tags"]),
        ("javascript", {"id": 1, "tags": [1], "owner": {}}, ["id", "owner.email", "tags[0]"]),
        ("javascript", {"id": "1", "tags": "a", "owner": {"email": 5}}, ["owner.email", "tags"]),
        ("ruby", {"count": "2"}, ["count", "id"]),
        ("ruby", {"id": None, "count": 1.5}, ["count", "id"]),
    ],
)
async def test_shorthand_is_checked_the_same(
    running: Running, language: str, value: Any, paths: list[str]
) -> None:
    assert [path for path, _ in issues(await post(running, language, value))] == paths


async def test_the_value_itself_is_not_sent_back(running: Running) -> None:
    answer = await post(running, "ruby", {"id": {"password": "s3cret"}, "count": "s3cret"})

    assert b"s3cret" not in answer.body


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ((), None),
        ((JSON,), b""),
        ((), b'{"id": "1", "count": 2}'),
        ((("content-type", "text/plain"),), b'{"id": "1", "count": 2}'),
        ((("content-type", "application/octet-stream"),), b"\xff"),
    ],
)
async def test_no_body_and_one_of_another_type_do_not_fit_a_schema(
    running: Running, head: tuple[tuple[str, str], ...], body: bytes | None
) -> None:
    answer = await ask(running, "POST", "/ruby/checked", *head, body=body)

    assert issues(answer)


async def test_a_form_is_checked_as_the_object_it_is(running: Running) -> None:
    form = ("content-type", "application/x-www-form-urlencoded")
    body = b"id=1&tags[]=a&owner[email]=a@b.example"

    answer = await ask(running, "POST", "/javascript/checked", form, body=body)

    assert answer.json() == {"id": "1", "tags": ["a"], "owner": {"email": "a@b.example"}}


async def test_a_thousand_issues_are_a_hundred(running: Running) -> None:
    value = {"name": "Ann", "email": "a@b.example", "tags": list(range(1000))}

    assert len(issues(await post(running, "python", value))) == 100


async def test_a_refused_body_is_no_fault_of_the_project(running: Running) -> None:
    before = len([r for r in running.records if r.level == "error"])

    issues(await post(running, "python", {}))

    assert len([r for r in running.records if r.level == "error"]) == before
