"""Plugins run in threads, bounded in number and time."""

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from portofcall.errors import InternalError
from portofcall.websockify.plugin_calls import (
    CALL_SECONDS,
    MOST_RUNNING,
    MOST_THREADS,
    MOST_WAITING,
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
        self.calls = PluginCalls(self.clock, start_thread=self.begun.append)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Outcome:
        """Call a function."""
        return Outcome(self.calls.call("plugin", function, *arguments))

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


class TheirError(Exception):
    """As websockify's AuthenticationError."""

    code = 401


@pytest.mark.parametrize("problem", [PluginRefusal(403), TheirError()])
def test_a_refusal_is_passed_on(problem: Exception, logged: list[str]) -> None:
    """Ours, and that of any class with a code."""
    threads = Threads()

    def refuses() -> None:
        raise problem

    call = threads.call(refuses)
    threads.run()
    assert call.error is problem
    assert logged == []


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
    assert isinstance(Outcome(calls.call("plugin", max, 1, 2)).error, InternalError)


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
        outcomes.append(Outcome(calls.call("plugin", abs, -number)))
        assert done.acquire(timeout=10)
        call, arguments = results.pop()
        call(*arguments)
    assert [outcome.value for outcome in outcomes] == list(range(1000))
    for thread in threading.enumerate():
        if thread.daemon and thread.name.startswith("Thread-") and "_work" in thread.name:
            thread.join(5)
    assert threading.active_count() <= before + 1
