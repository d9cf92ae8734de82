"""Who may follow what: streamAuth and canAccess, in every language."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.flows.harness import Running, start, write
from tests.streams.client import Socket, change, follow
from tests.streams.project import FILES, GUARDS

pytestmark = pytest.mark.anyio

GUARDED = {**FILES, **dict(GUARDS.values())}

AUTH = {
    "motia.config.ts": """
        import { defineConfig } from 'motia'

        export default defineConfig({
          streamAuth: {
            contextSchema: { type: 'object', properties: { user: { type: 'string' } } },
            authenticate: async ({ headers, url }: any) => {
              const user = headers['x-user'] ?? new URL(url, 'http://x').searchParams.get('authToken')
              if (user === 'mallory') throw new Error('s3cret')
              return user ? { user } : null
            },
          },
        })
        """,
    "stream_auth.py": """
        from urllib.parse import parse_qs, urlsplit


        async def stream_auth(request):
            query = parse_qs(urlsplit(request["url"]).query)
            user = request["headers"].get("x-user") or query.get("authToken", [None])[0]
            if user == "mallory":
                raise ValueError("s3cret")
            return {"user": user} if user else None
        """,
    "stream_auth.rb": """
        def stream_auth(request)
          user = request['headers']['x-user'] || request['url'][/authToken=(\\w+)/, 1]
          raise 's3cret' if user == 'mallory'

          user ? { user: user } : nil
        end
        """,
}

DENIED = {
    "type": "event",
    "event": {
        "type": "error",
        "data": {"code": "STREAM_ACCESS_DENIED", "message": "Access denied"},
    },
}


@pytest.fixture(scope="module", params=AUTH)
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """The guarded project, with the users known in each of the languages."""
    files = {**GUARDED, request.param: AUTH[request.param]}
    async with start(tmp_path_factory.mktemp("access"), files) as it:
        yield it


def user(name: str) -> dict[str, Any]:
    return {"additional_headers": {"X-User": name}}


@pytest.mark.parametrize("stream", GUARDS)
async def test_each_user_gets_in_where_can_access_says_so(running: Running, stream: str) -> None:
    async with follow(running, **user("ann")) as socket:
        await socket.join(stream, "bob")
        assert await socket.event() == DENIED
        await socket.join(stream, "ann", "a", "1")
        await socket.join(stream, "ann", None, "2")
        assert await socket.event() == {"type": "sync", "data": []}
        await change(running, ["set", stream, "bob", "a", {}], ["set", stream, "ann", "a", {}])
        assert (await socket.next())["groupId"] == "ann"
        await change(running, ["delete", stream, "ann", "a", None])


@pytest.mark.parametrize("stream", GUARDS)
async def test_an_error_in_can_access_lets_nobody_in_and_tells_nothing(
    running: Running, stream: str
) -> None:
    async with follow(running, **user("ann")) as socket:
        await socket.join(stream, "broken")
        assert await socket.event() == DENIED
    await running.until(lambda: "s3cret" in " ".join(running.messages), "the reason in the log")


async def test_a_token_may_be_in_the_url_or_nowhere(running: Running) -> None:
    async with follow(running, "/live?authToken=ann") as socket:
        await socket.join("python", "ann")
        assert await socket.event() == {"type": "sync", "data": []}
    async with follow(running) as socket:
        await socket.join("python", "ann")
        assert await socket.event() == DENIED
        await socket.join("board", "open")
        assert await socket.event() == {"type": "sync", "data": []}


async def test_who_is_refused_gets_no_connection(running: Running) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with follow(running, **user("mallory")):
            pass
    assert refusal.value.response.status_code == 401
    assert refusal.value.response.body == b'{"error":"Authentication failed"}'
    answer = await running.http.get("/_stepweave/streams/board/g", headers={"x-user": "mallory"})
    assert (answer.status_code, answer.json()) == (401, {"error": "Authentication failed"})


async def test_event_streams_have_the_same_rules(running: Running) -> None:
    answer = await running.http.get("/_stepweave/streams/python/bob", headers={"x-user": "ann"})
    assert answer.status_code == 403
    assert answer.json() == {"error": "Access denied", "code": "STREAM_ACCESS_DENIED"}
    url = "/_stepweave/streams/python/ann?authToken=ann"
    async with running.http.stream("GET", url) as answer:
        assert answer.status_code == 200


async def test_the_first_protocol_offered_is_taken(running: Running) -> None:
    async with follow(running, subprotocols=["Authorization", "token"]) as socket:
        assert socket.it.subprotocol == "Authorization"


async def test_messages_of_a_connection_keep_their_order(running: Running) -> None:
    async with follow(running, **user("ann")) as socket:
        await socket.join("typescript", "ann")
        await socket.leave("typescript", "ann")
        await socket.join("board", "last")
        assert (await socket.next())["streamName"] in ("typescript", "board")
        await change(running, ["set", "typescript", "ann", "x", {}])
        await change(running, ["set", "board", "last", "x", {}])
        while (message := await socket.next())["event"]["type"] == "sync":
            pass
        assert message["streamName"] == "board"
        await change(running, ["delete", "typescript", "ann", "x", None])


@pytest.mark.parametrize("file", ["motia.config.ts", "stream_auth.py"])
async def test_a_broken_file_lets_nobody_in(tmp_path: Path, file: str) -> None:
    broken = "import { x } from './nowhere' // streamAuth\n" if file[-2:] == "ts" else "def stream"
    async with start(tmp_path, {**FILES, file: broken}) as running:
        with pytest.raises(InvalidStatus) as refusal:
            async with follow(running):
                pass
        assert refusal.value.response.status_code == 503
        assert (await running.http.get("/_stepweave/streams/board/g")).status_code == 503
        assert any(text.startswith(f"{file}: ") for text in running.messages)


async def test_a_named_file_counts_and_must_have_the_function(tmp_path: Path) -> None:
    files = {
        **FILES,
        "guards/who.py": "stream_auth = {'authenticate': lambda request: {'user': 'ann'}}\n",
        "steps/p.stream.py": GUARDS["python"][1],
    }
    async with start(tmp_path, files, STEPWEAVE_STREAMS_AUTH="guards/who.py") as running:
        async with follow(running) as socket:
            await socket.join("python", "ann")
            assert (await socket.event())["type"] == "sync"
    (tmp_path / "guards/who.py").write_text("nothing = 1\nconfig = {}\n")
    async with start(tmp_path, STEPWEAVE_STREAMS_AUTH="guards/who.py") as running:
        with pytest.raises(InvalidStatus):
            async with follow(running):
                pass
        text = "guards/who.py: exports no streamAuth; no client of a stream is let in"
        assert text in running.messages


async def test_a_config_that_only_mentions_stream_auth_guards_nothing(tmp_path: Path) -> None:
    files = {**FILES, "motia.config.ts": "// streamAuth: later\nexport const config = {}\n"}
    async with start(tmp_path, files) as running, follow(running) as socket:
        await socket.join("board", "g")
        assert (await socket.event())["type"] == "sync"


async def test_a_client_that_waits_for_its_guard_is_not_taken_for_dead(tmp_path: Path) -> None:
    files = {
        **FILES,
        "steps/slow.stream.js": """
            exports.config = {
              name: 'slow',
              schema: { text: 'string' },
              canAccess: () => new Promise((resolve) => setTimeout(() => resolve(true), 300)),
            }
            """,
    }
    async with start(tmp_path, files, STEPWEAVE_STREAMS_PING_S="0.05") as running:
        async with follow(running) as socket:
            await socket.join("slow", "g")
            assert (await socket.event())["type"] == "sync"


async def test_a_guard_that_never_answers_is_a_no(tmp_path: Path) -> None:
    files = {
        **FILES,
        "steps/slow.stream.js": """
            exports.config = {
              name: 'slow', schema: { text: 'string' }, canAccess: () => new Promise(() => {}),
            }
            """,
    }
    async with start(tmp_path, files, STEPWEAVE_STREAMS_ACCESS_TIMEOUT_S="0.2") as running:
        async with follow(running) as socket:
            await socket.join("slow", "g")
            assert await socket.event() == DENIED


DOOR = """
    import os
    from pathlib import Path

    def can_access(subscription, auth):
        return not (Path(os.environ["STEPWEAVE_ROOT"]) / "closed").exists()

    config = {"name": "door", "schema": {"text": "string"}, "canAccess": can_access}
    """


async def test_who_follows_may_be_asked_about_again(tmp_path: Path) -> None:
    files = {**FILES, "steps/door.stream.py": DOOR}
    async with (
        start(tmp_path, files, STEPWEAVE_STREAMS_RECHECK_S="0.05") as running,
        follow(running) as socket,
        running.http.stream("GET", "/_stepweave/streams/door/g") as answer,
    ):
        for stream in ("door", "board"):
            await socket.join(stream, "g")
            assert (await socket.event())["type"] == "sync"
        await change(running, ["set", "door", "g", "1", {"text": "open"}])
        assert (await socket.event())["type"] == "create"

        (tmp_path / "closed").touch()
        assert await socket.event() == DENIED
        lines = [line async for line in answer.aiter_lines() if line.startswith("data: ")]
        assert json.loads(lines[-1].removeprefix("data: "))["event"] == DENIED

        await change(
            running,
            ["set", "door", "g", "2", {"text": "closed"}],
            ["set", "board", "g", "1", {"text": "seen"}],
        )
        assert (await socket.next())["streamName"] == "board"
        assert (await running.http.get("/_stepweave/streams/door/g")).status_code == 403


async def test_pages_of_other_origins_may_be_shut_out(tmp_path: Path) -> None:
    origins = "https://shop.example"
    async with start(tmp_path, FILES, STEPWEAVE_STREAMS_ORIGINS=origins) as running:
        for origin in (None, "https://shop.example"):
            async with follow(running, origin=origin):
                pass
        with pytest.raises(InvalidStatus) as refusal:
            async with follow(running, origin="https://evil.example"):
                pass
        assert refusal.value.response.status_code == 403


@pytest.mark.parametrize("stream", GUARDS)
async def test_an_edit_of_can_access_counts_for_the_next_join(tmp_path: Path, stream: str) -> None:
    path, text = GUARDS[stream]
    async with start(tmp_path, {**FILES, path: text}, mode="dev") as running:
        async with follow(running) as socket:
            await socket.join(stream, "g")
            assert await socket.event() == DENIED
            write(tmp_path, {path: _open(path)})

            async def let_in() -> bool:
                return await joined(socket, stream)

            await running.until(let_in, "the new canAccess")


async def test_an_edit_of_stream_auth_counts_for_the_next_connection(tmp_path: Path) -> None:
    path, text = GUARDS["python"]
    files = {**FILES, path: text, "stream_auth.py": AUTH["stream_auth.py"]}
    async with start(tmp_path, files, mode="dev") as running:

        async def lets_in(name: str) -> bool:
            async with follow(running, **user("ann")) as socket:
                return await joined(socket, "python", name)

        assert await lets_in("ann")
        write(tmp_path, {"stream_auth.py": "def stream_auth(request):\n    return {'user': 'x'}\n"})
        await running.until(lambda: lets_in("x"), "the new streamAuth")
        write(tmp_path, {"stream_auth.py": "def stream_auth(request:\n"})
        stays = "the last good one stays"
        await running.until(lambda: any(stays in text for text in running.messages), stays)
        assert await lets_in("x")
        (tmp_path / "stream_auth.py").unlink()
        await running.until(lambda: lets_out(running), "nobody is known")


async def lets_out(running: Running) -> bool:
    async with follow(running, **user("x")) as socket:
        return not await joined(socket, "python", "x")


async def joined(socket: Socket, stream: str, group: str = "g") -> bool:
    await socket.join(stream, group)
    event = await socket.event()
    return bool(event["type"] == "sync")


def _open(path: str) -> str:
    name = next(name for name, (file, _) in GUARDS.items() if file == path)
    return {
        "python": f"""
            config = {{
                "name": "{name}", "schema": {{"text": "string"}}, "canAccess": lambda s, a: True,
            }}
            """,
        "typescript": f"""
            export const config = {{
              name: '{name}', schema: {{ text: 'string' }}, canAccess: () => true,
            }}
            """,
        "ruby": f"""
            def config = {{ name: '{name}', schema: {{ text: 'string' }} }}
            def can_access(_subscription, _auth) = true
            """,
    }[name]
