"""A peer behind a cut link goes, one that merely does not read stays: two network namespaces and a link."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

import pytest

from tests.e2e.gateway import need
from tests.e2e.wsclient import DEADLINE

#: Instead of 3 minutes. The probes of a full window, which back off to 2 minutes, come every second here.
GONE_SECONDS = 3
RTO_MAX = Path("/proc/sys/net/ipv4/tcp_rto_max_ms")

GATEWAY = f"""
import sys
from twisted.internet import reactor
from twisted.logger import globalLogBeginner, textFileLogObserver
from portofcall import Gateway, Limits, Policy
globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)], redirectStandardIO=False)
limits = Limits(gone_seconds={GONE_SECONDS})
gateway = Gateway(reactor, policy=Policy.parse(allow=["192.0.2.0/24", "127.0.0.1"]), limits=limits)
reactor.listenTCP(8080, gateway.site(), interface="192.0.2.1")
print("ready", flush=True)
reactor.run()
"""
#: A client that sends without end, or reads nothing, or both: it only waits.
CLIENT = """
import socket, sys
client = socket.create_connection(("192.0.2.1", 8080))
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
client.sendall((
    "GET /api/connect?host=%s&port=7000 HTTP/1.1\\r\\nHost: 192.0.2.1:8080\\r\\nUpgrade: websocket\\r\\n"
    "Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n"
).encode())
assert client.recv(12) == b"HTTP/1.1 101"
print("ready", flush=True)
if %r:
    frame = b"\\x82\\xfe\\x80\\x00" + bytes(4 + 32768)
    try:
        while True:
            client.sendall(frame)
    except OSError:
        pass
    data = b""
    while piece := client.recv(65536):
        data += piece
    print(data[-200:], flush=True)
sys.stdin.read()
"""
#: A backend that sends without end, or reads nothing.
BACKEND = """
import socket, sys
listener = socket.create_server(("%s", 7000))
print("ready", flush=True)
backend = listener.accept()[0]
try:
    while %r:
        backend.sendall(bytes(65536))
except OSError:
    pass
sys.stdin.read()
"""


class Link:
    """Two machines, 192.0.2.1 with the gateway and 192.0.2.2, and the link between them."""

    def __init__(self) -> None:
        self.near, self.far = f"pocnear{os.getpid()}", f"pocfar{os.getpid()}"

    def cut(self) -> None:
        """Let no packet through any more; neither side is told."""
        subprocess.run(["ip", "-n", self.far, "link", "set", "pocgone1", "down"], check=True)

    @contextmanager
    def running(self, machine: str, program: str, output: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Python program there, which prints a line when it is ready."""
        with output.open("wb") as stdout:
            process = subprocess.Popen(
                ["ip", "netns", "exec", machine, sys.executable, "-c", program],
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=stdout,
                cwd=Path(__file__).parent.parent.parent,
            )
        try:
            wait_for(output, "ready")
            yield process
        finally:
            process.kill()
            cast(IO[bytes], process.stdin).close()
            process.wait(DEADLINE)


@pytest.fixture
def link() -> Iterator[Link]:
    """A link of its own for each test."""
    need("ip")
    if os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI has to run this as root"
        pytest.skip("only root can make network namespaces")
    if not RTO_MAX.exists():
        pytest.skip("this kernel can't shorten the interval of window probes")
    link = Link()
    made = []
    try:
        for machine in (link.near, link.far):
            subprocess.run(["ip", "netns", "add", machine], check=True)
            made.append(machine)
            shorten = ["sh", "-c", f"echo 1000 > {RTO_MAX}"]
            subprocess.run(["ip", "netns", "exec", machine, *shorten], check=True)
        for command in (
            f"link add pocgone0 netns {link.near} type veth peer name pocgone1 netns {link.far}",
            f"-n {link.near} link set lo up",
            f"-n {link.near} address add 192.0.2.1/24 dev pocgone0",
            f"-n {link.near} link set pocgone0 up",
            f"-n {link.far} address add 192.0.2.2/24 dev pocgone1",
            f"-n {link.far} link set pocgone1 up",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        yield link
    finally:
        for machine in made:
            subprocess.run(["ip", "netns", "delete", machine], check=True)


def wait_for(output: Path, pattern: str) -> str:
    """Wait until a program has printed this."""
    deadline = time.monotonic() + DEADLINE
    while not (found := re.search(pattern, output.read_text())):
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.01)
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize("far", ["client", "backend"])
def test_stopped_reader_stays_and_one_behind_a_cut_link_goes(link: Link, tmp_path: Path, far: str) -> None:
    """Whichever side of the tunnel it is on; its counterpart is told."""
    log, client, backend = tmp_path / "log", tmp_path / "client", tmp_path / "backend"
    address = "127.0.0.1" if far == "client" else "192.0.2.2"
    with ExitStack() as running:
        running.enter_context(link.running(link.near, GATEWAY, log))
        running.enter_context(
            link.running(
                link.near if far == "client" else link.far, BACKEND % (address, far == "client"), backend
            )
        )
        running.enter_context(
            link.running(
                link.far if far == "client" else link.near, CLIENT % (address, far == "backend"), client
            )
        )
        wait_for(log, "opened")
        time.sleep(3 * GONE_SECONDS)
        assert "closed" not in log.read_text(), "a stopped reader stays"
        began = time.monotonic()
        link.cut()
        wait_for(log, f"closed: {far} is gone: no acknowledgement .*for {GONE_SECONDS} seconds")
        assert time.monotonic() - began < 6 * GONE_SECONDS
        if far == "backend":
            wait_for(client, "backend-gone")
