"""How a step's functions are called: with how many arguments, on the loop or in a thread, and
through which middleware."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stepweave_runner import console
from stepweave_runner.request import revised
from stepweave_runner.threads import Threads, Worker

__all__ = ["Handler", "bind", "chain", "in_thread", "is_async"]

Call = Callable[[Any, Any], Any]
"""Called with (input, context)."""


class Handler:
    """A function to call with (input, context); `asynchronous` ones give an awaitable."""

    __slots__ = ("asynchronous", "call")

    def __init__(self, call: Call, asynchronous: bool) -> None:
        self.call = call
        self.asynchronous = asynchronous


def bind(function: Callable[..., Any], kind: Any) -> Handler:
    """The handler of a step whose config has this type.

    With one parameter it gets its input, or its context if it is a cron step or names the
    parameter so. With none it is called with nothing.
    """
    return Handler(_call(function, kind), is_async(function))


def is_async(function: Callable[..., Any]) -> bool:
    """Whether it is written with async. A plain function that gives an awaitable is not: it runs
    in a thread, and what it gives is awaited on the loop."""
    if inspect.iscoroutinefunction(function):
        return True
    return inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _call(function: Callable[..., Any], kind: Any) -> Call:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return function
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return function
    positional = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    required = [parameter for parameter in positional if parameter.default is parameter.empty]
    if len(positional) >= 2 and (len(required) >= 2 or kind != "cron"):
        return function
    if not positional:
        return lambda _input, _context: function()
    if kind == "cron" or positional[0].name in ("context", "ctx"):
        return lambda _input, context: function(context)
    return lambda given, _context: function(given)


def chain(middleware: Sequence[Callable[..., Any]], handler: Handler, threads: Threads) -> Handler:
    """The handler with middleware around it, the first outermost.

    Each is called with (request, context, next); `next()` runs the rest and gives its response,
    `next(request)` runs it with another request. Functions without async run in threads, where
    next() blocks.
    """

    async def inner(given: Any, context: Any) -> Any:
        if handler.asynchronous:
            return await handler.call(given, context)
        return await in_thread(threads, handler.call, given, context)

    rest: Callable[[Any, Any], Awaitable[Any]] = inner
    for function in reversed(middleware):
        rest = _layer(function, rest, threads)
    return Handler(rest, True)


def _layer(
    function: Callable[..., Any], rest: Callable[[Any, Any], Awaitable[Any]], threads: Threads
) -> Callable[[Any, Any], Awaitable[Any]]:
    asynchronous = is_async(function)

    async def layer(given: Any, context: Any) -> Any:
        loop = asyncio.get_running_loop()
        below: list[concurrent.futures.Future[Any]] = []

        def call_next(replaced: Any = None) -> Any:
            work = rest(given if replaced is None else revised(given, replaced), context)
            if asyncio._get_running_loop() is loop:
                return work
            waiting = asyncio.run_coroutine_threadsafe(_await(work), loop)
            below.append(waiting)
            return waiting.result()

        if asynchronous:
            return await function(given, context, call_next)
        try:
            return await in_thread(threads, function, given, context, call_next)
        except asyncio.CancelledError:
            for waiting in below:
                waiting.cancel()
            raise

    return layer


async def _await(work: Awaitable[Any]) -> Any:
    return await work


async def in_thread(threads: Threads, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function in a thread, with this task's context variables, and await what it gives."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    variables = contextvars.copy_context()
    scope = console.running.get()

    def call(worker: Worker) -> Any:
        if scope is None:
            return variables.run(function, *args)
        try:
            scope.enter(worker)
            return variables.run(function, *args)
        finally:
            scope.leave(worker)

    def settle(result: Any, error: BaseException | None) -> None:
        if not done.done():
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

    def job(worker: Worker) -> None:
        try:
            result = call(worker)
        except StopIteration as error:  # no future takes it
            loop.call_soon_threadsafe(settle, None, RuntimeError(f"raised StopIteration({error})"))
        except BaseException as error:
            loop.call_soon_threadsafe(settle, None, error)
        else:
            loop.call_soon_threadsafe(settle, result, None)

    threads.run(job)
    result = await done
    return await result if inspect.isawaitable(result) else result
