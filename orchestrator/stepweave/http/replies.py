"""What becomes of a handler's outcome: its answer, or the error that its client is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stepweave.calls import Call, Outcome
from stepweave.errors import InvalidInput
from stepweave.http import checks, request
from stepweave.http.response import Reply, error_reply, from_handler
from stepweave.steps.model import Step

__all__ = ["Notice", "Replies"]

Notice = Callable[[str, str, Call | None], None]

_UNAVAILABLE = ("runner_gone", "busy", "shutting_down", "unknown_step", "stale_revision")


class Replies:
    """In development clients are told what went wrong and where."""

    def __init__(self, notice: Notice, *, development: bool) -> None:
        self._notice = notice
        self._development = development

    def reply(self, step: Step, call: Call, outcome: Outcome) -> Reply:
        """What is sent for a run that has ended."""
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

    def ended(self, step: Step, call: Call, outcome: Outcome) -> None:
        """Tell the connection that an answer in parts is over, and people if its end is missing."""
        assert call.streamed is not None
        call.streamed.end(outcome)
        left = call.cancel_reason == "client"
        if outcome.status == "timeout":
            text = f"{step.name} did not end its answer in time; its client has only the beginning"
            self._notice("error", text, call)
        elif outcome.status in ("lost", "cancelled"):
            if not left:
                text = f"{step.name}: {(outcome.error or {}).get('message')}"
                self._notice("error", f"{text}; its client has only the beginning", call)
        elif outcome.status == "error" and not left:
            self._fault(step, call, outcome.error or {})

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
            value = request.body_payload(reply.body, "application/json")[1]
        except InvalidInput:
            return
        issues = validator.issues(value) if not validator.is_valid(value) else []
        if issues:
            listed = "; ".join(str(issue) for issue in issues[:5])
            self._notice(
                "warn", f"{step.name}: the answer does not match responseSchema: {listed}", call
            )
