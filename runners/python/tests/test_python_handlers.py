"""How handlers and middleware are called."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest

from stepweave_runner.errors import Cancelled
from stepweave_runner.handlers import Handler, bind, chain, is_async
from stepweave_runner.threads import Threads, Worker

GIVEN, CONTEXT = "input", "context"

FORMS: list[tuple[Callable[..., Any], str, Any]] = [
    (lambda data, context: (data, context), "event", (GIVEN, CONTEXT)),
    (lambda *args: args, "event", (GIVEN, CONTEXT)),
    (lambda data, context, extra=3: (data, context, extra), "api", (GIVEN, CONTEXT, 3)),
    (lambda data, context=None: (data, context), "event", (GIVEN, CONTEXT)),
    (lambda data: data, "event", GIVEN),
    (lambda context: context, "event", CONTEXT),
    (lambda ctx: ctx, "api", CONTEXT),
    (lambda: "nothing", "event", "nothing"),
    (lambda context: context, "cron", CONTEXT),
    (lambda anything: anything, "cron", CONTEXT),
    (lambda anything, optional=1: anything, "cron", CONTEXT),
    (lambda tick, context: (tick, context), "cron", (GIVEN, CONTEXT)),
    (functools.partial(lambda first, data, context: (first, data), 1), "event", (1, GIVEN)),
]


@pytest.mark.parametrize(("function", "kind", "expected"), FORMS)
def test_a_handler_gets_as_many_arguments_as_it_takes(
    function: Callable[..., Any], kind: str, expected: Any
) -> None:
    assert bind(function, kind).call(GIVEN, CONTEXT) == expected


def test_what_is_written_with_async_is_told_apart() -> None:
    async def handler(data: Any, context: Any) -> None: ...

    class Callable_:
        async def __call__(self, data: Any, context: Any) -> None: ...

    def plain(data: Any, context: Any) -> Any:
        return handler(data, context)

    assert is_async(handler)
    assert is_async(Callable_())
    assert is_async(functools.partial(handler, None))
    assert not is_async(plain)
    assert not is_async(print)


def run(handler: Handler, given: Any = GIVEN) -> Any:
    async def main() -> Any:
        return await handler.call(given, CONTEXT)

    return asyncio.run(main())


async def outer(req: Any, ctx: Any, next_fn: Any) -> Any:
    response = await next_fn()
    return ["outer", *response]


def inner(req: Any, ctx: Any, next_fn: Any) -> Any:
    return ["inner", threading.current_thread().name, *next_fn("replaced")]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_middleware_goes_around_the_handler_the_first_outermost(asynchronous: bool) -> None:
    async def handler(req: Any, ctx: Any) -> list[Any]:
        return [req, ctx]

    def plain(req: Any, ctx: Any) -> list[Any]:
        return [req, ctx]

    bound = bind(handler if asynchronous else plain, "api")

    assert run(chain([outer, inner], bound, Threads())) == [
        "outer",
        "inner",
        "stepweave-step",
        "replaced",
        CONTEXT,
    ]


def test_middleware_may_answer_itself() -> None:
    async def stop(req: Any, ctx: Any, next_fn: Any) -> Any:
        return {"status": 403}

    assert run(chain([stop], bind(inner, "api"), Threads())) == {"status": 403}


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(1)])
def test_an_error_in_a_thread_reaches_the_caller(error: Exception) -> None:
    def fails(req: Any, ctx: Any, next_fn: Any) -> Any:
        raise error

    with pytest.raises((ValueError, RuntimeError), match=r"no|StopIteration"):
        run(chain([fails], bind(inner, "api"), Threads()))


def test_a_plain_function_may_give_an_awaitable() -> None:
    async def later() -> str:
        return "later"

    assert run(chain([], bind(lambda data: later(), "event"), Threads())) == "later"


def test_threads_see_the_context_variables_of_their_task() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    async def main() -> Any:
        variable.set("seen")
        return await chain([], bind(lambda data: variable.get(), "event"), Threads()).call(1, 2)

    assert asyncio.run(main()) == "seen"


def test_a_thread_is_used_again() -> None:
    threads, done = Threads(), threading.Semaphore(0)
    seen = set()

    def job(worker: Worker) -> None:
        seen.add(threading.get_ident())
        done.release()

    for _ in range(20):
        threads.run(job)
        done.acquire()
        while not threads._idle:
            pass

    assert len(seen) == 1


def test_a_loop_of_pure_python_is_interrupted_for_its_owner_only() -> None:
    threads = Threads()
    started, ended = threading.Event(), threading.Event()
    raised: list[type[BaseException]] = []
    workers: list[Worker] = []

    def job(worker: Worker) -> None:
        workers.append(worker)
        worker.begin("mine")
        try:
            started.set()
            while True:
                pass
        except BaseException as error:
            raised.append(type(error))
        finally:
            worker.end()
        ended.set()

    threads.run(job)
    started.wait()
    workers[0].interrupt("somebody else's", Cancelled)
    workers[0].interrupt("mine", Cancelled)
    ended.wait()

    assert raised == [Cancelled]


def test_an_interrupt_that_comes_too_late_hits_nothing() -> None:
    threads, done = Threads(), threading.Event()
    outcome: list[str] = []

    def job(worker: Worker) -> None:
        worker.begin("mine")
        worker.end()
        worker.interrupt("mine", Cancelled)
        outcome.append("whole")
        done.set()

    threads.run(job)
    done.wait()

    assert outcome == ["whole"]
