"""The command lines of the contestants."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from tests.benchmarks.running import Command, NotListening
from tests.benchmarks.security import PASSPHRASE, Certificate
from tests.e2e.backends import closed_port

_START_SECONDS = 20
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

TWISTD: Sequence[str | Path] = (_BIN / "twistd",)
#: twistd on uvloop: its asyncio reactor uses the loop that asyncio makes.
TWISTD_ON_UVLOOP: Sequence[str | Path] = (
    sys.executable,
    "-c",
    "import uvloop; uvloop.install(); from twisted.scripts.twistd import run; run()",
    "--reactor=asyncio",
)


@cache
def _options(twistd: tuple[str | Path, ...]) -> frozenset[str]:
    """Return the names of the installed revision's options; an older one has fewer."""
    command = [*twistd, "portofcall", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS, check=False)
    if shown.returncode:
        raise NotListening(f"{' '.join(map(str, command))} failed:\n{shown.stdout}{shown.stderr}")
    return frozenset(re.findall(r"--([a-z-]+)", shown.stdout))


def gateway_command(twistd: Sequence[str | Path]) -> Command:
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


def websocat(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
    """Run websocat as a gateway."""
    scheme = "wss" if certificate else "ws"
    options: list[str | Path] = []
    if certificate:
        options = ["--pkcs12-der", certificate.archive, "--pkcs12-passwd", PASSPHRASE]
    return [
        find("websocat"),
        "-E",
        "-b",
        *options,
        f"{scheme}-l:127.0.0.1:{port}",
        f"tcp:127.0.0.1:{backend}",
    ]


def websockify(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
    """Run websockify."""
    options: list[str | Path] = []
    if certificate:
        options = ["--cert", certificate.chain, "--key", certificate.key]
    return [find("websockify"), *options, f"127.0.0.1:{port}", f"127.0.0.1:{backend}"]


def haproxy(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
    """Run this gateway without TLS, and HAProxy in front of it, which ends TLS."""
    assert certificate is not None
    settings = certificate.both.with_name("haproxy.cfg")
    at = closed_port()
    settings.write_text(_HAPROXY.format(port=port, certificate=certificate.both, gateway=at))
    return _after_gateway(at, backend, [find("haproxy"), "-db", "-f", settings])


def _after_gateway(at: int, backend: int, words: Sequence[str | Path]) -> Sequence[str | Path]:
    """Run this gateway at a port, and a program as soon as it listens there."""
    gateway = shlex.join(map(str, gateway_command(TWISTD)(at, backend, None)))
    waits = f"until (exec 3<>/dev/tcp/127.0.0.1/{at}) 2>&-; do sleep 0.05; done"
    return ["bash", "-c", f"{gateway} & {waits}; exec {shlex.join(map(str, words))}"]


def behind_gateway(client: Callable[[int, str, int], Sequence[str | Path]]) -> Command:
    """Run this gateway, and a client of it that listens for plain TCP.

    Args:
        client: makes its command line, from its port, the gateway's URL and the backend's port.
    """

    def command(port: int, backend: int, certificate: Certificate | None) -> Sequence[str | Path]:
        at = closed_port()
        return _after_gateway(at, backend, client(port, f"ws://127.0.0.1:{at}", backend))

    return command


def forward(port: int, url: str, backend: int) -> Sequence[str | Path]:
    """Run ``portofcall forward``."""
    return [_BIN / "portofcall", "forward", url, "-L", f"127.0.0.1:{port}:127.0.0.1:{backend}"]


def websocat_listening(port: int, url: str, backend: int) -> Sequence[str | Path]:
    """Run websocat as a client that listens."""
    return [find("websocat"), "-E", "-b", f"tcp-l:127.0.0.1:{port}", _tunnel(url, backend)]


def connect(url: str, backend: int) -> Sequence[str | Path]:
    """Run ``portofcall connect``."""
    return [_BIN / "portofcall", "connect", url, "127.0.0.1", str(backend)]


def websocat_piped(url: str, backend: int) -> Sequence[str | Path]:
    """Run websocat as a client with a pipe."""
    return [find("websocat"), "-b", _tunnel(url, backend)]


def _tunnel(url: str, backend: int) -> str:
    return f"{url}/api/connect?host=127.0.0.1&port={backend}"


def find(program: str) -> str:
    """Find a program, first in the folder of this Python; return "" if it is not installed."""
    return shutil.which(program, path=f"{_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}") or ""
