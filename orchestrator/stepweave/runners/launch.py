"""What it takes to start a child: its command, and whom its requests go to."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from stepweave.calls import Call
from stepweave.rpc import frame
from stepweave.rpc.peer import RequestHandler

__all__ = ["Launch", "Services"]


class Launch:
    """How children of one pool are started: argv, environment, folder, limits.

    `step` is the one that has them for itself, or empty. `on_spawn` gets each one's pid.
    """

    __slots__ = (
        "argv",
        "development",
        "env",
        "max_frame",
        "middleware",
        "name",
        "on_spawn",
        "parses",
        "root",
        "start_timeout_s",
        "step",
        "window",
    )

    def __init__(
        self,
        name: str,
        argv: list[str],
        env: Mapping[str, str],
        root: Path,
        *,
        window: int = 1000,
        max_frame: int = frame.MAX_FRAME,
        development: bool = True,
        start_timeout_s: float = 30.0,
        parses: bool = False,
        middleware: tuple[str, ...] = (),
        on_spawn: Callable[[int], None] = lambda pid: None,
    ) -> None:
        self.name = name
        self.argv = argv
        self.env = dict(env)
        self.root = root
        self.window = window
        self.max_frame = max_frame
        self.development = development
        self.start_timeout_s = start_timeout_s
        self.parses = parses
        self.on_spawn = on_spawn
        self.middleware = middleware
        self.step = ""

    @property
    def title(self) -> str:
        """What messages call such a child."""
        return f"{self.name} runner of {self.step}" if self.step else f"{self.name} runner"

    def alone(self, step: str) -> Launch:
        """The same for the children of one step."""
        launch = copy.copy(self)
        launch.step = step
        return launch


class Services(Protocol):
    """What a child may ask of its orchestrator, as handlers that know the child's open calls."""

    def requests(self, calls: Mapping[int, Call]) -> Mapping[str, RequestHandler]:
        """Handlers of the requests that a runner sends, by method."""
        ...

    def log(self, calls: Mapping[int, Call], params: Mapping[str, Any]) -> None:
        """Take one log notification."""

    def stderr(self, runner: str, line: str) -> None:
        """Take one line that the child wrote to its stderr."""
