"""API steps: from a matched route to the bytes of the answer, with nothing in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from stepweave.calls import Call, Outcome
from stepweave.engine.invoker import Invoker
from stepweave.errors import InvalidInput, StoreFailed, TooLarge, Unsupported
from stepweave.http import checks, cookies, request
from stepweave.http.exchange import Exchange
from stepweave.http.finish import Finish
from stepweave.http.identity import request_id
from stepweave.http.intake import Intake, Taken, refusal
from stepweave.http.replies import Notice, Replies
from stepweave.http.response import (
    Head,
    Reply,
    Send,
    error_reply,
    send_reply,
    stream_head,
)
from stepweave.http.streaming import Durable, Streaming
from stepweave.steps.coercion import coerced
from stepweave.steps.model import Step
from stepweave.streamed import Streamed
from stepweave.trace import Span, TraceParent, new_trace_id, parse_traceparent

__all__ = ["ApiSteps"]


class Started(NamedTuple):
    """An answer in parts whose head can be sent."""

    streamed: Streamed
    head: Head


class Asked(NamedTuple):
    """A request of a step's route, read and taken.

    `ids` are the trace id and the caller's request id.
    """

    step: Step
    params: Mapping[str, Any]
    query: dict[str, Any]
    taken: Taken
    head: Mapping[str, Any]
    parent: TraceParent | None
    ids: tuple[str, str | None]
    scope: Mapping[str, Any]


Deliver = Callable[[Call | None, Reply | Started], None]
"""Takes what is answered, once; without a call when the handler was not asked."""


class ApiSteps:
    """Serves matched requests. An answer leaves when all that it depends on is on disk."""

    def __init__(
        self,
        invoker: Invoker,
        store: Durable,
        notice: Notice,
        *,
        intake: Intake,
        development: bool,
        finish: Finish | None = None,
        stream_timeout_s: float | None = None,
    ) -> None:
        self._invoker = invoker
        self._store = store
        self._notice = notice
        self._intake = intake
        self._replies = Replies(notice, development=development)
        self._finish = finish
        self._streaming = Streaming(store, invoker.cancel, stream_timeout_s)
        self._loop = asyncio.get_running_loop()
        self.served = 0

    def direct(self, step: Step, params: Mapping[str, str], exchange: Exchange) -> bool:
        """Answer a request that came as a whole; only what has to wait gets a task.

        False leaves the request to `serve`.
        """
        scope = exchange.scope
        head = request.headers(scope["headers"])
        parent, ids = _identity(head)
        try:
            query = request.query_of(scope)
            taken = self._intake.whole(exchange.body, head)
        except (TooLarge, InvalidInput, Unsupported) as error:
            exchange.answer(refusal(error), *ids)
            return True
        if taken is None:
            return False
        asked = Asked(step, params, query, taken, head, parent, ids, scope)

        def deliver(call: Call | None, reply: Reply | Started) -> None:
            if type(reply) is Reply:
                final = reply if call is None else self._final(call, reply, asked)
                if final is not None:
                    exchange.answer(final, *ids)
                    return
            exchange.later(
                lambda _scope, receive, send: self._conclude(call, reply, asked, receive, send)
            )

        self._begin(asked, deliver)
        return True

    async def serve(
        self,
        step: Step,
        params: Mapping[str, str],
        scope: Mapping[str, Any],
        receive: request.Receive,
        send: Send,
    ) -> None:
        """Answer one request of a step's route."""
        head = request.headers(scope["headers"])
        parent, ids = _identity(head)
        try:
            query = request.query_of(scope)
            taken = await self._intake.take(receive, head)
        except (TooLarge, InvalidInput, Unsupported) as error:
            await send_reply(send, refusal(error), *ids)
            return
        except request.ClientGone:
            return
        asked = Asked(step, params, query, taken, head, parent, ids, scope)
        try:
            await self._run(asked, receive, send)
        finally:
            if taken.files:
                self._intake.release(taken.files)

    async def _run(self, asked: Asked, receive: request.Receive, send: Send) -> None:
        """Run the handler and send what it answers."""
        answer: asyncio.Future[Reply | Started] = self._loop.create_future()

        def deliver(_call: Call | None, reply: Reply | Started) -> None:
            if not answer.done():
                answer.set_result(reply)

        call = self._begin(asked, deliver)
        try:
            reply = await answer
        except asyncio.CancelledError:
            if call is not None:
                self._invoker.cancel(call, "client")
            raise
        await self._conclude(call, reply, asked, receive, send)

    def _begin(self, asked: Asked, deliver: Deliver) -> Call | None:
        """Ask the handler, unless the request is not what the step wants."""
        step, params, query, taken, head, parent, ids, scope = asked
        if step.query is not None:
            query = coerced(query, step.query.schema)
        if step.params is not None:
            params = coerced(params, step.params.schema)
        refused = checks.refusal(step, params, query, checks.body_of(step, taken))
        if refused is not None:
            deliver(None, refused)
            return None
        path = scope["path"]
        span = Span(
            ids[0],
            step.name,
            "api",
            step.language,
            parent_id=parent.span_id if parent is not None else None,
            input=taken.data,
            route=step.route,
            path=path,
        )
        if ids[1] is not None:
            span.add("log", "debug", f"request id {ids[1]}")

        replies = self._replies

        def done(call: Call, outcome: Outcome) -> None:
            if call.streamed is not None:
                replies.ended(step, call, outcome)
                return
            reply = replies.reply(step, call, outcome)
            span.http_status = reply.status
            deliver(call, reply)

        def begin(streamed: Streamed) -> None:
            lines = stream_head(streamed.status, streamed.headers)
            span.http_status = streamed.status
            call.streamed = streamed
            deliver(call, Started(streamed, lines))

        target = scope["raw_path"].decode("latin-1")
        search = scope["query_string"]
        client = scope.get("client")
        input: dict[str, Any] = {
            "method": scope["method"],
            "path": path,
            "url": f"{target}?{search.decode('latin-1')}" if search else target,
            "ip": client[0] if client else None,
            "params": params,
            "query": query,
            "headers": head,
            "body": taken.data,
        }
        if step.parses:
            input["parse"] = True
        cookie = head.get("cookie")
        if cookie is not None:
            input["cookies"] = cookies.parse(cookie)
        if taken.raw is not None:
            input["raw"] = taken.raw
        if taken.files is not None:
            input["files"] = [file.to_wire() for file in taken.files]
        self.served += 1
        call = self._invoker.invoke(step, "api", input, span, done)
        call.taker = begin
        return call

    def _final(self, call: Call, reply: Reply, asked: Asked) -> Reply | None:
        """The answer as it leaves; None if something has to be waited for."""
        if call.wrote and not self._store.synced(call.wrote):
            return None
        if self._finish is None:
            return reply
        return self._finish.now(reply, asked.scope["method"], asked.head)

    async def _conclude(
        self,
        call: Call | None,
        reply: Reply | Started,
        asked: Asked,
        receive: request.Receive,
        send: Send,
    ) -> None:
        """Send what is answered, once it may leave."""
        ids, method = asked.ids, asked.scope["method"]
        if type(reply) is Started:
            assert call is not None
            await self._stream(call, reply, ids, asked.scope, receive, send)
            return
        assert type(reply) is Reply
        if call is not None:
            if call.wrote and not self._store.synced(call.wrote):
                try:
                    await self._store.sync(call.wrote)
                except StoreFailed as error:
                    self._notice("error", str(error), call)
                    reply = error_reply(503, "The answer could not be made durable", traceId=ids[0])
            if self._finish is not None:
                reply = await self._finish.finish(reply, method, asked.head)
        await send_reply(send, reply, *ids, head_only=method == "HEAD")

    def wind_up(self) -> None:
        """Stop what still sends its answer in parts."""
        self._streaming.wind_up()

    async def _stream(
        self,
        call: Call,
        started: Started,
        ids: tuple[str, str | None],
        scope: Mapping[str, Any],
        receive: request.Receive,
        send: Send,
    ) -> None:
        try:
            await self._streaming.send(call, *started, ids, scope, receive, send)
        except StoreFailed as error:
            self._notice("error", str(error), call)
            reply = error_reply(503, "The answer could not be made durable", traceId=ids[0])
            await send_reply(send, reply, *ids, head_only=scope["method"] == "HEAD")


def _identity(head: Mapping[str, Any]) -> tuple[TraceParent | None, tuple[str, str | None]]:
    """Where the trace comes from; its id, and the id that the caller gives the request."""
    given = head.get("traceparent")
    parent = parse_traceparent(given) if isinstance(given, str) else None
    asked = head.get("x-request-id")
    trace_id = parent.trace_id if parent is not None else new_trace_id()
    return parent, (trace_id, request_id(asked) if asked is not None else None)
