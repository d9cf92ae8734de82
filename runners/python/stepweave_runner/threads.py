"""Threads for handlers without async: one each, kept for the next, stopped where Python can."""

from __future__ import annotations

import threading
from _thread import get_ident
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from stepweave_runner.errors import Cancelled

__all__ = ["Threads", "Worker"]

Job = Callable[["Worker"], None]


class Threads:
    """Runs jobs at once, in an idle thread or a new one; the window bounds how many there are.

    Daemon threads: the process may leave while they run.
    """

    def __init__(self) -> None:
        self._idle: list[Worker] = []

    def run(self, job: Job) -> None:
        """Run a job, which gets its worker. To be called from the loop's thread only."""
        worker = self._idle.pop() if self._idle else Worker(self._idle)
        worker.jobs.put(job)


class Worker:
    """One thread. A job that may be interrupted stands between `begin` and `end`."""

    def __init__(self, idle: list[Worker]) -> None:
        self.jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle = idle
        self._lock = threading.Lock()
        self._owner: Any = None
        self._interrupted = False
        self.ident = 0
        threading.Thread(target=self._work, name="stepweave-step", daemon=True).start()

    def begin(self, owner: Any) -> None:
        """From here on the job runs on behalf of `owner`."""
        with self._lock:
            self._owner = owner

    def end(self) -> None:
        """From here on nothing is raised in this thread from outside any more."""
        with self._lock:
            self._owner = None
            if self._interrupted:
                self._interrupted = False
                _raise_in(self.ident, None)

    def interrupt(self, owner: Any, error: type[BaseException]) -> None:
        """Raise an error in the thread at its next bytecode, if it still runs for `owner`.

        A call into C, such as time.sleep, is not interrupted: the error comes when it returns.
        """
        with self._lock:
            if self._owner is owner:
                self._interrupted = True
                _raise_in(self.ident, error)

    def _work(self) -> None:
        self.ident = get_ident()
        while True:
            job = self.jobs.get()
            try:
                job(self)
            except Cancelled:
                pass  # came between the last line of the handler and `end`
            del job
            self._idle.append(self)


def _raise_in(ident: int, error: type[BaseException] | None) -> None:
    try:
        import ctypes
    except ImportError:  # an interpreter built without libffi: handlers run to their end
        return
    raised = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), raised)
