"""The methods of the host, in a real child process."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from runners.python.tests.harness import TRACE, Refused, Runner, value
from stepweave_runner import frames

Start = Callable[..., Runner]


ECHO = """
    config = {"type": "event", "name": "Echo", "subscribes": ["in"], "flows": ["kit"]}
    async def handler(data, context):
        return {"data": data, "trace": context.trace_id, "flows": context.flows,
                "attempt": context.attempt}
"""


def test_the_handshake_names_version_language_and_capabilities(start: Start) -> None:
    hello = start({}).hello

    assert hello["protocol"] == 1
    assert hello["runner"]["language"] == "python"
    assert hello["runner"]["language_version"] == ".".join(map(str, sys.version_info[:3]))
    assert hello["extensions"] == [".py"]
    assert hello["max_frame"] == frames.MAX_FRAME and hello["window"] > 1
    assert hello["capabilities"] == dict.fromkeys(
        (
            "concurrent",
            "cancel",
            "reload",
            "parse",
            "console",
            "authorize",
            "streaming",
            "middleware",
        ),
        True,
    )


def test_before_the_handshake_requests_are_refused(tmp_path: Any) -> None:
    runner = Runner(tmp_path)
    for method in ("load", "invoke", "shutdown", "changed"):
        with pytest.raises(Refused) as refused:
            runner.request(method, {})
        assert refused.value.code == "not_initialized"
    runner.initialize()
    with pytest.raises(Refused, match="answered already"):
        runner.initialize()
    runner.end()


def test_versions_that_do_not_overlap_are_both_named(tmp_path: Any) -> None:
    runner = Runner(tmp_path)
    with pytest.raises(Refused, match=r"protocol 7 to 9.*1 to 1") as refused:
        runner.initialize(protocol=[7, 9])
    assert refused.value.code == "unsupported_version"
    assert runner.initialize(protocol=[1, 9])["protocol"] == 1
    runner.end()


def test_missing_fields_are_named(start: Start) -> None:
    runner = start({"a.step.py": ECHO})

    for method, params, field in (
        ("load", {"step": "a", "path": 5}, "path"),
        ("invoke", {"step": "a.step.py", "revision": 1, "kind": "event"}, "input"),
        ("changed", {}, "paths"),
        ("shutdown", {}, "grace_ms"),
    ):
        with pytest.raises(Refused, match=field) as refused:
            runner.request(method, params)
        assert refused.value.code == "invalid_params"


def test_an_event_handler_gets_data_and_context(start: Start) -> None:
    runner = start({"a.step.py": ECHO})

    assert runner.event("a.step.py", {"n": 1}, attempt=3) == {
        "data": {"n": 1},
        "trace": TRACE.split("-")[1],
        "flows": ["kit"],
        "attempt": 3,
    }


API = """
    config = {"type": "api", "name": "Reply", "method": "POST", "path": "/reply"}
    async def handler(req, context):
        return REPLIES[req.query_params["as"]](req)
    from http import HTTPStatus
    SHOWN = ("body", "headers", "pathParams", "raw_body")
    REPLIES = {
        "all": lambda req: {"status": 201,
                            "headers": {"x-a": 1, "set-cookie": ("a", "b"), "n": None},
                            "body": {key: req[key] for key in SHOWN}},
        "text": lambda req: {"status": 200, "body": "plain žluť"},
        "bytes": lambda req: {"status": 200, "body": bytearray([0, 255])},
        "nested": lambda req: {"status": 200, "body": {"raw": b"\\x00\\xff"}},
        "null": lambda req: {"status": 200, "body": None},
        "none": lambda req: {"status": HTTPStatus.NO_CONTENT},
        "nothing": lambda req: None,
        "list": lambda req: [1],
        "status": lambda req: {"status": "teapot"},
        "true": lambda req: {"status": True},
        "statusless": lambda req: {"body": 1},
        "headers": lambda req: {"status": 200, "headers": [1]},
        "impossible": lambda req: {"status": 200, "body": {"file": object()}},
    }
"""


def test_an_api_handler_gets_a_request_and_gives_a_response(start: Start) -> None:
    runner = start({"a.step.py": API})

    def reply(as_: str, **more: Any) -> dict[str, Any]:
        return runner.api("a.step.py", query={"as": as_}, **more)

    full = reply("all", body={"n": 1}, params={"id": "7"}, headers={"x-q": ["1", "2"]})
    assert (full["status"], full["headers"]) == (201, {"x-a": "1", "set-cookie": ["a", "b"]})
    assert value(full["body"]) == {
        "body": {"n": 1},
        "headers": {"x-q": ["1", "2"]},
        "pathParams": {"id": "7"},
        "raw_body": '{"n": 1}',
    }
    assert reply("text")["body"] == ["text", "plain žluť".encode()]
    assert reply("bytes")["body"] == ["bytes", b"\x00\xff"]
    assert reply("nested")["body"] == ["json", b'{"raw":"AP8="}']
    assert reply("null")["body"] == ["json", b"null"]
    assert reply("none") == {"status": 204, "headers": {}, "body": None}
    for wrong in ("nothing", "list", "status", "true", "statusless", "headers"):
        with pytest.raises(Refused, match=r"status|headers") as refused:
            reply(wrong)
        assert (refused.value.code, refused.value.wire["type"]) == (
            "handler_failed",
            "InvalidResponse",
        )
    with pytest.raises(Refused, match="body of the response: file is an object") as refused:
        reply("impossible")
    assert refused.value.code == "invalid_payload"


def test_a_cron_handler_gets_its_context_alone(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "cron", "cron": "* * * * *"}
                async def handler(context):
                    await context.emit("tick.done", {"trace": context.traceId})
            """
        }
    )

    assert runner.wait(runner.invoke("a.step.py", "cron", {"scheduled": 1})) is None
    assert runner.asked[0][1]["topic"] == "tick.done"


def test_a_result_that_cannot_travel_is_nil_with_a_debug_record(start: Start) -> None:
    runner = start(
        {"a.step.py": "config = {'type': 'event'}\nasync def handler(d, c):\n    return object()\n"}
    )

    assert runner.event("a.step.py") is None
    assert "is not kept" in runner.messages(level="debug")[0]


FAILS = """
    config = {"type": "event"}
    from services.stock import take
    async def handler(order, context):
        take(order)
"""


def test_an_error_is_told_with_its_frames_innermost_first(start: Start) -> None:
    runner = start(
        {
            "steps/a.step.py": FAILS,
            "services/stock.py": "import json\ndef take(order):\n    json.loads(order)\n",
        }
    )

    with pytest.raises(Refused) as refused:
        runner.event("steps/a.step.py", "{")

    wire = refused.value.wire
    assert (wire["code"], wire["type"]) == ("handler_failed", "JSONDecodeError")
    root = str(runner.root)
    assert wire["frames"] == [
        {"file": f"{root}/services/stock.py", "line": 3, "function": "take"},
        {"file": f"{root}/steps/a.step.py", "line": 5, "function": "handler"},
    ]
    assert wire["trace"].startswith("Traceback (most recent call last):")
    assert "stepweave_runner" not in wire["trace"]


RAISES = """
    config = {"type": "event"}
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError
    def recurse():
        recurse()
    def leave():
        raise KeyboardInterrupt("by hand")
    def fill():
        raise MemoryError("full")
    def odd():
        raise Odd
    ALL = {"recursion": recurse, "interrupt": leave, "memory": fill, "odd": odd}
    async def handler(name, context):
        ALL[name]()
"""


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_errors_of_every_kind_are_answered(kind: str, start: Start) -> None:
    runner = start({"a.step.py": RAISES.replace("async def", kind)})

    types = {}
    for name in ("recursion", "interrupt", "memory", "odd"):
        with pytest.raises(Refused) as refused:
            runner.event("a.step.py", name)
        assert refused.value.code == "handler_failed"
        types[name] = refused.value.wire["type"]
    assert types == {
        "recursion": "RecursionError",
        "interrupt": "KeyboardInterrupt",
        "memory": "MemoryError",
        "odd": "Odd",
    }
    assert runner.request("ping", {}) == {}


def test_unknown_steps_revisions_and_methods_are_refused(start: Start) -> None:
    runner = start({"a.step.py": ECHO, "b.step.py": "config = {'type': 'noop'}\n"})

    for call, code in (
        (lambda: runner.event("gone"), "unknown_step"),
        (lambda: runner.event("a.step.py", revision=9), "stale_revision"),
        (lambda: runner.event("b.step.py"), "handler_failed"),
        (lambda: runner.request("dance", {}), "unknown_method"),
        (
            lambda: runner.wait(
                runner.invoke("a.step.py", "event", {"data": ["json", b"{"], "topic": "t"})
            ),
            "invalid_payload",
        ),
    ):
        with pytest.raises(Refused) as refused:
            call()  # type: ignore[no-untyped-call]
        assert refused.value.code == code
        if code == "handler_failed":
            assert refused.value.wire["type"] == "MissingHandler"


def test_payloads_of_every_format_are_read(start: Start) -> None:
    runner = start({"a.step.py": ECHO})

    for payload, expected in (
        (["text", "žluť".encode()], "žluť"),
        (["msgpack", b"\x81\xa1a\x01"], {"a": 1}),
        (None, None),
    ):
        given = {"topic": "t", "data": payload, "event": "e"}
        result = value(runner.wait(runner.invoke("a.step.py", "event", given)))
        assert result["data"] == expected
    raw = runner.wait(
        runner.invoke("a.step.py", "event", {"topic": "t", "data": ["bytes", b"\xff"]})
    )
    assert raw[0] == "msgpack" and value(raw)["data"] == b"\xff"


def test_a_frame_over_the_limit_is_refused_and_the_next_one_served(start: Start) -> None:
    runner = start({"a.step.py": ECHO})
    head = b"\x94\x00\xcd\x27\x0f"  # [0, 9999, …
    size = frames.MAX_FRAME + 1

    runner.write_raw(size.to_bytes(4, "big") + head + bytes(size - len(head)))

    with pytest.raises(Refused) as refused:
        runner.wait(9999)
    assert refused.value.code == "too_large"
    assert runner.event("a.step.py", 1)["data"] == 1


def test_a_value_over_the_orchestrators_limit_fails_in_the_handler(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                async def handler(size, context):
                    try:
                        await context.state.set("g", "k", "x" * size)
                    except Exception as error:
                        return error.code
            """
        },
        max_frame=10_000,
    )

    assert runner.event("a.step.py", 20_000) == "too_large"
    assert runner.asked == []


GUARDED = """
    config = {"name": "board", "canAccess": lambda subscription, auth: allow(subscription, auth)}
    def allow(subscription, auth):
        if subscription["groupId"] == "broken":
            raise ValueError("cannot tell")
        return auth is not None and auth["role"] == "reader"
"""


def test_a_stream_is_asked_whether_a_client_may_subscribe(start: Start) -> None:
    runner = start({"board.stream.py": GUARDED})

    def ask(auth: Any, group: str = "g", kind: str = "canAccess") -> Any:
        given = {"subscription": {"streamName": "board", "groupId": group}, "auth": auth}
        return value(
            runner.request(
                "authorize",
                {
                    "step": "board.stream.py",
                    "kind": kind,
                    "input": ["json", json.dumps(given).encode()],
                },
            )
        )

    assert ask({"role": "reader"}) is True
    assert ask(None) is False
    with pytest.raises(Refused, match="cannot tell") as refused:
        ask(None, "broken")
    assert refused.value.code == "handler_failed" and refused.value.wire["frames"][0]["line"] == 5
    with pytest.raises(Refused, match="has no streamAuth") as refused:
        ask(None, kind="streamAuth")
    assert refused.value.wire["type"] == "MissingHandler"


AUTHENTICATES = {
    "a function": """
        config = {"name": "board"}
        def stream_auth(request):
            return {"role": request["headers"]["x-role"]}
    """,
    "in the config": """
        async def authenticate(request):
            return {"role": request["headers"]["x-role"]}
        config = {"name": "board", "streamAuth": {"authenticate": authenticate}}
    """,
}


@pytest.mark.parametrize("form", AUTHENTICATES)
def test_a_file_may_say_who_a_client_is(form: str, start: Start) -> None:
    runner = start({"board.stream.py": AUTHENTICATES[form]})
    given = json.dumps({"headers": {"x-role": "admin"}, "url": "/"}).encode()

    answer = runner.request(
        "authorize",
        {"step": "board.stream.py", "kind": "streamAuth", "input": ["json", given]},
    )

    assert value(answer) == {"role": "admin"}


def test_a_failed_load_keeps_the_earlier_revision(start: Start, write: Any) -> None:
    runner = start({"a.step.py": ECHO})
    write({"a.step.py": "config = {\n"})

    with pytest.raises(Refused) as refused:
        runner.load("a.step.py", 2)

    assert refused.value.code == "load_failed"
    assert refused.value.wire["data"]["file"] == str(runner.root / "a.step.py")
    assert runner.event("a.step.py", 1, revision=1)["data"] == 1


def test_the_namespace_of_steps_holds_nothing_of_the_runner(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                config = {"type": "event"}
                import sys
                async def handler(name, context):
                    own = [m for m in sys.modules if m.partition(".")[0] in
                           ("console", "host", "peer", "codec", "loader", "values", "tests")]
                    try:
                        import connection
                        own.append("connection")
                    except ImportError:
                        pass
                    return {"own": own, "path": sys.path}
            """
        }
    )

    result = runner.event("a.step.py")

    assert result["own"] == []
    assert result["path"][0] == str(runner.root)
    assert not any("runners/python" in entry for entry in result["path"])


def test_a_config_function_may_await(start: Start) -> None:
    runner = start(
        {
            "a.step.py": """
                import asyncio
                async def config():
                    await asyncio.sleep(0)
                    return {"type": "event", "name": "Computed"}
            """
        }
    )

    assert runner.load("a.step.py", 2)["config"]["name"] == "Computed"
