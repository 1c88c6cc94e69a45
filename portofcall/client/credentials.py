"""The credentials of a client, from wherever they are kept but the command line."""

import netrc
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from portofcall.client.problem import Problem, Status, usage
from portofcall.errors import printable

#: The environment variable with a ticket.
VARIABLE: Final = "PORTOFCALL_TICKET"
#: What a header may hold (RFC 6750 §2.1).
_TICKET: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
#: What neither a user nor a password may have (RFC 7617 §2).
_CONTROL: Final = re.compile("[\0-\x1f\x7f-\x9f]")
_MAX_TICKET_CHARACTERS: Final = 8192
_MAX_PASSWORD_CHARACTERS: Final = 1024
#: Someone may have to log in.
_COMMAND_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What is sent with a request: a ticket, or a user and a password, or nothing."""

    ticket: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def read_ticket(path: Path) -> str:
    """Return the ticket in a file.

    Raises:
        ValueError: it can't be read, or holds no ticket; the message quotes nothing of it.
    """
    return parse_ticket(_read(path, _MAX_TICKET_CHARACTERS))


def parse_ticket(text: str) -> str:
    """Return a ticket without the white space around it.

    Raises:
        ValueError: it is not one; the message quotes nothing.
    """
    ticket = text.strip()
    if len(ticket) > _MAX_TICKET_CHARACTERS or not _TICKET.fullmatch(ticket):
        raise ValueError(
            f"expected a ticket of at most {_MAX_TICKET_CHARACTERS} letters, digits, . _ ~ + / -"
        )
    return ticket


def read_password(path: Path) -> str:
    """Return the password in the first line of a file.

    Raises:
        ValueError: it can't be read, or its first line is no password; the message quotes nothing of it.
    """
    return parse_password(read_first_line(path))


def read_first_line(path: Path) -> str:
    """Return the first line of a file.

    Raises:
        ValueError: it can't be read, or is not UTF-8; the message quotes nothing of it.
    """
    return _read(path, _MAX_PASSWORD_CHARACTERS).partition("\n")[0].rstrip("\r")


def parse_password(text: str) -> str:
    """Return a password, unless RFC 7617 §2 does not allow it.

    Raises:
        ValueError: it has control characters, or is too long; the message quotes nothing.
    """
    if len(text) > _MAX_PASSWORD_CHARACTERS or _CONTROL.search(text):
        raise ValueError("expected a password without control characters")
    return text


def run_ticket_command(command: str) -> str:
    """Run a command in the shell; its output is the ticket. It may ask on the terminal.

    Raises:
        Problem: it fails, or prints no ticket.
    """
    try:
        done = subprocess.run(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise ValueError(f"it ended with status {done.returncode}")
        return parse_ticket(done.stdout.decode("ascii", "replace"))
    except subprocess.TimeoutExpired:
        why = f"it took longer than {_COMMAND_SECONDS:g} seconds"
    except ValueError as error:
        why = str(error)
    raise Problem("ticket-command-failed", f"--ticket-command: {why}", Status.AUTHENTICATION)


def find_in_netrc(host: str, path: Path | None = None) -> Login | None:
    """Return the user and the password that a netrc file has for a host.

    Args:
        host: the gateway's.
        path: of the file; None means ``$NETRC`` or ``~/.netrc``, which need not exist.

    Raises:
        ValueError: the file is not valid, or others than its owner can read it; the message names it.
    """
    wanted = path or Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        entry = netrc.netrc(str(wanted)).authenticators(host)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ValueError(f"{printable(str(wanted))}: {error.strerror}") from None
    except netrc.NetrcParseError as error:
        raise ValueError(f"{printable(str(wanted))}: {printable(error.msg)}") from None
    return None if entry is None or not entry[0] else Login(user=entry[0], password=entry[2])


def ask_password(prompt: str, *, terminal: str = "/dev/tty") -> str:
    """Ask for a password on the terminal, without an echo: standard input is the tunnel's.

    Raises:
        Problem: there is no terminal.
    """
    import termios  # noqa: PLC0415 - only who is asked needs it

    try:
        descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise usage("--user: there is no terminal to ask for the password; give --password-file") from None
    try:
        before = termios.tcgetattr(descriptor)
        silent = [*before]
        silent[3] &= ~termios.ECHO
        os.write(descriptor, prompt.encode())
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, silent)
        try:
            line = b""
            while not line.endswith(b"\n") and len(line) <= _MAX_PASSWORD_CHARACTERS:
                piece = os.read(descriptor, _MAX_PASSWORD_CHARACTERS)
                if not piece:
                    break
                line += piece
        finally:
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
            os.write(descriptor, b"\n")
    finally:
        os.close(descriptor)
    try:
        return parse_password(line.decode().rstrip("\r\n"))
    except ValueError as error:
        raise usage(f"--user: {error}") from None


def _read(path: Path, most: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(most + 3)
    except OSError as error:
        raise ValueError(f"expected a readable file ({error.strerror})") from None
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ValueError("expected text in UTF-8") from None
