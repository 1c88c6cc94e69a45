"""The command lines of ``portofcall forward`` and ``twistd portofcall-forward``."""

from pathlib import Path
from typing import Any

import pytest
from twisted.application.service import ServiceMaker
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from twisted.python.usage import UsageError

from portofcall.cli import main
from portofcall.client.problem import Problem
from portofcall.commands.forward_service import ForwardService, Options, makeService

URL = "ws://192.0.2.2"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "usage: expected -L or -D"),
        (["-L", "1:db"], ""),
        (["-L", "x:db:1"], "usage: -L x:db:1: expected [BIND:]PORT:HOST:PORT"),
        (["-D", "x"], "usage: -D x: expected [BIND:]PORT or /PATH"),
        (["-L", "1:db", "--socks-login-file", "login"], "usage: --socks-login-file: expected -D with it"),
        (["-D", "1", "--socks-login-file", "none"], "usage: --socks-login-file: expected a readable file"),
        (["-D", "1", "--socks-login-file", "login"], "usage: --socks-login-file: expected USER:PASSWORD"),
        (["-D", "1", "--cacert", "none"], ""),
        (["-D", "1", "--user", "a:b"], "usage: --user: expected no colon in it"),
    ],
)
def test_an_invalid_option_is_named(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """By the command in one line, with status 1, and by twistd before it starts."""
    monkeypatch.chdir(tmp_path)
    Path("login").write_text("no colon\n")
    started: list[Any] = []
    monkeypatch.setattr("portofcall.commands.reactor.run_in_reactor", _run(started))
    status = main(["forward", URL, *arguments])
    assert (status, len(started)) == ((1, 0) if line else (0, 1))
    assert capsys.readouterr().err.startswith(f"portofcall forward: {line}" if line else "")
    if line:
        with pytest.raises(SystemExit) as caught:
            makeService(options(*arguments), MemoryReactorClock())
        assert str(caught.value).startswith(f"twistd portofcall-forward: {line}")


def _run(started: list[Any]) -> Any:
    def run_in_reactor(work: Any, report: Any) -> int:
        reactor = MemoryReactorClock()
        try:
            work(reactor).send(None)
        except Problem as problem:
            report.problem(problem)
            return problem.status
        started.append(reactor)
        return 0

    return run_in_reactor


def options(*arguments: str) -> Options:
    """Parse a command line as twistd does."""
    parsed = Options()
    parsed.parseOptions([URL, *arguments])
    return parsed


def test_the_service_listens_while_it_runs() -> None:
    """On loopback, both families."""
    reactor: Any = MemoryReactorClock()
    service: Any = makeService(options("-L", "5432:db.example:5432", "-D", "1080"), reactor)
    assert reactor.tcpServers == []
    service.privilegedStartService()
    service.startService()
    assert [(port, interface) for port, _, _, interface in reactor.tcpServers] == [
        (5432, "127.0.0.1"),
        (5432, "::1"),
        (1080, "127.0.0.1"),
        (1080, "::1"),
    ]
    assert service.stopService().called


def test_the_service_does_not_start_without_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """twistd prints the line, and exits."""
    reactor: Any = MemoryReactorClock()

    def taken(*_: object, **__: object) -> None:
        raise CannotListenError("", 5432, OSError(98, "Address already in use"))

    monkeypatch.setattr(reactor, "listenTCP", taken)
    service: Any = makeService(options("-L", "5432:db"), reactor)
    assert isinstance(service, ForwardService)
    with pytest.raises(SystemExit, match="cannot-listen: can't listen on localhost:5432"):
        service.privilegedStartService()


def test_an_interrupt_at_the_question_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """twistd ends with status 130, without a traceback."""

    def ask(_: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("portofcall.client.credentials.ask_password", ask)
    with pytest.raises(SystemExit) as caught:
        makeService(options("-L", "5432:db", "--user", "alice"), MemoryReactorClock())
    assert caught.value.code == 130


def test_the_command_raises_the_limit_of_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection takes two."""
    reactors: list[object] = []
    monkeypatch.setattr("portofcall.descriptor_limit.raise_limit", reactors.append)
    started: list[object] = []
    monkeypatch.setattr("portofcall.commands.reactor.run_in_reactor", _run(started))
    assert main(["forward", URL, "-L", "1:db"]) == 0
    assert reactors == started


def test_an_unknown_option_is_a_usage_error() -> None:
    """Which twistd prints."""
    with pytest.raises(UsageError, match="unrecognized arguments: --nothing"):
        options("-L", "1:db", "--nothing")


def test_a_socks_server_for_everyone_is_warned_about(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless it needs a login."""
    monkeypatch.setattr("portofcall.commands.reactor.run_in_reactor", _run([]))
    main(["forward", URL, "-g", "-D", "1080"])
    assert capsys.readouterr().err == (
        "portofcall forward: warning: anyone who reaches *:1080 can go through the gateway; "
        "use --socks-login-file\n"
    )


def test_twistd_has_the_plugin() -> None:
    """By its dotted name."""
    from twisted.application.service import IServiceMaker

    makers = {maker.tapname: maker for maker in getPlugins(IServiceMaker)}
    maker = makers["portofcall-forward"]
    assert isinstance(maker, ServiceMaker)
    assert maker.options is Options
