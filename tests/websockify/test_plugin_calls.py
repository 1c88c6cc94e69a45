"""Plugins run in threads, bounded in number and time."""

import itertools
import threading
import urllib.error
from collections.abc import Callable
from email.message import Message
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from portofcall.errors import InternalError, TooManyRequests
from portofcall.websockify.plugin_calls import (
    CALL_SECONDS,
    MOST_OF_CLIENT,
    MOST_RUNNING,
    MOST_THREADS,
    MOST_WAITING,
    MOST_WAITING_OF_CLIENT,
    PluginCalls,
)
from portofcall.websockify.plugin_errors import PluginError, PluginRefusal
from tests.support import Outcome


class Threads:
    """Threads that run when the test says so.

    Attributes:
        calls: `PluginCalls` with these threads.
        begun: the functions of threads that have not run yet.
    """

    def __init__(self) -> None:
        self.clock = cast(Any, Clock())
        self.clock.callFromThread = lambda call, *arguments: call(*arguments)
        self.begun: list[Callable[[], None]] = []
        self.numbers = itertools.count()
        self.calls = PluginCalls(self.clock, start_thread=self.begun.append)

    def call(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        client: str | None = None,
        may_refuse: bool = False,
    ) -> Outcome:
        """Call a function, for another client each time if none is given."""
        client = client or f"client {next(self.numbers)}"
        return Outcome(self.calls.call("plugin", function, *arguments, client=client, may_refuse=may_refuse))

    def run(self) -> None:
        """Let all threads run that have begun."""
        while self.begun:
            self.begun.pop(0)()


def test_the_result_comes_back() -> None:
    """Of a call with its arguments."""
    threads = Threads()
    call = threads.call(max, 1, 2)
    assert call.results == []
    threads.run()
    assert call.value == 2


@pytest.mark.parametrize("problem", [ValueError("s3cret"), SystemExit(), KeyboardInterrupt()])
def test_whatever_a_plugin_raises_refuses_one_client(problem: BaseException, logged: list[str]) -> None:
    """The log has its kind and place, not its text, in which the token may be."""
    threads = Threads()

    def fails() -> None:
        raise problem

    call = threads.call(fails)
    threads.run()
    assert isinstance(call.error, InternalError)
    (line,) = logged
    assert line.startswith(f"plugin failed: {type(problem).__name__} at {__file__}:")
    assert "s3cret" not in line


def test_a_problem_of_our_own_plugins_is_logged_with_its_text(logged: list[str]) -> None:
    """They put no secret into it."""
    threads = Threads()

    def fails() -> None:
        raise PluginError("the file is gone")

    call = threads.call(fails)
    threads.run()
    assert isinstance(call.error, InternalError)
    assert logged == ["plugin failed: the file is gone"]


class AuthenticationError(Exception):
    """By its name websockify's, or one derived from it."""

    code = 401


class TheirError(Exception):
    """As websockify's AuthenticationError, with another name."""

    code = 401
    headers: Any = {}  # noqa: RUF012
    msg = None


class NotFound(Exception):
    """Of a library that has codes of its own."""

    code = 404


def refuses(problem: Exception) -> None:
    """Raise it."""
    raise problem


@pytest.mark.parametrize("problem", [PluginRefusal(403), AuthenticationError(), TheirError()])
def test_a_refusal_is_passed_on(problem: Exception, logged: list[str]) -> None:
    """Ours, and those of classes like websockify's; unless the plugin is not there to refuse clients."""
    threads = Threads()
    call = threads.call(refuses, problem, may_refuse=True)
    threads.run()
    assert call.error is problem
    assert logged == []
    call = threads.call(refuses, problem)
    threads.run()
    assert isinstance(call.error, InternalError)


@pytest.mark.parametrize(
    "problem", [urllib.error.HTTPError("http://auth/?pw=s3cret", 403, "No", Message(), None), NotFound()]
)
def test_an_error_with_a_code_is_no_refusal(problem: Exception, logged: list[str]) -> None:
    """That of a library, whose headers are not for the client."""
    threads = Threads()
    call = threads.call(refuses, problem, may_refuse=True)
    threads.run()
    assert isinstance(call.error, InternalError)
    assert logged[0].startswith(f"plugin failed: {type(problem).__name__} at ")


def test_one_client_leaves_threads_and_places_to_others() -> None:
    """A few of its calls run, some more wait for these, and the rest is refused."""
    threads = Threads()
    calls = [threads.call(max, 1, 2, client="one") for _ in range(MOST_OF_CLIENT + MOST_WAITING_OF_CLIENT)]
    assert isinstance(threads.call(max, 1, 2, client="one").error, TooManyRequests)
    assert len(threads.begun) == MOST_OF_CLIENT
    assert len(threads.calls._waiting) == 0
    other = threads.call(min, 1, 2, client="other")
    assert len(threads.begun) == MOST_OF_CLIENT + 1
    threads.run()
    assert (other.value, {call.value for call in calls}) == (1, {2})
    assert threads.calls._turns == {}


def test_a_call_that_does_not_return_is_given_up(logged: list[str]) -> None:
    """It stops nobody else: as many others run as before."""
    threads = Threads()
    stuck = [threads.call(max, 1, 2) for _ in range(MOST_RUNNING)]
    hung = threads.begun.copy()
    threads.begun.clear()
    waiting = threads.call(min, 1, 2)
    assert threads.begun == []
    threads.clock.advance(CALL_SECONDS - 1)
    later = threads.call(min, 3, 4)
    threads.clock.advance(1)
    assert {type(call.error) for call in [*stuck, waiting]} == {InternalError}
    threads.run()
    assert later.value == 3
    assert logged[0] == "plugin did not return within 10 s"
    for function in hung:
        function()
    again = threads.call(max, 5, 6)
    threads.run()
    assert again.value == 6


def test_threads_and_waiting_calls_are_bounded(logged: list[str]) -> None:
    """Once so many are stuck that there can be no thread more, calls wait, and time out or are refused."""
    threads = Threads()
    for _ in range(MOST_THREADS // MOST_RUNNING):
        for _ in range(MOST_RUNNING):
            threads.call(max, 1, 2)
        threads.clock.advance(CALL_SECONDS)
    assert len(threads.begun) == MOST_THREADS
    calls = [threads.call(max, 1, 2) for _ in range(MOST_WAITING)]
    assert len(threads.begun) == MOST_THREADS
    refused = threads.call(max, 1, 2)
    assert str(refused.error) == "too many requests wait for a plugin"
    assert all(not call.results for call in calls)
    threads.run()
    assert {call.value for call in calls} == {2}


def test_a_client_that_leaves_is_waited_for_no_more() -> None:
    """Neither while its call waits, nor while it runs."""
    threads = Threads()
    running = [threads.call(max, 1, 2) for _ in range(MOST_RUNNING)]
    waiting = threads.call(max, 1, 2)
    waiting.deferred.cancel()
    running[0].deferred.cancel()
    threads.run()
    assert [call.value for call in running[1:]] == [2] * (MOST_RUNNING - 1)


def test_no_thread_to_be_had_refuses_one_client() -> None:
    """The process lives."""
    threads = Threads()

    def start(_: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    calls = PluginCalls(threads.clock, start_thread=start)
    assert isinstance(Outcome(calls.call("plugin", max, 1, 2, client="c")).error, InternalError)


def test_a_thousand_calls_leave_no_thread() -> None:
    """Each has a thread of its own, which ends with it."""
    before = threading.active_count()
    done = threading.Semaphore(0)
    clock: Any = Clock()
    results: list[Any] = []

    def call_from_thread(call: Callable[..., None], *arguments: Any) -> None:
        results.append((call, arguments))
        done.release()

    clock.callFromThread = call_from_thread
    calls = PluginCalls(clock)
    outcomes = []
    for number in range(1000):
        outcomes.append(Outcome(calls.call("plugin", abs, -number, client="c")))
        assert done.acquire(timeout=10)
        call, arguments = results.pop()
        call(*arguments)
    assert [outcome.value for outcome in outcomes] == list(range(1000))
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread-") and "_work" in thread.name:
            thread.join(5)
    assert threading.active_count() <= before + 1
