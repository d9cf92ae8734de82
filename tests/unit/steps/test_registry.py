"""How files fit together: names, routes, topics, flows, and what `steps --json` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from stepweave.steps.failure import load_failed, read_source, unavailable
from stepweave.steps.model import Entry, Kind, Problem, Step
from stepweave.steps.parse import parse
from stepweave.steps.registry import EMPTY, Registry
from stepweave.steps.routes import Match

from .vectors import cases, found


def entry(file: str, config: Any, source: str | None = None, revision: int = 1) -> Entry:
    what = found(file)
    parsed = parse(what, config, ["handler"], source=source, revision=revision)
    return Entry(what, parsed.item, parsed.problems, source)


def api(name: str, path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"type": "api", "name": name, "method": method, "path": path, **more}


def event(name: str, *topics: str, **more: Any) -> dict[str, Any]:
    return {"type": "event", "name": name, "subscribes": list(topics), **more}


def stream(name: str) -> dict[str, Any]:
    return {"name": name, "schema": {"text": "string"}}


def codes(registry: Registry) -> list[tuple[str, str, str]]:
    return [(p.severity, p.code, p.file) for p in registry.all_problems]


def test_steps_are_found_by_name_path_topic_and_flow() -> None:
    registry = Registry.build(
        [
            entry("steps/b.step.js", event("Pay", "made", "paid", flows=["shop"], emits=["made"])),
            entry(
                "steps/a.step.ts",
                api("Order", "/orders", "POST", emits=["made"], flows=["shop", "all"]),
            ),
            entry("streams/c.stream.ts", stream("chat") | {"flows": ["all"]}),
            entry("steps/d_step.py", event("Note", "made", emits=["paid"])),
        ]
    )

    assert list(registry.steps) == ["Order", "Pay", "Note"]
    assert registry.by_relpath["steps/b.step.js"] is registry.steps["Pay"]
    assert [step.name for step in registry.subscribers["made"]] == ["Pay", "Note"]
    assert list(registry.streams) == ["chat"]
    assert {flow: [i.name for i in items] for flow, items in registry.flows.items()} == {
        "all": ["Order", "chat"],
        "shop": ["Order", "Pay"],
    }
    assert [(r.method, r.path, r.step.name) for r in registry.routes] == [
        ("POST", "/orders", "Order")
    ]
    assert registry.table.match("POST", "/orders") == Match(registry.steps["Order"], {})
    assert [step.name for step in registry.of_kind(Kind.EVENT)] == ["Pay", "Note"]
    assert registry.all_problems == ()
    assert registry.ok


def test_a_snapshot_cannot_be_changed() -> None:
    registry = Registry.build([entry("steps/a.step.ts", api("A", "/"))])

    with pytest.raises(TypeError):
        registry.steps["B"] = registry.steps["A"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        registry.routes = ()  # type: ignore[misc]


def test_a_name_given_twice_registers_the_first_by_path() -> None:
    registry = Registry.build(
        [entry("steps/z.step.ts", api("Same", "/z")), entry("steps/a.step.ts", api("Same", "/a"))]
    )

    assert [step.relpath for step in registry.steps.values()] == ["steps/a.step.ts"]
    assert codes(registry) == [("error", "duplicate_name", "steps/z.step.ts")]
    [problem] = registry.all_problems
    assert '"Same"' in problem.message
    assert "steps/a.step.ts" in problem.message
    assert not registry.ok


def test_a_route_given_twice_registers_the_first_by_path() -> None:
    registry = Registry.build(
        [
            entry("steps/a.step.ts", api("A", "/pets/:id")),
            entry("steps/b.step.ts", api("B", "/Pets/:pet/")),
            entry("steps/c.step.ts", api("C", "/pets/:id", "PUT")),
        ]
    )

    assert list(registry.steps) == ["A", "C"]
    assert codes(registry) == [("error", "duplicate_route", "steps/b.step.ts")]
    [problem] = registry.all_problems
    assert problem.message == "GET /Pets/:pet/ is already the route of steps/a.step.ts"


def test_a_step_that_is_not_registered_takes_no_route_and_no_topic() -> None:
    registry = Registry.build(
        [
            entry("steps/a.step.ts", api("A", "/a", emits=["x"])),
            entry("steps/b.step.ts", event("A", "x")),
            entry("steps/c.step.ts", api("C", "/a")),
            entry("steps/d.step.ts", api("D", "/a", emits=["y"])),
        ]
    )

    assert codes(registry) == [
        ("warning", "no_subscriber", "steps/a.step.ts"),
        ("error", "duplicate_name", "steps/b.step.ts"),
        ("error", "duplicate_route", "steps/c.step.ts"),
        ("error", "duplicate_route", "steps/d.step.ts"),
    ]
    assert dict(registry.subscribers) == {}


def test_a_stream_given_twice_registers_the_first_and_steps_may_share_its_name() -> None:
    registry = Registry.build(
        [
            entry("steps/a.stream.ts", stream("chat")),
            entry("steps/b_stream.py", stream("chat")),
            entry("steps/c.step.ts", api("chat", "/")),
        ]
    )

    assert registry.streams["chat"].relpath == "steps/a.stream.ts"
    assert list(registry.steps) == ["chat"]
    assert codes(registry) == [("error", "duplicate_stream", "steps/b_stream.py")]


def test_topics_that_lead_nowhere_are_named_at_their_place() -> None:
    source = "config = {\n  'subscribes': ['order.made'],\n  'emits': ['order.payed'],\n}\n"
    registry = Registry.build(
        [
            entry("steps/a.step.py", event("A", "order.made", emits=["order.payed"]), source),
            entry("steps/b.step.py", event("B", "order.paid")),
        ]
    )

    emitted, subscribed, other = registry.all_problems
    assert (emitted.severity, emitted.code, emitted.line, emitted.column) == (
        "warning", "no_subscriber", 3, 13,
    )  # fmt: skip
    assert emitted.hint == 'did you mean "order.paid"?'
    assert (subscribed.severity, subscribed.code, subscribed.line) == ("info", "no_emitter", 2)
    assert (other.code, other.hint, other.line) == (
        "no_emitter",
        'did you mean "order.payed"?',
        None,
    )
    assert registry.ok


def test_topics_that_are_drawn_lead_somewhere() -> None:
    noop = {"type": "noop", "name": "N", "virtualSubscribes": ["out"], "virtualEmits": ["in"]}
    registry = Registry.build(
        [entry("steps/a.step.ts", event("A", "in", emits=["out"])), entry("steps/n.step.ts", noop)]
    )

    assert registry.all_problems == ()


def test_the_next_snapshot_forgets_what_no_longer_holds() -> None:
    first = Registry.build(
        [
            entry("steps/a.step.ts", api("A", "/")),
            entry("steps/b.step.ts", api("B", "/", emits=["x"])),
        ],
        [Problem("warning", "file_name", "m", "steps/c-step.ts")],
    )
    assert [code for _, code, _ in codes(first)] == ["file_name", "duplicate_route"]

    second = first.updated([entry("steps/a.step.ts", api("A", "/a"), revision=2)])
    assert [code for _, code, _ in codes(second)] == ["file_name", "no_subscriber"]
    assert second.steps["A"].revision == 2
    assert second.steps["B"] is first.entries[1].item

    third = second.updated([entry("steps/c.step.ts", event("C", "x"))], removed=["steps/a.step.ts"])
    assert list(third.steps) == ["B", "C"]
    assert [code for _, code, _ in codes(third)] == ["file_name"]


def test_a_file_that_no_longer_loads_keeps_its_last_good_step() -> None:
    good = entry("steps/a.step.ts", api("A", "/"))
    broken = Entry(
        good.found, good.item, (Problem("error", "load_failed", "no", "steps/a.step.ts"),)
    )

    registry = Registry.build([good]).updated([broken])

    assert registry.steps["A"] is good.item
    assert not registry.ok
    [listed] = registry.to_json()["steps"]
    assert (listed["name"], len(listed["problems"])) == ("A", 1)


def test_every_file_is_listed_broken_ones_too() -> None:
    broken = found("steps/broken.step.rb")
    problem = Problem("error", "load_failed", "SyntaxError: no", broken.relpath, 3, 1, "> 3 | x")
    registry = Registry.build(
        [
            entry("steps/a.step.ts", api("A", "/", method="get")),
            Entry(broken, None, (problem,)),
            entry("steps/s.stream.ts", stream("chat")),
            entry("steps/t.step.ts", stream("todo") | {"type": "stream"}),
            entry("steps/bad_stream.py", {"schema": {"text": "string"}}),
        ],
        [Problem("warning", "file_name", "the name does not make it a step", "steps/b-step.ts")],
    )

    printed = orjson.loads(orjson.dumps(registry.to_json()))

    assert list(printed) == ["steps", "streams", "problems", "ok"]
    assert printed["steps"] == [
        {
            "name": "A",
            "type": "api",
            "language": "typescript",
            "path": "steps/a.step.ts",
            "config": {"type": "api", "name": "A", "method": "GET", "path": "/"},
            "problems": [],
        },
        {
            "name": None,
            "type": None,
            "language": "ruby",
            "path": "steps/broken.step.rb",
            "config": None,
            "problems": [
                {
                    "severity": "error",
                    "code": "load_failed",
                    "message": "SyntaxError: no",
                    "file": "steps/broken.step.rb",
                    "line": 3,
                    "column": 1,
                    "frame": "> 3 | x",
                    "hint": None,
                }
            ],
        },
    ]
    assert [(s["name"], s["type"], s["path"]) for s in printed["streams"]] == [
        (None, None, "steps/bad_stream.py"),
        ("chat", "stream", "steps/s.stream.ts"),
        ("todo", "stream", "steps/t.step.ts"),
    ]
    assert [problem["code"] for problem in printed["problems"]] == ["file_name"]
    assert printed["ok"] is False


def test_an_empty_registry_is_fine() -> None:
    assert EMPTY.to_json() == {"steps": [], "streams": [], "problems": [], "ok": True}
    assert EMPTY.table.match("GET", "/") is None
    assert EMPTY.find("x") is None


@pytest.mark.parametrize(
    "text",
    [
        "CreateOrder",
        "createorder",
        "create-order",
        "create_order",
        "steps/make-order.step.ts",
        "./steps/make-order.step.ts",
        "make-order",
        "MakeOrder",
    ],
)
def test_a_step_is_found_by_what_a_person_types(text: str) -> None:
    registry = Registry.build(
        [
            entry("steps/make-order.step.ts", api("CreateOrder", "/")),
            entry("steps/other_step.py", api("Other", "/o")),
        ]
    )

    assert registry.find(text) is registry.steps["CreateOrder"]
    assert registry.find("nothing-like-it") is None
    assert registry.closest("CreateOder") == "CreateOrder"


def test_two_steps_that_a_text_could_mean_are_not_guessed_at() -> None:
    registry = Registry.build(
        [entry("steps/a/get.step.ts", api("A", "/a")), entry("steps/b/get.step.ts", api("B", "/b"))]
    )

    assert registry.find("get") is None


def test_the_steps_of_the_guide_form_one_project_without_errors() -> None:
    registry = Registry.build(entry(case["file"], case["config"]) for case in cases("seed"))

    assert list(registry.steps) == [
        "AnalyzeSentiment", "CreateOrder", "GenerateAnalytics", "GenerateReport", "ProcessPayment",
    ]  # fmt: skip
    assert [step.name for step in registry.subscribers["order.created"]] == ["ProcessPayment"]
    assert [step.name for step in registry.subscribers["analytics.generated"]] == ["GenerateReport"]
    assert registry.ok
    assert {problem.code for problem in registry.all_problems} == {"no_subscriber", "no_emitter"}


def test_a_failed_load_shows_the_place(tmp_path: Path) -> None:
    file = tmp_path / "steps" / "a.step.py"
    file.parent.mkdir()
    file.write_text("x = 1\ny = (\n")
    error = {
        "code": "load_failed",
        "message": "'(' was never closed",
        "type": "SyntaxError",
        "data": {"file": str(file), "line": 2, "column": 5},
    }

    problem = load_failed(found("steps/a.step.py"), error, tmp_path)

    assert (problem.severity, problem.code) == ("error", "load_failed")
    assert problem.message == "SyntaxError: '(' was never closed"
    assert (problem.file, problem.line, problem.column) == ("steps/a.step.py", 2, 5)
    assert problem.frame == "  1 | x = 1\n> 2 | y = (\n    |     ^"
    assert problem.hint is None


def test_a_failed_load_in_an_imported_file_names_both(tmp_path: Path) -> None:
    helper = tmp_path / "services" / "shop.py"
    helper.parent.mkdir()
    helper.write_text("boom\n")

    problem = load_failed(
        found("steps/a.step.py"),
        {
            "message": "NameError: boom",
            "type": "NameError",
            "data": {"file": str(helper), "line": 1},
        },
        tmp_path,
    )

    assert problem.message == "NameError: boom"
    assert (problem.file, problem.line, problem.hint) == (
        "services/shop.py",
        1,
        "steps/a.step.py needs it",
    )


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"file": 5},
        {"file": "/etc/passwd", "line": 1},
        {"file": "no/such", "line": "x"},
        {"file": "\0"},
    ],
)
def test_a_failed_load_without_a_place_in_the_project_names_the_step(
    tmp_path: Path, data: Any
) -> None:
    problem = load_failed(found("steps/a.step.py"), {"message": "no", "data": data}, tmp_path)

    assert (problem.file, problem.line, problem.frame) == ("steps/a.step.py", None, None)
    assert "root:" not in str(problem)


def test_a_language_that_cannot_run_here_is_an_error_with_its_cure() -> None:
    problem = unavailable(found("steps/a.step.rb"), "ruby was not found", "apt-get install ruby")

    assert str(problem) == "steps/a.step.rb: ruby was not found; apt-get install ruby"
    assert problem.severity == "error"


def test_sources_that_cannot_be_shown_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "long.py").write_text("x" * 1_000_001)
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'")

    assert read_source(tmp_path / "long.py") is None
    assert read_source(tmp_path / "missing.py") is None
    assert read_source(tmp_path / "latin.py") == "x = '\ufffd'"


def test_steps_and_streams_can_be_kept_in_sets() -> None:
    items = [
        entry("steps/a.step.ts", api("A", "/")).item,
        entry("steps/s.stream.ts", stream("s")).item,
    ]

    assert len({*items, *items}) == 2
    assert isinstance(items[0], Step)
