"""The process, as far as it needs no reactor."""

import gc
import socket
from pathlib import Path

import pytest

from portofcall.websockify import main as module
from portofcall.websockify.main import main

pytestmark = pytest.mark.usefixtures("closed_logs")


@pytest.fixture(autouse=True)
def no_change_of_the_garbage_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the tests."""
    monkeypatch.setattr(gc, "disable", lambda: None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "too few arguments: expected [source_addr:]source_port"),
        ("0", "too few arguments: expected target_addr:target_port"),
        ("0 localhost:1 more", "too many arguments: 'more'"),
        ("0 --token-plugin TokenFile", "--token-plugin TokenFile: expected a file or a directory"),
        ("0 localhost:1 --ssl-only --cert /nowhere/x.pem", "/nowhere/x.pem"),
        ("0 localhost:1 --log-file /nowhere/log", "--log-file /nowhere/log: No such file or directory"),
        ("0 localhost:1 --syslog localhost:x", "--syslog: expected /PATH or HOST:PORT, got 'localhost:x'"),
    ],
)
def test_what_can_not_be_done_is_one_line(
    line: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with the name of the program; the exit status is 2."""
    assert main(line.split()) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("portofcall-websockify: ")
    assert problem in last


def test_a_port_that_is_taken_is_exit_status_1(tmp_path: Path) -> None:
    """The lines before it are those of websockify, and the warnings."""
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([f"127.0.0.1:{port}", "localhost:1", "--log-file", str(log), "--file-only"]) == 1
    assert log.read_text().splitlines() == [
        "WebSocket server settings:",
        f"  - Listen on 127.0.0.1:{port}",
        "  - No SSL/TLS support (no cert file)",
        "warning: --file-only has no effect without --web",
    ]


def test_an_interrupt_before_it_runs_is_exit_status_130(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run", interrupted)
    assert main(["0", "localhost:1"]) == 130
