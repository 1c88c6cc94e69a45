"""Calls of plugins, which may take their time: each in a thread, bounded in number and time.

A call that never returns can't be ended. Past its deadline it is only no longer waited for, and its thread
does not count as one of those that work; so a few such calls stop nobody else. Threads are daemons, and end
with the process.
"""

import threading
from collections import deque
from collections.abc import Callable
from traceback import extract_tb
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, TimeoutError
from twisted.logger import Logger

from portofcall.errors import InternalError, TooManyRequests, printable
from portofcall.websockify.plugin_errors import PluginError, is_refusal

T = TypeVar("T")

#: How many calls run at a time, and how many threads there are with those that are stuck.
MOST_RUNNING: Final = 16
MOST_THREADS: Final = 128
#: How many calls wait for one that runs.
MOST_WAITING: Final = 256
#: How many calls for one client run or wait with those of others, and how many more wait for these. Browsers
#: have six connections to an origin, and the clients of a proxy may count as one.
MOST_OF_CLIENT: Final = 4
MOST_WAITING_OF_CLIENT: Final = 32
#: How long a call may take, its wait for a thread included.
CALL_SECONDS: Final = 10.0


class PluginCalls:
    """Calls functions in threads.

    Args:
        reactor: is told the results, in its own thread; keeps the time.
        start_thread: runs a function in a thread; raises `RuntimeError` if there can't be another.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, *, start_thread: Callable[[Callable[[], None]], None] | None = None
    ) -> None:
        self._reactor = reactor
        self._start_thread = start_thread or _start_daemon
        self._waiting: deque[_Call] = deque()
        self._turns: dict[str, DeferredSemaphore] = {}
        self._running = 0
        self._stuck = 0

    async def call(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: Any,
        client: str,
        may_refuse: bool = False,
    ) -> Any:
        """Call a function of a plugin, and return its result.

        Args:
            name: of the plugin, for the log.
            function: is called in a thread.
            arguments: for it.
            client: the key of the client that it is called for.
            may_refuse: whether it may refuse the client.

        Raises:
            PluginRefusal: (or another exception that `is_refusal`) the function raised it, and may.
            TooManyRequests: too many calls for the client wait already.
            InternalError: the function raised something else, which is logged, or did not return in time; or
                too many calls wait already.
        """
        turns = self._turns.setdefault(client, DeferredSemaphore(MOST_OF_CLIENT))
        if len(turns.waiting) >= MOST_WAITING_OF_CLIENT:
            raise TooManyRequests(
                "too many requests from this address wait for a plugin", retry_after_seconds=1
            )
        try:
            async with turns:
                return await self._call(name, function, arguments, may_refuse=may_refuse)
        finally:
            if turns.tokens == turns.limit:
                self._turns.pop(client, None)

    async def _call(
        self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], *, may_refuse: bool
    ) -> Any:
        if len(self._waiting) >= MOST_WAITING:
            self._log.error("{name}: refused a call, as {most} wait already", name=name, most=MOST_WAITING)
            raise InternalError("too many requests wait for a plugin")
        call = _Call(function, arguments)
        self._waiting.append(call)
        self._start_waiting()
        try:
            return await call.done.addTimeout(CALL_SECONDS, self._reactor)
        except TimeoutError:
            self._log.error("{name} did not return within {seconds:g} s", name=name, seconds=CALL_SECONDS)
            raise InternalError("a plugin did not answer in time") from None
        except _Raised as raised:
            problem = raised.problem
            if may_refuse and is_refusal(problem):
                raise problem from None
            self._log.error("{name} failed: {problem}", name=name, problem=describe(problem))
            raise InternalError("a plugin failed, see the gateway's log") from None
        finally:
            if not call.finished:
                # Timed out, or the client has left.
                if call.started:
                    self._running -= 1
                    self._stuck += 1
                    call.stuck = True
                else:
                    self._waiting.remove(call)
                self._start_waiting()

    def _start_waiting(self) -> None:
        while self._waiting and self._running < MOST_RUNNING and self._running + self._stuck < MOST_THREADS:
            call = self._waiting.popleft()
            call.started = True
            self._running += 1
            try:
                self._start_thread(lambda call=call: self._work(call))  # type: ignore[misc]
            except RuntimeError as problem:
                self._finished(call, None, problem)

    def _work(self, call: "_Call") -> None:
        """Run in the thread."""
        result, problem = None, None
        try:
            result = call.function(*call.arguments)
        except BaseException as raised:  # noqa: BLE001 - a plugin raises what it likes, SystemExit too
            problem = raised
        self._reactor.callFromThread(self._finished, call, result, problem)

    def _finished(self, call: "_Call", result: Any, problem: BaseException | None) -> None:
        call.finished = True
        if call.stuck:
            self._stuck -= 1
        else:
            self._running -= 1
        if not call.done.called:
            if problem is None:
                call.done.callback(result)
            else:
                call.done.errback(_Raised(problem))
        self._start_waiting()


class _Call:
    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function = function
        self.arguments = arguments
        self.done: Deferred[Any] = Deferred()
        self.started = self.finished = self.stuck = False


class _Raised(Exception):
    """A plugin raised something: also what is no `Exception`."""

    def __init__(self, problem: BaseException) -> None:
        super().__init__()
        self.problem = problem


def describe(problem: BaseException) -> str:
    """Describe what a plugin raised, for the log. Its own text may have a secret in it."""
    if isinstance(problem, PluginError):
        return printable(str(problem), 300)
    frames = extract_tb(problem.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{type(problem).__name__}{printable(where, 300)}"


def _start_daemon(function: Callable[[], None]) -> None:
    threading.Thread(target=function, daemon=True).start()
