"""What vectors cannot say of reading configs: places, the runner's words, that it never fails."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave import files
from stepweave.steps import schema
from stepweave.steps.infrastructure import CPU_BY_RAM
from stepweave.steps.keys import KEYS
from stepweave.steps.model import Backoff, Emit, Kind, Problem, QueryParam, Step
from stepweave.steps.parse import Parsed, parse

from .vectors import found

API: dict[str, Any] = {"type": "api", "name": "Get", "method": "GET", "path": "/things"}
EVENT: dict[str, Any] = {"type": "event", "name": "On", "subscribes": ["a"]}
FILE = found("steps/example.step.py")

SOURCE = """\
# A step.
config = {
    "type": "event",
    "name": "On",
    "subscribes": ["a"],
    "infrastructure": {
        "queue": {"max_retries": -1},
    },
    "emit": [],
}
"""


def read(config: Any, **more: Any) -> Parsed:
    return parse(FILE, config, ["handler"], **more)


def test_a_problem_points_at_its_key() -> None:
    config = EVENT | {"infrastructure": {"queue": {"max_retries": -1}}, "emit": []}

    unknown, limit = read(config, source=SOURCE).problems

    assert (unknown.code, unknown.line, unknown.column) == ("unknown_key", 9, 5)
    assert unknown.hint == "did you mean emits?"
    assert (limit.code, limit.line, limit.column) == ("out_of_limits", 7, 19)
    assert limit.frame is not None
    assert '> 7 |         "queue": {"max_retries": -1},' in limit.frame
    assert str(limit) == (
        "steps/example.step.py:7: infrastructure.queue.maxRetries: maxRetries cannot be negative"
    )


def test_a_missing_key_points_at_the_config() -> None:
    [problem] = read({"type": "event", "name": "On"}, source=SOURCE.replace("subs", "x")).problems

    assert (problem.code, problem.line) == ("missing_key", 2)


def test_without_the_source_a_problem_has_no_place() -> None:
    [problem] = read(EVENT | {"name": 1}).problems

    assert (problem.line, problem.column, problem.frame) == (None, None, None)
    assert problem.to_json()["frame"] is None


def test_what_the_runner_said_is_a_warning_on_a_step_that_runs() -> None:
    parsed = read(EVENT, warnings=["input: z.date() has no JSON Schema"])

    assert isinstance(parsed.item, Step)
    assert [(p.severity, p.code, p.message) for p in parsed.problems] == [
        ("warning", "load_warning", "input: z.date() has no JSON Schema")
    ]


def test_a_handler_is_not_asked_for_when_nobody_looked() -> None:
    assert parse(FILE, EVENT).problems == ()


def test_the_revision_is_the_one_given() -> None:
    first, second = read(EVENT, revision=1).item, read(EVENT, revision=2).item

    assert first is not None
    assert second is not None
    assert (first.revision, second.revision) == (1, 2)
    assert first != second
    assert len({first, second, read(EVENT, revision=1).item}) == 2


def test_emits_keep_their_labels() -> None:
    config = API | {
        "emits": ["a", {"topic": "b", "label": "then", "conditional": True}, {"topic": "c"}],
        "virtual_emits": [{"topic": "v", "label": ""}],
    }

    step = read(config).item

    assert isinstance(step, Step)
    assert step.emits == (Emit("a"), Emit("b", "then", True), Emit("c"))
    assert step.virtual_emits == (Emit("v", ""),)
    assert step.config["emits"] == ["a", {"topic": "b", "label": "then", "conditional": True}, "c"]


def test_a_step_declares_its_topics_and_one_without_any_declares_all() -> None:
    some, none = read(API | {"emits": ["a"]}).item, read(API).item

    assert isinstance(some, Step)
    assert isinstance(none, Step)
    assert (some.declares("a"), some.declares("b"), none.declares("b")) == (True, False, True)


def test_query_parameters_are_kept() -> None:
    step = read(API | {"query_params": [{"name": "page", "description": "which"}, "size"]}).item

    assert isinstance(step, Step)
    assert step.query_params == (QueryParam("page", "which"), QueryParam("size"))


def test_a_middleware_stays_out_of_the_config() -> None:
    step = parse(FILE, API | {"middleware": [None]}, ["handler", "middleware"]).item

    assert isinstance(step, Step)
    assert step.has_middleware
    assert step.config == API


@pytest.mark.parametrize("kind", ["api", "event", "cron"])
def test_the_time_of_a_handler_depends_on_its_kind(kind: str) -> None:
    config = {"api": API, "event": EVENT, "cron": {"type": "cron", "name": "C", "cron": "@daily"}}[
        kind
    ]
    block = {"infrastructure": {"handler": {"ram": 256}}}
    for given_config in (config, config | block):
        step = read(given_config).item
        assert isinstance(step, Step)
        assert step.infrastructure.handler.timeout_s == (60 if kind == "api" else 300)


@pytest.mark.parametrize(("ram", "cpu"), CPU_BY_RAM)
def test_the_processors_of_the_table_belong_to_its_memory(ram: float, cpu: float) -> None:
    for value, good in ((cpu, True), (cpu + 0.09, True), (cpu + 0.11, False)):
        config = EVENT | {"infrastructure": {"handler": {"ram": ram, "cpu": value}}}
        assert (read(config).item is not None) == good


def test_a_backoff_grows_to_its_limit() -> None:
    grows = Backoff(base_s=1, max_s=10, factor=3)

    assert [grows.ceiling_s(n) for n in (0, 1, 2, 3, 4, 10**6)] == [1, 1, 3, 9, 10, 10]
    assert [Backoff("fixed", base_s=2).ceiling_s(n) for n in (1, 5)] == [2, 2]


def test_the_same_config_gives_the_same_step() -> None:
    assert read(EVENT | {"input": {"a": "string"}}) == read(EVENT | {"input": {"a": "string"}})


@pytest.mark.parametrize(
    ("key", "kind", "hint"),
    [
        ("emit", EVENT, "did you mean emits?"),
        ("topics", EVENT, "did you mean subscribes?"),
        ("inputSchema", EVENT, "did you mean input?"),
        ("schema", API, "did you mean bodySchema?"),
        ("input", API, "did you mean bodySchema?"),
        ("respnseSchema", API, "did you mean responseSchema?"),
        ("cron", API, "it belongs to cron steps; take it out"),
        ("subscribes", API, "it belongs to event steps; take it out"),
        ("url", API, "did you mean path?"),
    ],
)
def test_an_unknown_key_gets_advice(key: str, kind: dict[str, Any], hint: str) -> None:
    [problem] = read(kind | {key: ["x"]}).problems

    assert (problem.severity, problem.code, problem.hint) == ("warning", "unknown_key", hint)


@pytest.mark.parametrize(
    ("config", "hint"),
    [
        ({"subscribes": []}, "write type: 'event'"),
        ({"cron": "@daily"}, "write type: 'cron'"),
        ({"method": "GET"}, "write type: 'api'"),
        ({"path": "/"}, "write type: 'api'"),
        ({}, "write 'api', 'event', 'cron', 'noop' or 'stream'"),
        ({"type": "http"}, "write 'api', 'event', 'cron', 'noop' or 'stream'"),
        ({"type": "crn"}, "did you mean 'cron'?"),
    ],
)
def test_a_kind_that_cannot_be_told_gets_advice(config: dict[str, Any], hint: str) -> None:
    [problem] = read({"name": "X", **config}).problems

    assert problem.hint == hint


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=12,
)
FULL: dict[str, Any] = {
    "name": "X", "description": "d", "flows": ["f"], "method": "GET", "path": "/x",
    "subscribes": ["t"], "emits": [{"topic": "t", "label": "l"}], "virtualEmits": ["v"],
    "virtual_subscribes": ["v"], "queryParams": [{"name": "q"}], "bodySchema": {"a": "string"},
    "responseSchema": {"200": {"a": "string"}}, "input": {"a": "string"}, "cron": "@daily",
    "timezone": "UTC", "overlap": True, "includeFiles": ["x"], "schema": {"a": "string"},
    "infrastructure": {"handler": {"timeout": 5}, "queue": {"backoff": {"type": "fixed"}}},
    "baseConfig": {"storageType": "default"},
}  # fmt: skip


@given(ANYTHING)
def test_anything_is_a_config_or_has_problems(raw: Any) -> None:
    parsed = parse(FILE, raw, ["handler"], source="config = {}")

    assert parsed.item is not None or any(p.severity == "error" for p in parsed.problems)


@given(st.sampled_from([*Kind]), st.dictionaries(st.sampled_from(sorted(FULL)), ANYTHING))
def test_anything_may_stand_under_any_key(kind: Kind, values: dict[str, Any]) -> None:
    parsed = read(FULL | {"type": str(kind)} | values)

    assert parsed.item is not None or any(p.severity == "error" for p in parsed.problems)
    assert all(isinstance(p, Problem) and p.message for p in parsed.problems)


# What either side may judge alone: values whose form is right and whose meaning is not.
GOOD_AND_BAD: dict[str, list[Any]] = {
    "name": ["X", "", 5, None],
    "description": ["d", "", None, 5],
    "flows": [["f"], [], None, "f", [5], [""]],
    "method": ["GET", "HEAD", "FETCH", 5, None],
    "path": ["/x", "/:id", "x", 5, None],
    "subscribes": [["t"], "t", [5], None],
    "emits": [["t"], [{"topic": "t"}], [{"topic": ""}], [{"label": "l"}], 5, None,
              [{"topic": "t", "x": 1}], [{"topic": "t", "conditional": "no"}]],
    "virtualEmits": [["t"], [5]],
    "virtualSubscribes": [["t"], "t"],
    "queryParams": [[{"name": "q"}], ["q"], [{}], [5], 5, [{"name": "q", "x": 1}]],
    "bodySchema": [{"a": "string"}, {"type": "object"}, ["string"], "string", True, None],
    "input": [{"a": "string"}, None],
    "responseSchema": [{"200": {"a": "string"}}, {"200": None}, [], 5, None],
    "cron": ["@daily", "", 5, None],
    "timezone": ["UTC", "", 5, None],
    "overlap": [True, "yes", None],
    "includeFiles": [["x"], "x"],
    "middleware": [[], None],
    "canAccess": [None],
    "schema": [{"a": "string"}, None],
    "baseConfig": [{"storageType": "default"}, {"storage": 1}, 5, None],
    "infrastructure": [
        None, 5, {}, {"x": 1}, {"handler": None}, {"handler": {"timeout": 5, "ram": 128}},
        {"handler": {"ram": 1}}, {"handler": {"timeout": 0}}, {"handler": {"cpu": 0}},
        {"handler": {"tim": 1}}, {"queue": {"type": "fifo", "maxRetries": 0}},
        {"queue": {"type": "x"}}, {"queue": {"maxRetries": 1.5}}, {"queue": {"concurrency": 0}},
        {"queue": {"delaySeconds": 901}}, {"queue": {"backoff": "fixed"}},
        {"queue": {"backoff": "x"}}, {"queue": {"backoff": {"x": 1}}},
        {"queue": {"backoff": {"factor": 0.5}}}, {"queue": {"backoff": {"baseSeconds": -1}}},
        {"queue": {"visibilityTimeout": 0}},
    ],
    "surprise": [1],
}  # fmt: skip
CONFIGS = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(values) for key, values in GOOD_AND_BAD.items()}
)
VALIDATORS = {
    kind: schema.Validator(orjson.loads(files.path("steps", "schema", f"{kind}.json").read_bytes()))
    for kind in Kind
}


@given(st.sampled_from([*Kind]), CONFIGS)
def test_parser_and_json_schema_judge_alike(kind: Kind, values: dict[str, Any]) -> None:
    config = {
        "type": str(kind),
        **{k: v for k, v in values.items() if k in {*KEYS[kind], "surprise"}},
    }
    parsed = read(config)
    faults = [str(p) for p in parsed.problems if p.severity == "error" or p.code == "unknown_key"]

    issues = [str(issue) for issue in VALIDATORS[kind].issues(config)]

    assert bool(faults) == bool(issues), (config, faults, issues)
