"""Runs one of the client's commands in the global reactor."""

import signal
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from portofcall.client.problem import Problem, Status
from portofcall.client.report import Report

#: What a command does: a function of the reactor; it raises `Problem`.
Work = Callable[[Any], Coroutine[Deferred[Any], Any, None]]


def run_in_reactor(
    work: Work, report: Report, *, at_end: Callable[[], None] | None = None, reactor: Any = None
) -> int:
    """Run a command until it is done.

    Args:
        work: what it does.
        report: gets a problem, in one line.
        at_end: called once the work is done, has failed or was interrupted.
        reactor: runs it; None means the global one.

    Returns:
        The exit status.
    """
    if reactor is None:
        # The import installs it.
        from twisted.internet import reactor  # noqa: PLC0415
    status = Status.DONE

    def done(result: Failure | None) -> None:
        nonlocal status
        if at_end is not None:
            at_end()
        if isinstance(result, Failure):
            if result.check(CancelledError):
                status = Status.INTERRUPTED
            else:
                problem = result.trap(Problem) and result.value
                assert isinstance(problem, Problem)
                status = problem.status
                report.problem(problem)
        reactor.stop()

    failure: list[Failure] = []

    def start() -> None:
        running = Deferred.fromCoroutine(work(reactor))

        def interrupt(_number: int, _frame: object) -> None:
            reactor.callFromThread(running.cancel)

        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, interrupt)
        running.addBoth(done).addErrback(crash)

    def crash(reason: Failure) -> None:
        failure.append(reason)
        reactor.stop()

    reactor.callWhenRunning(start)
    reactor.run()
    if failure:
        failure[0].raiseException()
    return status
