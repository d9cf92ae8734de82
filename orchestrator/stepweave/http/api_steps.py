"""API steps: from a matched route to the bytes of the answer, with nothing in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from stepweave.calls import Call, Outcome
from stepweave.engine.invoker import Invoker
from stepweave.errors import InvalidInput, StoreFailed, TooLarge, Unsupported
from stepweave.http import checks, cookies, request
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
        given = head.get("traceparent")
        parent = parse_traceparent(given) if isinstance(given, str) else None
        trace_id = parent.trace_id if parent is not None else new_trace_id()
        asked = head.get("x-request-id")
        ids = trace_id, (request_id(asked) if asked is not None else None)
        try:
            query = request.query_of(scope)
            taken = await self._intake.take(receive, head)
        except (TooLarge, InvalidInput, Unsupported) as error:
            await send_reply(send, refusal(error), *ids)
            return
        except request.ClientGone:
            return
        if taken.files:
            try:
                await self._run(step, params, query, taken, head, parent, ids, scope, receive, send)
            finally:
                self._intake.release(taken.files)
        else:
            await self._run(step, params, query, taken, head, parent, ids, scope, receive, send)

    async def _run(
        self,
        step: Step,
        params: Mapping[str, Any],
        query: dict[str, Any],
        taken: Taken,
        head: Mapping[str, Any],
        parent: TraceParent | None,
        ids: tuple[str, str | None],
        scope: Mapping[str, Any],
        receive: request.Receive,
        send: Send,
    ) -> None:
        """Run the handler and send what it answers."""
        method = scope["method"]
        head_only = method == "HEAD"
        trace_id = ids[0]
        if step.query is not None:
            query = coerced(query, step.query.schema)
        if step.params is not None:
            params = coerced(params, step.params.schema)
        refused = checks.refusal(step, params, query, checks.body_of(step, taken))
        if refused is not None:
            await send_reply(send, refused, *ids, head_only=head_only)
            return
        path = scope["path"]
        span = Span(
            trace_id,
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
        answer: asyncio.Future[Reply | Started] = self._loop.create_future()

        replies = self._replies

        def done(call: Call, outcome: Outcome) -> None:
            if call.streamed is not None:
                replies.ended(step, call, outcome)
                return
            reply = replies.reply(step, call, outcome)
            span.http_status = reply.status
            if not answer.done():
                answer.set_result(reply)

        def begin(streamed: Streamed) -> None:
            lines = stream_head(streamed.status, streamed.headers)
            span.http_status = streamed.status
            call.streamed = streamed
            if not answer.done():
                answer.set_result(Started(streamed, lines))

        target = scope["raw_path"].decode("latin-1")
        search = scope["query_string"]
        client = scope.get("client")
        input: dict[str, Any] = {
            "method": method,
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
        call = self._invoker.invoke(step, "api", input, span, done)
        call.taker = begin
        self.served += 1
        try:
            reply = await answer
        except asyncio.CancelledError:
            self._invoker.cancel(call, "client")
            raise
        if type(reply) is Started:
            await self._stream(call, reply, ids, scope, receive, send)
            return
        assert type(reply) is Reply
        if call.wrote and not self._store.synced(call.wrote):
            try:
                await self._store.sync(call.wrote)
            except StoreFailed as error:
                self._notice("error", str(error), call)
                reply = error_reply(503, "The answer could not be made durable", traceId=trace_id)
        finish = self._finish
        if finish is not None and (method != "POST" or finish.packs(len(reply.body))):
            reply = await finish.finish(reply, method, head)
        await send_reply(send, reply, *ids, head_only=head_only)

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
