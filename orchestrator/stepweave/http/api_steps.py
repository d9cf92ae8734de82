"""API steps: from a matched route to the bytes of the answer, with nothing in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stepweave.calls import Call, Outcome
from stepweave.engine.invoker import Invoker
from stepweave.errors import InvalidInput, StoreFailed, TooLarge
from stepweave.http import checks, request
from stepweave.http.finish import Finish
from stepweave.http.identity import request_id
from stepweave.http.response import Reply, Send, error_reply, from_handler, send_reply
from stepweave.steps.coercion import coerced
from stepweave.steps.model import Step
from stepweave.trace import Span, new_trace_id, parse_traceparent

__all__ = ["ApiSteps", "Durable", "Notice"]

Notice = Callable[[str, str, Call | None], None]

_PARSED = {"parse": True}
_UNAVAILABLE = ("runner_gone", "busy", "shutting_down", "unknown_step", "stale_revision")


class Durable(Protocol):
    """The part of the store that the edge waits for."""

    def synced(self, sequence: int) -> bool: ...
    async def sync(self, sequence: int) -> None: ...


class ApiSteps:
    """Serves matched requests. An answer leaves when all that it depends on is on disk."""

    def __init__(
        self,
        invoker: Invoker,
        store: Durable,
        notice: Notice,
        *,
        max_body: int,
        development: bool,
        finish: Finish | None = None,
    ) -> None:
        self._invoker = invoker
        self._store = store
        self._notice = notice
        self._max_body = max_body
        self._development = development
        self._finish = finish
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
        method = scope["method"]
        head_only = method == "HEAD"
        encoding = head.get("content-encoding")
        if encoding is not None and encoding != "identity":
            text = f"a body in content-encoding {encoding} is not read; send it as it is"
            await send_reply(send, error_reply(415, text), *ids)
            return
        try:
            body = await request.read_body(receive, head, self._max_body)
            content_type = head.get("content-type")
            data, value = request.body_payload(
                body, content_type if isinstance(content_type, str) else None
            )
            query = request.query_of(scope)
        except TooLarge as error:
            await send_reply(send, error_reply(413, str(error)), *ids)
            return
        except InvalidInput as error:
            await send_reply(send, error_reply(400, str(error)), *ids)
            return
        except request.ClientGone:
            return
        if step.query is not None:
            query = coerced(query, step.query.schema)
        if step.params is not None:
            params = coerced(params, step.params.schema)
        refused = checks.refusal(step, params, query, value)
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
            input=data,
            route=step.route,
            path=path,
        )
        if ids[1] is not None:
            span.add("log", "debug", f"request id {ids[1]}")
        answer: asyncio.Future[Reply] = self._loop.create_future()

        def done(call: Call, outcome: Outcome) -> None:
            reply = self._reply(step, call, outcome)
            span.http_status = reply.status
            if not answer.done():
                answer.set_result(reply)

        call = self._invoker.invoke(
            step,
            "api",
            {
                "method": method,
                "path": path,
                "params": params,
                "query": query,
                "headers": head,
                "body": data,
                **(_PARSED if step.parses else {}),
            },
            span,
            done,
        )
        self.served += 1
        try:
            reply = await answer
        except asyncio.CancelledError:
            self._invoker.cancel(call, "client")
            raise
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

    def _reply(self, step: Step, call: Call, outcome: Outcome) -> Reply:
        if outcome.status == "ok":
            try:
                reply = from_handler(outcome.result)
            except InvalidInput as refusal:
                fault = {
                    "code": "handler_failed",
                    "type": "InvalidResponse",
                    "message": str(refusal),
                }
                return self._fault(step, call, fault)
            if self._development and step.responses:
                self._check_response(step, call, reply)
            return reply
        error = outcome.error or {}
        code = error.get("code")
        trace_id = call.span.trace_id
        message = str(error.get("message", ""))
        if outcome.status == "timeout":
            limit = step.infrastructure.handler.timeout_s
            self._notice("error", f"{step.name} did not answer within {limit:g} s", call)
            text = f"The handler did not answer within {limit:g} s"
            return error_reply(504, text, traceId=trace_id)
        if outcome.status in ("lost", "cancelled") or code in _UNAVAILABLE:
            self._notice("error", f"{step.name}: {message}", call)
            text = message if self._development else "The handler is not available now"
            reply = error_reply(503, text, traceId=trace_id)
            reply.head.append((b"retry-after", b"1"))
            return reply
        if code == "too_large" and call.runner is None:
            return error_reply(413, message, traceId=trace_id)
        if code == "invalid_input":
            return checks.refused_by_runner(error)
        return self._fault(step, call, error)

    def _fault(self, step: Step, call: Call, error: Mapping[str, Any]) -> Reply:
        """The handler went wrong: a 500, in development with what and where."""
        kind, message = error.get("type"), error.get("message", "")
        text = f"{step.relpath}: {kind}: {message}" if kind else f"{step.relpath}: {message}"
        frames = error.get("frames") or ()
        if frames:
            text += f" (at {frames[0].get('file')}:{frames[0].get('line')})"
        self._notice("error", text, call)
        more: dict[str, Any] = {"traceId": call.span.trace_id}
        if self._development:
            more |= {"message": message, "type": kind, "step": step.name, "frames": frames}
        return error_reply(500, "Internal server error", **more)

    def _check_response(self, step: Step, call: Call, reply: Reply) -> None:
        """In development, warn when an answer is not what its responseSchema says."""
        validator = step.responses.get(reply.status)
        if validator is None:
            return
        try:
            _, value = request.body_payload(reply.body, "application/json")
        except InvalidInput:
            return
        issues = validator.issues(value) if not validator.is_valid(value) else []
        if issues:
            listed = "; ".join(str(issue) for issue in issues[:5])
            self._notice(
                "warn", f"{step.name}: the answer does not match responseSchema: {listed}", call
            )
