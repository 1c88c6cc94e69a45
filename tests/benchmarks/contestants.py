"""The programs under test: this gateway, other gateways, and plain TCP without a gateway."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

from tests.benchmarks.processes import running_process
from tests.benchmarks.security import PASSPHRASE, Certificate, Security
from tests.e2e.backends import closed_port
from tests.e2e.support import accepts

#: Makes the command line of a program that listens on the first port (0: on any), with TLS if there is a
#: certificate, and connects to the second.
Command = Callable[[int, int, Certificate | None], Sequence[str | Path]]

_START_SECONDS = 20
#: The resolution of the time that a start takes.
_POLL_SECONDS = 0.001
_LISTENING = re.compile(rb"listening on https?://127\.0\.0\.1:(\d+)\s")
_UNLIMITED = (
    "max-tunnels",
    "max-per-client",
    "max-per-target",
    "max-per-client-target",
    "rate-per-client",
    "rate-per-target",
    "request-rate",
)
_BIN = Path(sys.executable).parent
_HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout tunnel 1h
frontend clients
    bind 127.0.0.1:{port} ssl crt {certificate}
    default_backend gateways
backend gateways
    server gateway 127.0.0.1:{gateway}
"""

_TWISTD: Sequence[str | Path] = (_BIN / "twistd",)
#: twistd on uvloop: its asyncio reactor uses the loop that asyncio makes.
_TWISTD_ON_UVLOOP: Sequence[str | Path] = (
    sys.executable,
    "-c",
    "import uvloop; uvloop.install(); from twisted.scripts.twistd import run; run()",
    "--reactor=asyncio",
)


class NotListening(Exception):
    """A contestant cannot be run, or did not listen in time. The message quotes its output."""


@cache
def _options(twistd: tuple[str | Path, ...]) -> frozenset[str]:
    """Return the names of the installed revision's options; an older one has fewer."""
    command = [*twistd, "portofcall", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    if shown.returncode:
        raise NotListening(f"{' '.join(map(str, command))} failed:\n{shown.stdout}{shown.stderr}")
    return frozenset(re.findall(r"--([a-z-]+)", shown.stdout))


def _gateway_command(twistd: Sequence[str | Path]) -> Command:
    """Run the gateway as in production: policy and limits are in the path, but no limit stops the load."""

    def command(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
        limits = [f"--{name}=0" for name in _UNLIMITED if name in _options(tuple(twistd))]
        listen = f"tcp:{port}:interface=127.0.0.1:backlog=1024"
        if certificate:
            listen = f"tls+{listen}"
            limits += [f"--tls-cert={certificate.chain}", f"--tls-key={certificate.key}"]
        words = ["-n", "--pidfile=", "portofcall", f"--listen={listen}", f"--allow=127.0.0.1:{backend}"]
        return [*twistd, *words, *limits]

    return command


def _websocat(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
    scheme = "wss" if certificate else "ws"
    options: list[str | Path] = []
    if certificate:
        options = ["--pkcs12-der", certificate.archive, "--pkcs12-passwd", PASSPHRASE]
    return [
        _find("websocat"),
        "-E",
        "-b",
        *options,
        f"{scheme}-l:127.0.0.1:{port}",
        f"tcp:127.0.0.1:{backend}",
    ]


def _websockify(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
    options: list[str | Path] = []
    if certificate:
        options = ["--cert", certificate.chain, "--key", certificate.key]
    return [_find("websockify"), *options, f"127.0.0.1:{port}", f"127.0.0.1:{backend}"]


def _haproxy(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
    """Run this gateway without TLS, and HAProxy in front of it, which ends TLS."""
    assert certificate is not None
    settings = certificate.both.with_name("haproxy.cfg")
    at = closed_port()
    settings.write_text(_HAPROXY.format(port=port, certificate=certificate.both, gateway=at))
    return _after_gateway(at, backend, [_find("haproxy"), "-db", "-f", settings])


def _after_gateway(at: int, backend: int, words: Sequence[str | Path]) -> Sequence[str | Path]:
    """Run this gateway at a port, and a program as soon as it listens there."""
    gateway = shlex.join(map(str, _gateway_command(_TWISTD)(at, backend, None)))
    waits = f"until (exec 3<>/dev/tcp/127.0.0.1/{at}) 2>&-; do sleep 0.05; done"
    return ["bash", "-c", f"{gateway} & {waits}; exec {shlex.join(map(str, words))}"]


def _behind_gateway(client: Callable[[int, str, int], Sequence[str | Path]]) -> Command:
    """Run this gateway, and a client of it that listens for plain TCP.

    Args:
        client: makes its command line, from its port, the gateway's URL and the backend's port.
    """

    def command(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
        at = closed_port()
        return _after_gateway(at, backend, client(port, f"ws://127.0.0.1:{at}", backend))

    return command


def _forward(port: int, url: str, backend: int) -> Sequence[str | Path]:
    return [_BIN / "portofcall", "forward", url, "-L", f"127.0.0.1:{port}:127.0.0.1:{backend}"]


def _websocat_listening(port: int, url: str, backend: int) -> Sequence[str | Path]:
    return [_find("websocat"), "-E", "-b", f"tcp-l:127.0.0.1:{port}", _tunnel(url, backend)]


def _connect(url: str, backend: int) -> Sequence[str | Path]:
    return [_BIN / "portofcall", "connect", url, "127.0.0.1", str(backend)]


def _websocat_piped(url: str, backend: int) -> Sequence[str | Path]:
    return [_find("websocat"), "-b", _tunnel(url, backend)]


def _tunnel(url: str, backend: int) -> str:
    return f"{url}/api/connect?host=127.0.0.1&port={backend}"


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


def gateway(
    name: str,
    twistd: Sequence[str | Path],
    installed: Callable[[], bool] = lambda: True,
    python: Sequence[str | Path] = (sys.executable,),
) -> Contestant:
    """Return this gateway as a contestant.

    Args:
        name: in the table.
        twistd: the words that start ``twistd`` where the gateway is installed.
        installed: reports whether it can be run.
        python: the words that start Python there.
    """
    command = _gateway_command(twistd)
    return Contestant(name, command, installed, names_target=True, logs_port=True, python=python)


OURS = gateway("portofcall", _TWISTD)
WEBSOCAT = Contestant("websocat", _websocat, lambda: bool(_find("websocat")))
WEBSOCKIFY = Contestant("websockify", _websockify, lambda: bool(_find("websockify")), forks=True)
#: On another event loop; only measured on request.
UVLOOP = gateway("uvloop", _TWISTD_ON_UVLOOP, lambda: importlib.util.find_spec("uvloop") is not None)
DIRECT = Contestant("direct", None, securities=frozenset({Security.PLAIN}))
#: HAProxy that ends TLS, in front of this gateway.
HAPROXY = Contestant(
    "haproxy",
    _haproxy,
    lambda: bool(_find("haproxy")),
    names_target=True,
    securities=frozenset({Security.TLS, Security.RESUMED}),
)
#: Clients of this gateway, in front of it: ``portofcall connect`` and ``forward -L``, and websocat as both.
CONNECT = replace(OURS, name="connect", plain=True, is_client=True, program=_connect)
FORWARD = Contestant(
    "forward",
    _behind_gateway(_forward),
    plain=True,
    is_client=True,
    python=(sys.executable,),
)
WEBSOCAT_PIPED = replace(
    CONNECT, name="websocat-pipe", installed=WEBSOCAT.installed, program=_websocat_piped, python=()
)
WEBSOCAT_LISTENING = replace(
    FORWARD,
    name="websocat-port",
    command=_behind_gateway(_websocat_listening),
    installed=WEBSOCAT.installed,
    python=(),
)
#: Those that are compared in the rows of clients: ours, and the peer in the same role.
CLIENTS = ((CONNECT, WEBSOCAT_PIPED), (FORWARD, WEBSOCAT_LISTENING))
CONTESTANTS = {
    each.name: each
    for each in (OURS, WEBSOCAT, WEBSOCKIFY, HAPROXY, UVLOOP, *chain.from_iterable(CLIENTS), DIRECT)
}


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


def _find(program: str) -> str:
    """Find a program, first in the folder of this Python; return "" if it is not installed."""
    return shutil.which(program, path=f"{_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}") or ""


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
    except ProcessLookupError:
        return 0  # it has just ended
    match = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024
