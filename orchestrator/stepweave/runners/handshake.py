"""The first words between orchestrator and runner: what each offers and accepts (SPEC 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import stepweave
from stepweave.errors import RunnerUnavailable
from stepweave.rpc import frame, messages
from stepweave.runners.launch import Launch

__all__ = ["Terms", "accept", "hello"]


class Terms(NamedTuple):
    """What a runner says of itself; `max_frame` in bytes, `window` in calls at once."""

    info: Mapping[str, Any]
    capabilities: Mapping[str, Any]
    max_frame: int
    window: int


def hello(launch: Launch) -> dict[str, Any]:
    """The params of `initialize`."""
    params: dict[str, Any] = {
        "protocol": list(messages.VERSIONS),
        "orchestrator": {"name": "stepweave", "version": stepweave.__version__},
        "root": str(launch.root),
        "environment": "development" if launch.development else "production",
        "max_frame": launch.max_frame,
        "window": launch.window,
        "validate": "parse" if launch.parses else "check",
        "capabilities": {"streaming": True},
    }
    if launch.middleware:
        params["middleware"] = list(launch.middleware)
    return params


def accept(launch: Launch, answer: Any) -> Terms:
    """Read the answer to `initialize`. Raises RunnerUnavailable for one that cannot be used."""
    oldest, newest = messages.VERSIONS
    if not isinstance(answer, dict) or not isinstance(answer.get("protocol"), int):
        raise RunnerUnavailable(f"the {launch.title}'s answer to initialize is not a map")
    if not oldest <= answer["protocol"] <= newest:
        raise RunnerUnavailable(
            f"the {launch.title} speaks protocol {answer['protocol']}, "
            f"this Stepweave {oldest} to {newest}; update the older one"
        )
    capabilities = answer.get("capabilities") or {}
    if launch.middleware and not capabilities.get("middleware"):
        raise RunnerUnavailable(
            f"the {launch.title} knows no middleware of the project, and its API steps must not "
            "run without; remove its files from [steps] middleware or update the runner"
        )
    window = min(int(answer.get("window") or 1), launch.window)
    return Terms(
        info=answer.get("runner") or {},
        capabilities=capabilities,
        max_frame=int(answer.get("max_frame") or frame.MAX_FRAME),
        window=window if capabilities.get("concurrent") else 1,
    )
