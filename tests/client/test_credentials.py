"""Credentials come from anywhere but the command line, and are shown nowhere."""

import os
import pty
import termios
import threading
from pathlib import Path

import pytest

from portofcall.client.credentials import (
    Login,
    ask_password,
    find_in_netrc,
    parse_password,
    parse_ticket,
    read_password,
    read_ticket,
    run_ticket_command,
)
from portofcall.client.problem import Problem, Status


def test_a_ticket_of_a_file(tmp_path: Path) -> None:
    """Without the white space around it."""
    path = tmp_path / "ticket"
    path.write_text(" a.b-c.d_e\n")
    assert read_ticket(path) == "a.b-c.d_e"


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "a\r\nX-Header: y", "é", "x" * 8193])
def test_what_is_no_ticket_is_refused(text: str) -> None:
    """It could end the header; the message does not quote it."""
    with pytest.raises(ValueError, match="expected a ticket") as caught:
        parse_ticket(text)
    assert not text or text not in str(caught.value)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    """The message says why."""
    with pytest.raises(ValueError, match="No such file"):
        read_ticket(tmp_path / "missing")
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="UTF-8"):
        read_password(tmp_path / "latin")


def test_a_password_of_a_file(tmp_path: Path) -> None:
    """The first line, with its spaces."""
    path = tmp_path / "password"
    path.write_bytes(" pass wörd \r\nanother\n".encode())
    assert read_password(path) == " pass wörd "


@pytest.mark.parametrize("text", ["a\x00b", "a\x7f", "a\x85", "x" * 1025])
def test_passwords_without_control_characters(text: str) -> None:
    """RFC 7617 §2."""
    with pytest.raises(ValueError, match="expected a password"):
        parse_password(text)


def test_a_command_prints_the_ticket() -> None:
    """It is run by the shell, and can't read the tunnel's input."""
    assert run_ticket_command("cat; echo a.$((1 + 1)).c") == "a.2.c"


@pytest.mark.parametrize(
    ("command", "why"),
    [("exit 3", "ended with status 3"), ("true", "expected a ticket"), ("printf '\\377'", "expected")],
)
def test_a_command_that_fails(command: str, why: str) -> None:
    """The exit status is that of a failed authentication."""
    with pytest.raises(Problem, match=f"ticket-command-failed: --ticket-command: .*{why}") as caught:
        run_ticket_command(command)
    assert caught.value.status is Status.AUTHENTICATION


def test_a_command_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended."""
    monkeypatch.setattr("portofcall.client.credentials._COMMAND_SECONDS", 0.05)
    with pytest.raises(Problem, match=r"longer than 0\.05 seconds"):
        run_ticket_command("exec sleep 20")


def test_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the gateway's host; the file need not exist."""
    path = tmp_path / "netrc"
    path.write_text("machine gw.example login me password secret\n")
    assert find_in_netrc("gw.example", path) == Login(user="me", password="secret")
    assert find_in_netrc("other", path) is None
    monkeypatch.setenv("NETRC", str(path))
    assert find_in_netrc("gw.example") is not None
    assert find_in_netrc("gw.example", tmp_path / "missing") is None


def test_an_invalid_netrc_is_named(tmp_path: Path) -> None:
    """Instead of going on without."""
    path = tmp_path / "netrc"
    path.write_text("nonsense")
    for file in (path, tmp_path):
        with pytest.raises(ValueError, match=str(file)):
            find_in_netrc("gw", file)


def ask(typed: bytes) -> tuple[str | BaseException, bytes, bool]:
    """Ask on a terminal where this is typed; return the result, the screen, and whether it echoes again."""
    keyboard, terminal = pty.openpty()
    results: list[str | BaseException] = []

    def asking() -> None:
        try:
            results.append(ask_password("Password: ", terminal=os.ttyname(terminal)))
        except Problem as problem:
            results.append(problem)

    thread = threading.Thread(target=asking)
    thread.start()
    shown = b""
    while b"Password: " not in shown:
        shown += os.read(keyboard, 100)
    while termios.tcgetattr(terminal)[3] & termios.ECHO:
        pass
    os.write(keyboard, typed)
    thread.join(10)
    echoes = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
    shown += os.read(keyboard, 100)
    os.close(keyboard)
    os.close(terminal)
    return results[0], shown, echoes


def test_the_terminal_is_asked_without_an_echo() -> None:
    """And echoes again afterwards."""
    password, shown, echoes = ask("sécret word\n".encode())
    assert (password, echoes) == ("sécret word", True)
    assert b"cret" not in shown


def test_a_password_that_was_typed_wrong() -> None:
    """A control character is refused."""
    problem, _, _ = ask(b"a\x01b\n")
    assert isinstance(problem, Problem)
    assert problem.status is Status.USAGE


def test_without_a_terminal_there_is_nobody_to_ask(tmp_path: Path) -> None:
    """The message says what to give instead."""
    with pytest.raises(Problem, match="--password-file"):
        ask_password("Password: ", terminal=str(tmp_path / "none"))


def test_logins_do_not_show_their_secrets() -> None:
    """In a traceback or a log."""
    assert "secret" not in repr(Login(ticket="secret")) + repr(Login(user="me", password="secret"))
