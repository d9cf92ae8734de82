"""The calls that no child of a pool is free for."""

from __future__ import annotations

import contextlib

from stepweave.calls import Call, Outcome, OutcomeStatus
from stepweave.errors import StepweaveError
from stepweave.ranked import Ranked
from stepweave.runners.launch import Launch

__all__ = ["Waiting"]


class Waiting(Ranked[Call]):
    """They are taken by priority, then in the order of their coming."""

    __slots__ = ("_launch",)

    def __init__(self, launch: Launch) -> None:
        super().__init__()
        self._launch = launch

    def drop(self, call: Call, reason: str) -> None:
        """End one that is cancelled, or whose time is over."""
        with contextlib.suppress(ValueError):
            self.remove(call, call.priority)
        late = reason == "timeout"
        code: OutcomeStatus = "timeout" if late else "cancelled"
        how = "until its time was over" if late else f"until it was cancelled ({reason})"
        message = f"{call.step.name} waited for a free {self._launch.name} runner {how}"
        call.finish(Outcome(code, None, {"code": code, "message": message}))

    def refuse(self, error: StepweaveError) -> None:
        """End all as lost."""
        while self:
            self.popleft().finish(Outcome("lost", None, error.to_wire()))
