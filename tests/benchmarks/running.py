"""A contestant, and how one is started."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import running_process
from tests.benchmarks.security import Certificate, Security
from tests.e2e.backends import closed_port
from tests.e2e.support import accepts

#: Makes the command line of a program that listens on the first port (0: on any), with TLS if there is a
#: certificate, and connects to the second.
Command = Callable[[int, int, Certificate | None], Sequence[str | Path]]

_START_SECONDS = 20
#: The resolution of the time that a start takes.
_POLL_SECONDS = 0.001
_LISTENING = re.compile(rb"listening on https?://127\.0\.0\.1:(\d+)\s")


class NotListening(Exception):
    """A contestant cannot be run, or did not listen in time. The message quotes its output."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program that relays bytes between clients and the backend.

    Attributes:
        name: in the table.
        command: starts it; None means that clients connect to the backend directly.
        installed: reports whether it is installed.
        names_target: whether its clients name the target, as ours do.
        forks: whether each tunnel is a process, so that a few of them show the cost of one.
        plain: whether its clients speak plain TCP.
        program: makes the command line of a client of the gateway that is started, whose standard input and
            output are a tunnel, from the gateway's URL and the backend's port; None for all others.
        is_client: whether it is a client of this gateway, in front of it.
        securities: how clients may connect.
        python: the words that start the Python where this gateway is installed; empty for other programs.
        logs_port: whether it may choose its port, as it logs "listening on" and its URL. Any other listens
            when it accepts a connection.
    """

    name: str
    command: Command | None
    installed: Callable[[], bool] = lambda: True
    names_target: bool = False
    forks: bool = False
    logs_port: bool = False
    plain: bool = False
    program: Callable[[str, int], Sequence[str | Path]] | None = None
    is_client: bool = False
    securities: frozenset[Security] = frozenset(Security)
    python: Sequence[str | Path] = ()

    @property
    def is_peer(self) -> bool:
        """Whether it is a program of others."""
        return bool(self.command) and not self.python


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A contestant that listens.

    Attributes:
        contestant: which one.
        port: where clients connect, on 127.0.0.1.
        path: of its WebSocket, or "-" if it has none.
        process: of the contestant; None for plain TCP.
        start_seconds: from starting the process until it listened.
        security: how clients connect.
        program: see `Contestant`; empty if it is a connection.
    """

    contestant: Contestant
    port: int
    path: str
    process: subprocess.Popen[bytes] | None = None
    start_seconds: float = 0
    security: Security = Security.PLAIN
    program: Sequence[str | Path] = ()

    def memory_bytes(self) -> int:
        """Return the resident memory of all its processes; shared pages count once (PSS)."""
        assert self.process is not None
        return sum(_resident_bytes(pid) for pid in _with_children(self.process.pid))


@contextmanager
def running(
    contestant: Contestant, backend_port: int, folder: Path, security: Security = Security.PLAIN
) -> Iterator[Running]:
    """Start a contestant, wait until it listens, and end all of its processes when the block ends.

    Args:
        contestant: what to start.
        backend_port: where the backend listens, on 127.0.0.1.
        folder: where to run it, and to write its log and its certificate.
        security: how clients connect.

    Raises:
        NotListening: it does not listen.
    """
    if contestant.command is None:
        yield Running(contestant=contestant, port=backend_port, path="-")
        return
    port = 0 if contestant.logs_port else closed_port()
    log = folder / "contestant.log"
    certificate = None if security is Security.PLAIN else Certificate.make(folder)
    command = contestant.command(port, backend_port, certificate)
    started = time.monotonic()
    with (
        log.open("wb") as output,
        running_process(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        ) as process,
    ):
        port = _wait_until_listening(contestant, port, process, log)
        program = contestant.program
        yield Running(
            contestant=contestant,
            port=port,
            path=_path(contestant, backend_port),
            process=process,
            start_seconds=time.monotonic() - started,
            security=security,
            program=() if program is None else program(f"ws://127.0.0.1:{port}", backend_port),
        )


def _path(contestant: Contestant, backend_port: int) -> str:
    if contestant.plain:
        return "-"
    return f"/api/connect?host=127.0.0.1&port={backend_port}" if contestant.names_target else "/"


def _wait_until_listening(
    contestant: Contestant, port: int, process: subprocess.Popen[bytes], log: Path
) -> int:
    """Return the port where it listens."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if contestant.logs_port:
            if match := _LISTENING.search(log.read_bytes()):
                return int(match[1])
        elif accepts(port):
            return port
        time.sleep(_POLL_SECONDS)
    raise NotListening(f"{contestant.name} does not listen:\n{log.read_text(errors='replace')}")


def _with_children(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return  # it has just ended
    for child in children:
        yield from _with_children(int(child))


def _resident_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has just ended
    match = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024
