"""``twistd portofcall-forward``: the same as a service."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from portofcall.client.forwarder import Forwarder
from portofcall.client.options import make_report
from portofcall.client.problem import Problem, Status
from portofcall.commands.forward_options import DESCRIPTION, add_forward_arguments, parse_forward_arguments
from portofcall.descriptor_limit import raise_limit

_log = Logger(namespace="portofcall.forward")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Report the error as twistd expects it."""
        raise usage.UsageError(message)


class Options(usage.Options):
    """The command line, which is that of ``portofcall forward``.

    Attributes:
        args: parsed.
    """

    args: argparse.Namespace

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse the command line.

        Raises:
            usage.UsageError: it is not valid.
        """
        parser = _Parser(prog="twistd portofcall-forward", description=DESCRIPTION)
        add_forward_arguments(parser)
        self.args = parser.parse_args(options)


class ForwardService(Service):
    """A forwarder as a service.

    Args:
        forwarder: not started yet.
    """

    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    def privilegedStartService(self) -> None:
        """Listen, while there are privileges for low ports.

        Raises:
            SystemExit: that is not possible; the message is one line.
        """
        super().privilegedStartService()
        failures: list[Failure] = []
        self._forwarder.start().addErrback(failures.append)
        if failures:
            raise _exit(failures[0].value)

    def stopService(self) -> Deferred[None]:
        """Stop listening, and reset all connections."""
        super().stopService()
        return self._forwarder.stop()


def makeService(options: Options, reactor: Any = None) -> IService:
    """Make the service.

    Args:
        options: parsed.
        reactor: None means the global reactor.

    Raises:
        SystemExit: an option is not valid; the message is one line.
    """
    if reactor is None:
        from twisted.internet import reactor  # noqa: PLC0415 - importing it earlier would install one
    args = options.args
    report = make_report("portofcall-forward", args, write=_write)
    try:
        make_forwarder = parse_forward_arguments(args, report)
    except Problem as problem:
        raise _exit(problem) from None
    except KeyboardInterrupt:
        # At the question for a password.
        raise SystemExit(Status.INTERRUPTED) from None
    raise_limit(reactor)
    return ForwardService(make_forwarder(reactor))


def _exit(problem: BaseException | None) -> SystemExit:
    # twistd would print a traceback for any other exception.
    return SystemExit(f"twistd portofcall-forward: {problem}")


def _write(line: str) -> None:
    _log.info("{line}", line=line.rstrip("\n"))
