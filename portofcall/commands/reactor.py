"""Runs one of the client's commands in the global reactor."""

import argparse
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from portofcall.client.connection import Route
from portofcall.client.options import make_report, make_route, make_target
from portofcall.client.problem import Problem, Status
from portofcall.client.report import Report
from portofcall.target import Requested

Running = Coroutine[Deferred[Any], Any, None]
#: What a command does in a reactor. It raises `Problem`; an interrupt cancels it.
Work = Callable[[Any], Running]
Made = TypeVar("Made")


def run_with_target(
    command: str, args: argparse.Namespace, work: Callable[[Any, Route, Requested, Report], Running]
) -> int:
    """Run a command that goes to one target.

    Args:
        command: its name.
        args: of `portofcall.commands.client_arguments`.
        work: what it does, with the reactor, the route to the gateway, the target and what reports problems.

    Returns:
        The exit status.
    """
    report = make_report(f"portofcall {command}", args)

    def prepare() -> tuple[Route, Requested]:
        target = make_target(args.host, args.port, args.target)
        return make_route(args, report), target

    return run_prepared(prepare, lambda reactor, made: work(reactor, *made, report), report)


def run_prepared(prepare: Callable[[], Made], work: Callable[[Any, Made], Running], report: Report) -> int:
    """Prepare a command, and run it.

    Args:
        prepare: reads options, and asks for a password; before the reactor runs, so Ctrl-C interrupts it.
        work: what the command does, with the reactor and what was prepared.
        report: gets a problem, in one line.

    Returns:
        The exit status.
    """
    try:
        made = prepare()
    except Problem as problem:
        report.problem(problem)
        return problem.status
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    return run_in_reactor(lambda reactor: work(reactor, made), report)


def run_in_reactor(work: Work, report: Report, *, reactor: Any = None) -> int:
    """Run a command until it is done.

    Args:
        work: what it does.
        report: gets a problem, in one line.
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
