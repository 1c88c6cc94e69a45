"""Who is measured: this gateway, other gateways, and no gateway at all."""

import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.e2e.backends import closed_port

#: Makes the command that listens at the first port and connects to the second.
Command = Callable[[int, int], Sequence[str | Path]]

_START_SECONDS = 20
_UNLIMITED = (
    "max-tunnels",
    "max-per-client",
    "max-per-target",
    "max-per-client-target",
    "rate-per-client",
    "rate-per-target",
)
_BIN = Path(sys.executable).parent

_TWISTD: Sequence[str | Path] = (_BIN / "twistd",)
#: twistd on uvloop: its asyncio reactor takes the loop that asyncio makes.
_TWISTD_ON_UVLOOP: Sequence[str | Path] = (
    sys.executable,
    "-c",
    "import uvloop; uvloop.install(); from twisted.scripts.twistd import run; run()",
    "--reactor=asyncio",
)


@cache
def _options(twistd: tuple[str | Path, ...]) -> frozenset[str]:
    """Return the names of the options that the installed revision has; an older one has fewer."""
    command = [*twistd, "portofcall", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_START_SECONDS).stdout
    return frozenset(re.findall(r"--([a-z-]+)", shown))


def _gateway_command(twistd: Sequence[str | Path]) -> Command:
    """Run the gateway as people run it: policy and limits are in the path, but no limit stops the load."""

    def command(port: int, backend: int) -> Sequence[str | Path]:
        limits = [f"--{name}=0" for name in _UNLIMITED if name in _options(tuple(twistd))]
        listen = f"--listen=tcp:{port}:interface=127.0.0.1:backlog=1024"
        return [*twistd, "-n", "--pidfile=", "portofcall", listen, f"--allow=127.0.0.1:{backend}", *limits]

    return command


def _websocat(port: int, backend: int) -> Sequence[str | Path]:
    return [_find("websocat"), "-E", "-b", f"ws-l:127.0.0.1:{port}", f"tcp:127.0.0.1:{backend}"]


def _websockify(port: int, backend: int) -> Sequence[str | Path]:
    return [_find("websockify"), f"127.0.0.1:{port}", f"127.0.0.1:{backend}"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who brings bytes to the backend.

    Attributes:
        name: in the table.
        command: starts it; None means that clients connect to the backend themselves.
        installed: tells whether it is there.
        names_target: whether its clients name the target, as ours do.
        forks: whether each tunnel is a process, so that a few of them show what one costs.
    """

    name: str
    command: Command | None
    installed: Callable[[], bool] = lambda: True
    names_target: bool = False
    forks: bool = False


OURS = Contestant("portofcall", _gateway_command(_TWISTD), names_target=True)
WEBSOCAT = Contestant("websocat", _websocat, lambda: bool(_find("websocat")))
WEBSOCKIFY = Contestant("websockify", _websockify, lambda: bool(_find("websockify")), forks=True)
#: On another event loop; only measured when it is asked for.
UVLOOP = Contestant(
    "uvloop",
    _gateway_command(_TWISTD_ON_UVLOOP),
    lambda: importlib.util.find_spec("uvloop") is not None,
    names_target=True,
)
DIRECT = Contestant("direct", None)
CONTESTANTS = {each.name: each for each in (OURS, WEBSOCAT, WEBSOCKIFY, UVLOOP, DIRECT)}


class Running:
    """A contestant that listens.

    Attributes:
        contestant: which one.
        port: where clients connect, on 127.0.0.1.
        path: of its WebSocket, or "-" where there is none.
    """

    def __init__(self, contestant: Contestant, backend_port: int, folder: Path) -> None:
        self.contestant = contestant
        self.port = backend_port
        self.path = "-"
        self._process: subprocess.Popen[bytes] | None = None
        if contestant.command is None:
            return
        self.port = closed_port()
        self.path = f"/api/connect?host=127.0.0.1&port={backend_port}" if contestant.names_target else "/"
        log = folder / f"{contestant.name}.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                contestant.command(self.port, backend_port),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that all of its processes can be ended
            )
        _wait_for(self.port, self._process, log)

    def memory_bytes(self) -> int:
        """Tell the resident memory of all its processes; a page that several share counts once (PSS)."""
        assert self._process is not None
        return sum(_resident_bytes(pid) for pid in _with_children(self._process.pid))

    def stop(self) -> None:
        """End it, with all of its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            with suppress(ProcessLookupError):  # all of them have ended
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def running(contestant: Contestant, backend_port: int, folder: Path) -> Iterator[Running]:
    """Start a contestant, and end it."""
    started = Running(contestant, backend_port, folder)
    try:
        yield started
    finally:
        started.stop()


def _find(program: str) -> str:
    """Find a program, first where pip puts those of this Python; return "" if it is not installed."""
    return shutil.which(program, path=f"{_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}") or ""


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the contestant listens. Raises `RuntimeError` with its log if it does not."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen:\n{log.read_text(errors='replace')}")


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
    except ProcessLookupError:
        return 0  # it has just ended
    match = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024
