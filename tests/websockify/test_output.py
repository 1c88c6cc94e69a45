"""Where lines go."""

import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogPublisher

from portofcall.websockify.arguments import parse
from portofcall.websockify.output import Output, make_output

pytestmark = pytest.mark.usefixtures("closed_logs")


def made(options: str) -> Output:
    """Return the output of a command line."""
    return make_output(parse(["6080", "localhost:5901", *options.split()]))


def test_lines_go_to_the_standard_error_until_it_leaves_the_terminal(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And to the file, which is opened again once it was moved away."""
    path = tmp_path / "log"
    output = made(f"--log-file {path}")
    output.say("one")
    output.leave_terminal()
    path.rename(tmp_path / "log.1")
    output.warn("two")
    assert capsys.readouterr().err == "one\n"
    assert (tmp_path / "log.1").read_text() == "one\n"
    assert path.read_text() == "warning: two\n"


@pytest.mark.parametrize(
    ("options", "shown"), [("", ["ours", "broken"]), ("--verbose", ["ours", "detail", "broken"])]
)
def test_of_twisted_s_log_only_warnings_matter(
    options: str, shown: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of ours everything, details with --verbose."""
    publisher = LogPublisher(made(options))
    ours, twisted = (Logger(name, observer=publisher) for name in ("portofcall.x", "twisted.x"))
    ours.info("ours")
    ours.debug("detail")
    twisted.info("theirs")
    twisted.error("broken")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == shown


@pytest.mark.parametrize(
    ("options", "head"),
    [
        ("", r"<12>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ websockify {pid} - - "),
        ("--daemon", r"<28>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ websockify {pid} - - "),
        ("--legacy-syslog", r"<12>websockify\[{pid}\]: "),
    ],
)
def test_syslog(options: str, head: str) -> None:
    """One line each, with facility and severity: a warning, of a daemon or of a user."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        output = made(f"--syslog 127.0.0.1:{server.getsockname()[1]} {options}")
        output.warn("two\nlines")
        received = server.recv(1000).decode()
    assert re.fullmatch(head.replace("{pid}", str(os.getpid())) + "warning: two lines", received)


def test_the_name_of_a_syslog_server_is_resolved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line must not wait for DNS."""
    resolved = []
    ask = socket.getaddrinfo

    def note(host: str, *arguments: Any, **options: Any) -> Any:
        resolved.append(host)
        return ask("127.0.0.1", *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", note)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        output = made(f"--syslog log.example:{server.getsockname()[1]}")
        output.say("one")
        output.say("two")
        assert [server.recv(1000)[-3:] for _ in range(2)] == [b"one", b"two"]
    assert resolved.count("log.example") == 1
