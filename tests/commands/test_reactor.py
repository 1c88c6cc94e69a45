"""The client's commands, run in a reactor in memory."""

import argparse
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock

from portofcall.cli import main
from portofcall.client.problem import Problem, Status
from portofcall.client.report import Report
from portofcall.commands import banner, connect, ping
from portofcall.commands.reactor import run_in_reactor
from tests.client.support import Pair, result


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The signals' own handlers, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Reactor(MemoryReactorClock):
    """A reactor that runs until it is stopped, or for one signal."""

    stopped = False
    number: int | None = None

    def run(self, installSignalHandlers: bool = True) -> None:
        for function, args, kwargs in self.whenRunningHooks:
            function(*args, **kwargs)
        if self.number is not None:
            os.kill(os.getpid(), self.number)

    def callFromThread(self, callable: Any, *args: Any, **kwargs: Any) -> None:
        callable(*args, **kwargs)

    def stop(self) -> None:
        assert not self.stopped
        self.stopped = True


def run(work: Any, *, number: int | None = None) -> tuple[int, list[str]]:
    """Run a command; return its status, and what was said."""
    said: list[str] = []
    reactor = Reactor()
    reactor.number = number
    status = run_in_reactor(work, Report("p", write=said.append), reactor=reactor)
    assert reactor.stopped
    return status, said


def test_a_command_that_is_done() -> None:
    """Status 0, and nothing is said."""

    async def work(_: Any) -> None:
        return

    assert run(work) == (0, [])


@pytest.mark.parametrize("status", [Status.UNREACHABLE, Status.TARGET, Status.CUT_OFF])
def test_a_problem_is_one_line_and_its_status(status: Status) -> None:
    """The slug and the sentence."""

    async def work(_: Any) -> None:
        raise Problem("refused", "nobody listens", status)

    assert run(work) == (status, ["p: refused: nobody listens\n"])


def test_a_reader_that_left_is_told_nothing() -> None:
    """As with any program that is killed by SIGPIPE."""

    async def work(_: Any) -> None:
        raise Problem("stdout-closed", "closed", Status.UNREAD)

    assert run(work) == (141, [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command(number: int) -> None:
    """130, without a word."""

    async def work(_: Any) -> None:
        await Deferred()

    assert run(work, number=number) == (130, [])


def test_a_fault_is_not_hidden() -> None:
    """It is a traceback, not a status."""

    async def work(_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(work)


def arguments(**more: Any) -> argparse.Namespace:
    """Return the arguments of a command, parsed."""
    absent = (
        *("config", "ticket_file", "ticket_command", "user", "password_file", "cacert", "cert", "key"),
        *("connect_timeout", "ping_interval", "ping_timeout", "target"),
    )
    return argparse.Namespace(
        gateway="ws://192.0.2.2:8080",
        host="93.184.215.14",
        port="22",
        proxy="none",
        insecure=False,
        verbose=0,
        log_format="text",
        json=True,
        count=1,
        interval=1.0,
        **dict.fromkeys(absent),
        **more,
    )


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a command would run in the reactor."""
    found: list[Any] = []
    monkeypatch.setenv("NETRC", os.devnull)

    def capture(work: Any, report: Report) -> int:
        found.append(work)
        return 0

    monkeypatch.setattr("portofcall.commands.reactor.run_in_reactor", capture)
    return found


def test_banner_prints_the_gateways_fields(captured: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON if asked for, or the line."""
    for as_json, shown in ((True, '"software": "X"'), (False, "SSH-2.0-X\n")):
        args = arguments()
        args.json = as_json
        assert banner.run(args) == 0
        pair = Pair()
        done = Deferred.fromCoroutine(captured.pop()(pair.reactor))
        pair.accept()
        pair.world.accept().send(b"SSH-2.0-X\r\n")
        pair.exchange()
        assert done.called
        assert result(done) is None
        assert shown in capsys.readouterr().out


def test_ping_prints_its_summary_at_the_end(captured: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever ends it."""
    args = arguments()
    args.count = None
    assert ping.run(args) == 0
    pair = Pair()
    done = Deferred.fromCoroutine(captured.pop()(pair.reactor))
    pair.accept()
    pair.world.accept()
    pair.exchange()
    assert not done.called
    done.cancel()
    assert isinstance(result(done), CancelledError)
    assert '"answered": 1' in capsys.readouterr().out


@pytest.mark.parametrize("command", ["connect", "ping", "banner", "forward"])
def test_an_interrupt_at_the_question_for_a_password(
    command: str, captured: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """130, without a traceback; nothing runs in the reactor yet, which would not notice."""

    def ask(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("portofcall.client.credentials.ask_password", ask)
    rest = ["-L", "1:db:1"] if command == "forward" else ["db", "22"]
    assert main([command, "ws://192.0.2.2", *rest, "--user", "alice"]) == 130
    assert not captured
    assert capsys.readouterr() == ("", "")


def test_connect_fails_with_the_gateways_reason(captured: list[Any]) -> None:
    """Before standard input is touched."""
    assert connect.run(arguments()) == 0
    pair = Pair()
    done = Deferred.fromCoroutine(captured.pop()(pair.reactor))
    pair.accept_and_send(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
    assert result(done).status is Status.AUTHENTICATION


def test_a_cancelled_command_is_interrupted() -> None:
    """Also where something else has cancelled it."""

    async def work(_: Any) -> None:
        raise CancelledError

    assert run(work)[0] == 130
