"""`run` and `steps`: what they hand over, print and return, with a real Python runner."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from stepweave import cli
from stepweave.calls import Outcome
from stepweave.cli import report
from stepweave.cli import run as run_command
from stepweave.cli.request import input_of, misfits, read_data
from stepweave.errors import UsageError
from stepweave.paint import Paint
from stepweave.steps.model import Batch, Infrastructure, Kind, QueueOptions, Step
from stepweave.steps.schema import Validator
from stepweave.trace import Span

BARE = Paint(color=False)

GREET = """
config = {"type": "api", "name": "Greet", "method": "POST", "path": "/greet/:name",
          "emits": ["greeted"], "bodySchema": {"loud": "boolean"}}

async def handler(req, context):
    context.logger.info("greeting", {"name": req.path_params["name"]})
    await context.emit({"topic": "greeted", "data": {"name": req.path_params["name"]}})
    return {"status": 201, "body": {"hello": req.path_params["name"], "body": req.body,
                                    "query": dict(req.query_params)}}
"""
COUNT = """
config = {"type": "event", "name": "Count", "subscribes": ["greeted"], "emits": []}

async def handler(data, context):
    if data["name"] == "nobody":
        raise ValueError("who?")
    return await context.state.increment("counts", data["name"])
"""
NOOP = 'config = {"type": "noop", "name": "Door", "virtualEmits": [], "virtualSubscribes": []}'
BAD = "import nothing_of_that_name\nconfig = {}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {"greet": GREET, "count": COUNT, "door": NOOP}.items():
        (tmp_path / "steps").mkdir(exist_ok=True)
        (tmp_path / "steps" / f"{name}.step.py").write_text(text)
    return tmp_path


def step(kind: Kind, **more: Any) -> Step:
    return Step("It", kind, "python", Path("/p/it.step.py"), "it.step.py", config={}, **more)


def args(**given: Any) -> argparse.Namespace:
    defaults: dict[str, Any] = {"data": None, "topic": None, "param": [], "query": [], "header": []}
    return argparse.Namespace(**defaults | given)


# --- what is handed over


def test_a_request_is_made_from_the_options() -> None:
    it = step(Kind.API, method="PUT", route="/a/:id/:part?")
    kind, given = input_of(
        it,
        args(data='{"x": 1}', param=[("id", "a/b")], query=[("q", "1"), ("q", "2"), ("r", "3")],
             header=[("X-Key", "v"), ("Cookie", "a=1; b=x%20y")]),
    )  # fmt: skip

    assert kind == "api"
    assert given == {
        "method": "PUT",
        "path": "/a/a%2Fb/",
        "url": "/a/a%2Fb/?q=1&q=2&r=3",
        "params": {"id": "a/b"},
        "query": {"q": ["1", "2"], "r": "3"},
        "headers": {
            "x-key": "v",
            "cookie": "a=1; b=x%20y",
            "content-type": "application/json",
        },
        "cookies": {"a": "1", "b": "x y"},
        "body": ("json", b'{"x": 1}'),
    }


def test_a_path_parameter_that_is_needed_is_asked_for() -> None:
    with pytest.raises(UsageError, match="GET /a/:id needs --param id=VALUE"):
        input_of(step(Kind.API, method="GET", route="/a/:id"), args())


def test_an_event_has_the_first_topic_unless_one_is_named() -> None:
    it = step(Kind.EVENT, subscribes=("a", "b"))
    kind, given = input_of(it, args(data="null"))
    assert (kind, given["topic"], given["data"]) == ("event", "a", ("json", b"null"))
    assert re.fullmatch("[0-9a-f]{16}", given["event"])
    assert input_of(it, args(topic="b"))[1]["topic"] == "b"
    assert input_of(it, args())[1]["data"] is None


@pytest.mark.parametrize("data", [None, "{}", "[]", "1"])
def test_a_step_that_takes_batches_wants_a_list(data: str | None) -> None:
    queue = Infrastructure(queue=QueueOptions(batch=Batch(3)))
    it = step(
        Kind.EVENT, subscribes=("a",), infrastructure=queue, input=Validator({"type": "number"})
    )
    with pytest.raises(UsageError, match="It takes batches: --data must be a list"):
        input_of(it, args(data=data))

    given = input_of(it, args(data='[1, "two"]'))[1]
    assert given["data"] == ("json", b'[1, "two"]')
    assert [(each["topic"], each["attempt"]) for each in given["events"]] == [("a", 1), ("a", 1)]
    assert given["events"][0]["event"] == given["event"] != given["events"][1]["event"]
    assert misfits(it, given) == ["event 1 does not fit its schema: must be a number, not a string"]


def test_a_cron_step_is_due_now() -> None:
    kind, given = input_of(step(Kind.CRON, cron="@daily"), args())

    assert kind == "cron" and given["scheduled"] > 1_700_000_000_000


def test_a_step_without_handler_and_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="has no handler to run"):
        input_of(step(Kind.NOOP), args())
    with pytest.raises(UsageError, match="is no API step"):
        input_of(step(Kind.CRON), args(query=[("a", "1")]))


def test_data_comes_from_the_line_a_file_or_stdin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.json").write_text('{"from": "file"}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))

    assert read_data(None) is None
    assert read_data("1") == ("json", b"1")
    assert read_data(f"@{tmp_path / 'x.json'}") == ("json", b'{"from": "file"}')
    assert read_data("-") == ("json", b"[1]")


def test_data_that_is_no_json_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--data is not JSON.*a string needs its quotes"):
        read_data("hello")
    with pytest.raises(UsageError, match=r"/none\.json: cannot be read: No such file"):
        read_data(f"@{tmp_path}/none.json")


def test_what_does_not_fit_the_schema_is_named() -> None:
    number = Validator({"type": "object", "properties": {"n": {"type": "number"}}})
    it = step(Kind.EVENT, subscribes=("a",), input=number)

    assert misfits(it, {"data": ("json", b'{"n": 1}')}) == []
    (said,) = misfits(it, {"data": ("json", b'{"n": "x"}')})
    assert said.startswith("the data does not fit its schema: n")
    assert misfits(step(Kind.CRON), {}) == []


def test_parameters_are_read_and_checked_by_their_schemas() -> None:
    schema = Validator({"type": "object", "properties": {"n": {"type": "integer"}}})
    it = step(Kind.API, method="GET", route="/a/:n", params=schema, query=schema)

    _, given = input_of(it, args(param=[("n", "7")], query=[("n", "x")]))

    assert (given["params"], given["query"]) == ({"n": 7}, {"n": "x"})
    (said,) = misfits(it, given)
    assert said == "the query does not fit its schema: n must be a whole number, not a string"


# --- what is told


def run_of(outcome: Outcome, kind: Kind = Kind.EVENT, **trace: Any) -> report.Run:
    span = Span("a" * 32, "It", "event", "python")
    span.add("emit", "done", "e1", 2048)
    span.finish(outcome.status)
    span.ended_at = span.started_at + 12_340
    return report.Run(step(kind), span, outcome, trace, waiting=0)


def test_the_story_tells_how_it_went_and_what_was_emitted() -> None:
    found = run_of(Outcome("ok", ("json", b"1")))

    assert report.story(found, BARE, followed=False).splitlines() == [
        "✔ It  12.3 ms",
        "  emitted done  2.0 kB",
        f"  trace {'a' * 32}",
    ]
    assert report.result(found) == "1\n"
    assert found.ok


def test_the_story_of_a_failure_shows_the_authors_frames() -> None:
    frame = {"file": "steps/it.step.py", "line": 7, "function": "handler"}
    error = {"type": "ValueError", "message": "no", "frames": [frame]}
    found = run_of(Outcome("error", None, error))

    lines = report.story(found, BARE, followed=False).splitlines()
    assert lines[:3] == [
        "✖ It error  12.3 ms",
        "  ValueError: no",
        "    at handler (steps/it.step.py:7)",
    ]
    assert report.result(found) == "" and not found.ok


def test_the_events_of_an_atomic_step_that_failed_never_were() -> None:
    for status, emitted in (("ok", 1), ("error", 0)):
        found = run_of(Outcome(status))
        atomic = found._replace(step=step(Kind.EVENT, atomic=True))
        assert (len(found.emitted), len(atomic.emitted)) == (1, emitted)


def test_what_followed_is_told_as_a_tree() -> None:
    spans = [
        {"name": "It", "depth": 0, "status": "ok", "attempt": 1, "duration_ms": 1.0},
        {"name": "Next", "depth": 1, "status": "ok", "attempt": 1, "duration_ms": 2.0},
        {"name": "Last", "depth": 2, "status": "error", "attempt": 2, "duration_ms": 3.5,
         "error": {"message": "boom"}},
    ]  # fmt: skip
    found = run_of(Outcome("ok"), status="error", spans=spans)

    assert report.story(found, BARE, followed=True).splitlines()[2:4] == [
        "  ✔ Next  2 ms",
        "    ✖ Last (attempt 2)  3.5 ms  boom",
    ]
    assert found.went_well and not found.ok


def test_what_waits_after_all_that_followed_is_told() -> None:
    found = run_of(Outcome("ok"))._replace(waiting=2)
    line = "  2 deliveries still wait for later; `stepweave events list` shows which"
    assert line in report.story(found, BARE, followed=True).splitlines()
    assert line not in report.story(found, BARE, followed=False).splitlines()


def test_an_answer_is_its_body_and_a_server_error_a_failure() -> None:
    text = run_of(Outcome("ok", {"status": 200, "body": ("text", b"hi")}), Kind.API)
    assert report.result(text) == "hi\n" and text.ok
    data = run_of(Outcome("ok", {"status": 404, "body": ("bytes", b"\0\1")}), Kind.API)
    assert report.result(data) == "2 B of binary data\n" and data.ok
    failed = run_of(Outcome("ok", {"status": 500, "body": None}), Kind.API)
    assert report.result(failed) == "" and not failed.ok


# --- the options


@pytest.mark.parametrize("text", ["Cookie=a=1; b=2", "Cookie: a=1; b=2", "Cookie:a=1; b=2"])
def test_a_header_may_be_written_as_in_a_request(text: str) -> None:
    parser = argparse.ArgumentParser()
    run_command.add_arguments(parser)

    assert parser.parse_args(["It", "--header", text]).header == [("Cookie", "a=1; b=2")]


@pytest.mark.parametrize("text", ["Cookie", "=x", "two words=x", "a=b\nc=d"])
def test_what_is_no_header_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    run_command.add_arguments(parser)

    with pytest.raises(SystemExit):
        parser.parse_args(["It", "--header", text])
    assert "is not of the form NAME=VALUE or NAME: VALUE" in capsys.readouterr().err


# --- with a runner


def test_one_step_runs_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "greet", "--dir", str(project), "--param", "name=ann", "--query", "a=1"]
    assert cli.main([*words, "--data", '{"loud": true}']) == 0

    out, err = capsys.readouterr()
    assert json.loads(out) == {"hello": "ann", "body": {"loud": True}, "query": {"a": "1"}}
    assert "Greet greeting name=ann" in err
    assert "✔ Greet 201" in err and "emitted greeted" in err
    assert "Count" not in err


def test_the_flow_goes_on_when_followed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "Greet", "--dir", str(project), "--follow", "--json"]
    assert cli.main([*words, "--param", "name=ann", "--data", '{"loud": 3}']) == 0

    out, err = capsys.readouterr()
    told = json.loads(out)
    assert [(span["name"], span["depth"]) for span in told["spans"]] == [("Greet", 0), ("Count", 1)]
    assert told["emitted"][0]["topic"] == "greeted"
    assert "the body does not fit its schema: loud" in err


def test_a_failure_further_on_is_a_failure(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "Greet", "--dir", str(project), "--param", "name=nobody"]
    assert cli.main(words) == 0
    assert cli.main([*words, "--follow"]) == 1
    err = capsys.readouterr().err
    assert "✖ Count" in err and "1 delivery still waits" in err


PARSED = """
from pydantic import BaseModel, field_validator

class Pet(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def no_cats(cls, name):
        if name == "cat":
            raise ValueError("no cats")
        return name.strip()

config = {"type": "event", "name": "Parsed", "subscribes": ["pet"],
          "validate": "parse", "input": Pet}

async def handler(data, context):
    return data.name if isinstance(data, Pet) else {"as it came": data}
"""
PARSED_API = (
    PARSED.replace('"event", "name": "Parsed"', '"api", "name": "Asked", "path": "/pet"')
    .replace('"subscribes": ["pet"]', '"method": "POST"')
    .replace('"input"', '"bodySchema"')
    .replace("(data, context)", "(req, context)")
    .replace('return data.name if isinstance(data, Pet) else {"as it came": data}',
             'return {"status": 200, "body": req.body.name}')
)  # fmt: skip


def test_input_is_parsed_as_it_would_be_otherwise(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "steps" / "parsed.step.py").write_text(PARSED)
    (project / "steps" / "asked.step.py").write_text(PARSED_API)

    def run(name: str, data: str) -> tuple[int, str, str]:
        code = cli.main(["run", name, "--dir", str(project), "--data", data])
        return (code, *capsys.readouterr())

    assert run("Parsed", '{"name": " Rex "}')[:2] == (0, '"Rex"\n')
    assert run("Asked", '{"name": " Rex "}')[:2] == (0, "Rex\n")

    code, out, err = run("Parsed", '{"name": "cat"}')
    assert (code, json.loads(out)) == (0, {"as it came": {"name": "cat"}})
    assert "name no cats" in err
    code, out, err = run("Parsed", '{"name": 7}')
    assert (code, json.loads(out)) == (0, {"as it came": {"name": 7}})
    assert "name must be a string" in err
    code, out, err = run("Asked", '{"name": "cat"}')
    assert (code, out) == (1, "")
    assert "the input does not fit its schemas: name no cats" in err


def test_what_waits_for_later_is_counted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = GREET.replace('"data": {', '"delay": 3600, "data": {')
    (project / "steps" / "greet.step.py").write_text(later)
    words = ["run", "Greet", "--dir", str(project), "--param", "name=ann", "--follow", "--json"]
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["waiting"] == 1


def test_state_is_the_projects_own(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for count in (1, 2):
        words = ["run", "steps/count.step.py", "--dir", str(project), "--data", '{"name": "bob"}']
        assert cli.main(words) == 0
        assert capsys.readouterr().out == f"{count}\n"


def test_steps_that_cannot_run_are_refused_with_the_reason(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "steps" / "bad.step.py").write_text(BAD)
    for name, said in {
        "Gret": 'there is no step "Gret"; did you mean "Greet"?',
        "zzzzzz": "there are: Count, Door, Greet",
        "Door": "is a noop step: it has no handler to run",
        "bad": "steps/bad.step.py cannot run\n✖ steps/bad.step.py:1",
        "NamedInBad": "not counting what cannot run:\n✖ steps/bad.step.py:1",
    }.items():
        assert cli.main(["run", name, "--dir", str(project)]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("typescript]\nprocesses = 2", "[runners.typescript]: there is no such runner; there are"),
        (
            'python]\ninterpreter = "no/python"',
            "no/python was not found, which [runners.python] names as its interpreter",
        ),
    ],
)
def test_settings_of_a_runner_that_is_not_there_are_told(
    project: Path, capsys: pytest.CaptureFixture[str], settings: str, said: str
) -> None:
    (project / "stepweave.toml").write_text(f"[runners.{settings}\n")
    assert cli.main(["steps", str(project)]) != 0
    out, err = capsys.readouterr()
    assert said in out + err


def test_steps_are_listed_with_their_problems(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["steps", str(project)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["KIND", "NAME", "TRIGGER", "EMITS", "FILE"]
    assert lines[1].split() == ["event", "Count", "greeted", "steps/count.step.py"]
    assert lines[3].split() == ["api", "Greet", "POST", "/greet/:name", "greeted",
                                "steps/greet.step.py"]  # fmt: skip

    (project / "steps" / "bad.step.py").write_text(BAD)
    assert cli.main(["steps", str(project)]) == 1
    text = capsys.readouterr().out
    assert "nothing_of_that_name" in text and "1 error" in text
    assert not (project / ".stepweave").exists()


def test_steps_are_listed_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["steps", str(project), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in told["steps"]] == ["Count", "Door", "Greet"]
    assert told["ok"] and told["steps"][2]["config"]["path"] == "/greet/:name"
