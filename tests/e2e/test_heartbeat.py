"""Pings keep an idle tunnel open through a proxy, and never cost a slow reader a byte."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backends import Backend, MiB, backend, closed_port, echo, send_until_lost
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process, need
from tests.e2e.support import until, until_still
from tests.e2e.wsclient import CLOSE, DEADLINE, PING, PONG, Close, WebSocketClient

pytestmark = pytest.mark.slow

PROXY_SECONDS = 3
HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client {seconds}s
    timeout server {seconds}s
    timeout tunnel {seconds}s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server gateway 127.0.0.1:{gateway}
"""


@contextmanager
def haproxy(gateway: GatewayProcess, folder: Path) -> Iterator[int]:
    """Run HAProxy in front of a gateway; it closes a tunnel that is idle for 3 seconds."""
    port, configuration = closed_port(), folder / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(seconds=PROXY_SECONDS, port=port, gateway=gateway.port))
    process = subprocess.Popen([need("haproxy"), "-db", "-q", "-f", str(configuration)])
    try:
        # Asked of the kernel (proc(5)): a connection to try it would be one of the gateway's.
        until(lambda: f":{port:04X} 00000000:0000 0A " in Path("/proc/net/tcp").read_text())
        yield port
    finally:
        process.kill()
        process.wait(DEADLINE)


def test_idle_tunnel_outlives_the_timeout_of_a_proxy(tmp_path: Path) -> None:
    """Three times as long: what is sent after that still goes both ways."""
    with (
        gateway_process(tmp_path, *LOOPBACK, "--ping-interval", "1") as gateway,
        haproxy(gateway, tmp_path) as port,
        backend(echo) as server,
        WebSocketClient(port, server.query) as client,
    ):
        began = time.monotonic()
        while time.monotonic() < began + 3 * PROXY_SECONDS:
            frame = client.receive()
            assert frame.opcode == PING
            client.send(frame.payload, PONG)
        client.send(b"still here")
        assert client.read(10) == b"still here"
        client.close()


def test_proxy_ends_an_idle_tunnel_without_pings(tmp_path: Path) -> None:
    """Otherwise the test above would show nothing."""
    with (
        gateway_process(tmp_path, *LOOPBACK, "--ping-interval", "0") as gateway,
        haproxy(gateway, tmp_path) as port,
        backend(Backend.receive) as server,
        WebSocketClient(port, server.query) as client,
    ):
        began = time.monotonic()
        assert client.socket.recv(1) == b""
        assert time.monotonic() - began < 2 * PROXY_SECONDS
        gateway.wait_for_log("closed: client disconnected without a Close frame")
        assert server.wait_for_end() == "ConnectionResetError"


@pytest.mark.parametrize("size", [MiB, 64 * MiB], ids=["held by kernels", "more than they hold"])
def test_slow_reader_gets_every_byte_however_long_it_answers_no_ping(tmp_path: Path, size: int) -> None:
    """As in the shell: `websocat … | (sleep 120; wc -c)`, with shortened times."""

    def serve(server: Backend) -> None:
        server.send(size)
        server.wait()
        server.connection.close()

    options = ("--ping-interval", "0.2", "--ping-timeout", "0.2")
    with gateway_process(tmp_path, *LOOPBACK, *options) as gateway, backend(serve) as server:
        url = f"ws://127.0.0.1:{gateway.port}/api/connect?{server.query}"
        websocat = subprocess.Popen(
            [need("websocat"), "--binary", "--exit-on-eof", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert (until_still(lambda: server.sent) == size) is (size == MiB)
            time.sleep(2)  # ten times as long as it takes to miss a pong
            server.go.set()
            assert websocat.stdout is not None
            received = 0
            while piece := websocat.stdout.read(MiB):
                received += len(piece)
            assert received == size
        finally:
            websocat.kill()
            websocat.communicate()
        assert gateway.wait_for_log(r"closed: (.*?) \(")[1] == "the backend closed"


def test_client_that_answers_no_ping_is_ended_and_the_backend_gets_fin(tmp_path: Path) -> None:
    """Its kernel acknowledges each ping, but nobody reads it."""
    options = ("--ping-interval", "0.2", "--ping-timeout", "0.5")
    with (
        gateway_process(tmp_path, *LOOPBACK, *options) as gateway,
        backend(echo) as server,
        WebSocketClient(gateway.port, server.query) as client,
    ):
        assert server.wait_for_end() == "eof"
        opcodes = set()
        while (frame := client.receive()).opcode != CLOSE:
            opcodes.add(frame.opcode)
        assert opcodes == {PING}
        assert Close.parse(frame.payload).reason.startswith("ping-timeout: ")
        gateway.wait_for_log("closed: timed out: the client answered no ping for 0.5 seconds")


def test_stalled_client_is_reset_after_the_stall_timeout(tmp_path: Path) -> None:
    """Without the option it would stay."""
    options = ("--ping-interval", "0.2", "--ping-timeout", "0.2", "--stall-timeout", "1")
    with (
        gateway_process(tmp_path, *LOOPBACK, *options) as gateway,
        backend(send_until_lost) as server,
        WebSocketClient(gateway.port, server.query) as client,
    ):
        gateway.wait_for_log("closed: timed out: the client made no progress for 1 seconds")
        with pytest.raises(ConnectionResetError):
            client.socket.sendall(bytes(MiB))
