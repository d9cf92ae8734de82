"""Configs of every kind against what the contract says of them, and against their JSON Schema."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
import pytest

from stepweave import files
from stepweave.steps import keys, schema, shorthand
from stepweave.steps.model import Kind, Step, Stream
from stepweave.steps.parse import Parsed, parse
from stepweave.steps.routes import METHODS, MethodNotAllowed, RouteTable

from .vectors import cases, found, names

KINDS = [str(kind) for kind in Kind]
CONFIGS = [case for name in ("seed", *KINDS) for case in cases(name)]
SHORTHAND = cases("shorthand")
ROUTES = cases("routes")


def config_schema(kind: str) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(
        files.path("steps", "schema", f"{kind}.json").read_bytes()
    )
    return loaded


VALIDATORS = {kind: schema.Validator(config_schema(kind)) for kind in KINDS}


def read(case: dict[str, Any]) -> Parsed:
    file = case.get("file", "steps/example.step.ts")
    return parse(found(file), case["config"], case.get("exports", ["handler"]))


@pytest.mark.parametrize("case", CONFIGS, ids=names(CONFIGS))
def test_a_config_has_the_problems_of_its_vector(case: dict[str, Any]) -> None:
    parsed = read(case)

    expected = case.get("problems", [])
    assert [(p.severity, p.code) for p in parsed.problems] == [
        (each["severity"], each["code"]) for each in expected
    ], [str(problem) for problem in parsed.problems]
    for problem, each in zip(parsed.problems, expected, strict=True):
        assert each.get("says", "") in problem.message
        assert problem.file == case.get("file", "steps/example.step.ts")
    failed = any(each["severity"] == "error" for each in expected)
    assert (parsed.item is None) == failed


@pytest.mark.parametrize("case", CONFIGS, ids=names(CONFIGS))
def test_a_config_gives_the_step_of_its_vector(case: dict[str, Any]) -> None:
    item = read(case).item

    if item is None:
        assert "item" not in case
        return
    facts = described(item)
    for key, value in case.get("item", {}).items():
        assert facts[key] == value, key
    if "result" in case:
        assert item.config == case["result"]
    orjson.dumps(item.config)


@pytest.mark.parametrize("case", CONFIGS, ids=names(CONFIGS))
def test_the_schemas_of_a_config_take_and_refuse_what_the_vector_says(case: dict[str, Any]) -> None:
    item = read(case).item
    for name in ("body", "query", "params", "input"):
        if name not in case:
            continue
        validator = getattr(item, name)
        for value in case[name]["valid"]:
            assert validator.is_valid(value), value
            assert validator.issues(value) == []
        for value, issues in case[name]["invalid"]:
            assert not validator.is_valid(value), value
            assert sorted([i.path, i.message] for i in validator.issues(value)) == sorted(issues)


@pytest.mark.parametrize("case", CONFIGS, ids=names(CONFIGS))
def test_the_json_schema_of_configs_agrees_with_the_parser(case: dict[str, Any]) -> None:
    config = case["config"]
    kind = config.get("type") if isinstance(config, dict) else None
    if ".stream." in case.get("file", "") or "_stream." in case.get("file", ""):
        kind = "stream"
    if str(kind).lower() not in KINDS:
        return
    parsed = read(case)
    faults = [p for p in parsed.problems if p.severity == "error" or p.code == "unknown_key"]

    fits = VALIDATORS[str(kind).lower()].is_valid(config)

    assert fits == case.get("schema", not faults), VALIDATORS[str(kind).lower()].issues(config)


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_schema_of_a_kind_names_its_keys(kind: str) -> None:
    assert set(config_schema(kind)["properties"]) == keys.KEYS[Kind(kind)]


def test_the_json_schemas_name_the_keys_inside_configs() -> None:
    event = config_schema("event")
    block = event["$defs"]["infrastructure"]["properties"]
    emit = event["$defs"]["emit"]["oneOf"][1]
    param = config_schema("api")["properties"]["queryParams"]["items"]["oneOf"][1]
    base = config_schema("stream")["properties"]["baseConfig"]
    queue = block["queue"]["properties"]
    backoff, batch = queue["backoff"]["anyOf"][1], queue["batch"]["anyOf"][1]
    named = {
        "infrastructure": block,
        "infrastructure.handler": block["handler"]["properties"],
        "infrastructure.queue": queue,
        "infrastructure.queue.backoff": backoff["properties"],
        "infrastructure.queue.batch": batch["properties"],
        "infrastructure.queue.throttle": queue["throttle"]["properties"],
        "baseConfig": base["properties"],
        "emits": emit["properties"],
        "virtualEmits": emit["properties"],
        "queryParams": param["properties"],
    }
    assert {path: frozenset(properties) for path, properties in named.items()} == keys.NESTED


def test_the_json_schema_of_api_steps_names_the_methods() -> None:
    assert tuple(config_schema("api")["properties"]["method"]["enum"]) == METHODS


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_schemas_describe_every_key(kind: str) -> None:
    loaded = config_schema(kind)
    for key, value in loaded["properties"].items():
        if "$ref" in value:
            value = loaded["$defs"][value["$ref"].rpartition("/")[2]]
        assert value.get("description") or "const" in value, key


@pytest.mark.parametrize("case", SHORTHAND, ids=names(SHORTHAND))
def test_shorthand_becomes_the_json_schema_of_its_vector(case: dict[str, Any]) -> None:
    made, issues = shorthand.to_json_schema(case["given"], required=True)

    assert made == case["schema"]
    expected = case.get("issues", [])
    assert [issue.path for issue in issues] == [path for path, _ in expected]
    for issue, (_, says) in zip(issues, expected, strict=True):
        assert says in issue.message
    if made is not None:
        schema.Validator(made).compiled()


@pytest.mark.parametrize("case", ROUTES, ids=names(ROUTES))
def test_a_request_finds_the_route_of_its_vector(case: dict[str, Any]) -> None:
    for routes in (case["routes"], case["routes"][::-1]):
        table = RouteTable((method, path, path) for method, path in routes)
        for method, path, expected in case["requests"]:
            answer = table.match(method, path)
            if expected is None:
                assert answer is None, (method, path)
            elif "allow" in expected:
                assert answer == MethodNotAllowed(tuple(expected["allow"])), (method, path)
            else:
                assert answer == (expected["route"], expected["params"]), (method, path)


def described(item: Step | Stream) -> dict[str, Any]:
    """The facts that vectors state of a step or stream."""
    facts: dict[str, Any] = {
        "kind": str(item.kind),
        "name": item.name,
        "language": item.language,
        "description": item.description,
        "flows": list(item.flows),
    }
    if isinstance(item, Stream):
        return facts | {"has_access_check": item.has_access_check}
    queue = asdict(item.infrastructure.queue)
    if queue["throttle"] is not None:
        queue["throttle"]["key"] = list(queue["throttle"]["key"])
    return facts | {
        "atomic": item.atomic,
        "backoff": queue.pop("backoff"),
        "batch": queue.pop("batch"),
        "catch_up": item.catch_up,
        "cron": item.cron,
        "has_middleware": item.has_middleware,
        "include_files": list(item.include_files),
        "isolate": item.infrastructure.handler.isolate,
        "method": item.method,
        "on_dead_letter": queue.pop("on_dead_letter"),
        "overlap": item.overlap,
        "parses": item.parses,
        "priority": queue.pop("priority"),
        "throttle": queue.pop("throttle"),
        "queue": queue,
        "route": item.route,
        "statuses": sorted(item.responses),
        "subscribes": list(item.subscribes),
        "timeout_s": item.infrastructure.handler.timeout_s,
        "timezone": item.timezone,
        "topics": sorted(item.topics),
        "virtual_subscribes": list(item.virtual_subscribes),
    }
