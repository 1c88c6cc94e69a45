"""How tunnels end when something is still under way: a dial, a queue, a shutdown."""

import contextlib
import itertools
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.backends import (
    BLOCK,
    Backend,
    MiB,
    backend,
    digest,
    echo,
    send_and_close,
    send_until_lost,
    silent_port,
    wait_and_receive,
)
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process, need
from tests.e2e.support import receive_all, send_all, until, until_still
from tests.e2e.wsclient import BINARY, CLOSE, DEADLINE, PING, WebSocketClient, pack

CLOSE_1000 = pack(CLOSE, struct.pack("!H", 1000))
#: So much that it can't be mistaken for what the kernel holds.
HIGH_WATER = 32 * MiB
#: More than a closing tunnel waits for one peer after the other, in seconds.
STALL = 90.0
#: More than the gateway's own buffers hold, less than it and the kernel's together.
QUEUED = 4 * MiB


def page_of(gateway: GatewayProcess) -> tuple[str, ...]:
    """Return the header that a page of the gateway's own sends."""
    return (f"Origin: http://127.0.0.1:{gateway.port}",)


def is_prefix(data: bytes) -> bool:
    """Return whether `backends.stream` starts with ``data``."""
    return data == b"".join(itertools.repeat(BLOCK, len(data) // len(BLOCK) + 1))[: len(data)]


def test_client_that_leaves_while_the_backend_is_stuck_has_sent_everything(gateway: GatewayProcess) -> None:
    """It sends, closes, and hangs up before the backend reads a byte; the backend gets it all, and FIN."""
    with backend(wait_and_receive) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            send_all(client, QUEUED)
        # The client's socket is closed now, its Close frame not even answered.
        assert server.received == 0
        server.go.set()
        assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (QUEUED, digest(QUEUED))


@pytest.mark.parametrize("size", [1, 64 * 1024])
def test_message_and_close_in_the_handshakes_segment_arrive(gateway: GatewayProcess, size: int) -> None:
    """Nothing is lost although the client has closed before the backend is dialled."""
    along = pack(BINARY, BLOCK[:size]) + CLOSE_1000
    with backend(Backend.receive) as server:
        with WebSocketClient(gateway.port, server.query, along=along) as client:
            assert client.receive().opcode == CLOSE
            assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (size, digest(size))


def test_what_follows_a_close_frame_is_not_delivered(gateway: GatewayProcess) -> None:
    """RFC 6455 §5.5.1: nothing may be sent after it."""
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send_raw(pack(BINARY, b"before") + CLOSE_1000 + pack(BINARY, b"after"))
        assert server.wait_for_end() == "eof"
    assert server.received == len(b"before")


def test_reset_is_reported_within_a_second(gateway: GatewayProcess) -> None:
    """A client that has read everything gets its Close frame at once."""
    reset_at: list[float] = []

    def send_and_reset(server: Backend) -> None:
        server.send(3 * MiB)
        server.wait()
        reset_at.append(time.monotonic())
        server.reset()

    with backend(send_and_reset) as server, WebSocketClient(gateway.port, server.query) as client:
        assert is_prefix(client.read(3 * MiB))
        server.go.set()
        close = client.expect_close()
        assert time.monotonic() - reset_at[0] < 1
        assert close.code == 1011
        assert close.reason.startswith("backend-reset: ")


@pytest.mark.slow
@pytest.mark.parametrize("client_writes", [False, True], ids=["seen when read", "seen when written"])
def test_reset_while_the_client_is_stuck_leaves_a_prefix(tmp_path: Path, client_writes: bool) -> None:
    """All that waited in the gateway is delivered when the client reads on, then Close 1011."""

    def send_until_reset(server: Backend) -> None:
        server.connection.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                server.connection.sendall(BLOCK)
        server.reset()
        server.ended.set()

    with gateway_process(tmp_path, *LOOPBACK, "--high-water", str(HIGH_WATER)) as gateway:
        with backend(send_until_reset) as server, WebSocketClient(gateway.port, server.query) as client:
            assert server.ended.wait(DEADLINE)
            if client_writes:
                client.send(b"x")
            data = b"".join(client.messages())
            assert client.closed.code == 1011
    assert len(data) > HIGH_WATER
    assert is_prefix(data)


@pytest.mark.slow
def test_client_that_leaves_a_long_echo_unread_has_sent_everything(tmp_path: Path) -> None:
    """A page: what comes back after its Close frame, more than all buffers can hold, is discarded."""
    size = 2 * HIGH_WATER
    with gateway_process(tmp_path, *LOOPBACK, "--high-water", str(HIGH_WATER)) as gateway:
        with backend(echo) as server:
            with WebSocketClient(
                gateway.port, server.query, headers=page_of(gateway), receive_buffer=32 * 1024
            ) as client:
                send_all(client, size)
                # A backend that was stuck would be reset instead.
                assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (size, digest(size))


def test_backend_sees_fin_when_the_client_closes(gateway: GatewayProcess) -> None:
    """Its Close frame is answered, and both TCP connections end by FIN within a second."""
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send(b"x")
        until(lambda: server.received == 1)
        client.close(4321)
        assert client.receive().opcode == CLOSE
        assert server.wait_for_end(1) == "eof"
        assert client.socket.recv(1) == b""


def _terminate(gateway: GatewayProcess) -> None:
    gateway.process.terminate()
    gateway.wait_for_log("Received SIGTERM")


@pytest.mark.slow
def test_sigterm_delivers_what_waits_for_a_slow_client(tmp_path: Path) -> None:
    """All that it had queued, in order, then Close 1001, and the process ends."""

    with gateway_process(tmp_path, *LOOPBACK, "--high-water", str(HIGH_WATER)) as gateway:
        with backend(send_until_lost) as server, WebSocketClient(gateway.port, server.query) as client:
            until_still(lambda: server.sent)
            _terminate(gateway)
            data = b"".join(client.messages())
            assert client.closed.code == 1001
            assert len(data) > HIGH_WATER
            assert is_prefix(data)
        assert gateway.process.wait(DEADLINE) == -signal.SIGTERM


@pytest.mark.slow
def test_sigterm_delivers_what_waits_for_a_slow_backend(tmp_path: Path) -> None:
    """All that the client sent before it answered the Close frame, then FIN."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        with backend(wait_and_receive) as server, WebSocketClient(gateway.port, server.query) as client:
            piece = pack(BINARY, BLOCK)
            for _ in range(3):
                client.send_raw(piece)
            until_still(lambda: client.sent)
            _terminate(gateway)
            assert client.receive().opcode == CLOSE
            client.close(1001)
            server.go.set()
            assert server.wait_for_end() == "eof"
        assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
    assert (server.received, server.sha.hexdigest()) == (3 * len(BLOCK), digest(3 * len(BLOCK)))


@pytest.mark.slow
def test_sigterm_during_a_dial_does_not_wait_for_it(tmp_path: Path) -> None:
    """The client gets Close 1001, long before the connection would time out."""
    with gateway_process(tmp_path, *LOOPBACK, "--connect-timeout", "30") as gateway:
        with silent_port() as port, WebSocketClient(gateway.port, f"host=127.0.0.1&port={port}") as client:
            began = time.monotonic()
            _terminate(gateway)
            assert client.expect_close().code == 1001
            assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
            assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.parametrize("stuck", ["client", "backend"])
def test_sigterm_does_not_wait_endlessly(
    tmp_path: Path, stuck: str, record_property: Callable[[str, object], None]
) -> None:
    """A peer that never reads again is reset after half a minute."""

    def serve(server: Backend) -> None:
        server.connection.settimeout(STALL)
        if stuck == "client":
            send_until_lost(server)
        else:
            server.go.wait(STALL)

    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        with backend(serve) as server, WebSocketClient(gateway.port, server.query) as client:
            client.socket.settimeout(STALL)
            if stuck == "client":
                until_still(lambda: server.sent)
            else:
                sender = threading.Thread(target=_send_messages_until_lost, args=(client,))
                sender.start()
                until_still(lambda: client.sent)
            began = time.monotonic()
            _terminate(gateway)
            assert gateway.process.wait(STALL) == -signal.SIGTERM
            took = round(time.monotonic() - began, 1)
            if stuck == "backend":
                sender.join(DEADLINE)
                server.go.set()
        record_property(f"sigterm_stuck_{stuck}_seconds", took)
        print(f"SIGTERM with a stuck {stuck}: the process ended after {took} s")
        assert took < 65


@pytest.mark.slow
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends_at_once(tmp_path: Path, second: signal.Signals) -> None:
    """Although a client that never reads could hold up the first for half a minute."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        with backend(send_until_lost) as server, WebSocketClient(gateway.port, server.query):
            until_still(lambda: server.sent)
            _terminate(gateway)
            time.sleep(0.2)
            assert gateway.process.poll() is None
            began = time.monotonic()
            gateway.process.send_signal(second)
            assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
            assert time.monotonic() - began < 3
        assert f"received {second.name} again: resetting all tunnels" in gateway.log


def _send_messages_until_lost(client: WebSocketClient) -> None:
    piece = pack(BINARY, BLOCK)
    with contextlib.suppress(ConnectionError):
        while True:
            client.send_raw(piece)


def test_refused_upgrade_leaves_no_connection(gateway: GatewayProcess) -> None:
    """A blocked target is never dialled: its listener sees no connection."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        with WebSocketClient(gateway.port, f"host=127.0.0.2&port={port}") as client:
            assert client.expect_close().code == 4403
        with pytest.raises(BlockingIOError):
            listener.accept()


def answer(size: int) -> Callable[[Backend], None]:
    """Make a server that reads to the end, then sends `backends.stream`, and closes."""

    def serve(server: Backend) -> None:
        server.receive()
        send_and_close(size)(server)

    return serve


@pytest.mark.parametrize("size", [0, 10_000, 10_000_000])
@pytest.mark.parametrize("times", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_program_that_closes_after_its_request_gets_the_whole_answer(
    gateway: GatewayProcess, size: int, times: int
) -> None:
    """A Close frame without an Origin ends one direction; the reply comes behind the answer, every time."""
    for _ in range(times):
        with backend(answer(size)) as server, WebSocketClient(gateway.port, server.query) as client:
            client.send(b"request")
            client.close(1000)
            received, sha = receive_all(client)
            assert (received, sha) == (size, digest(size))
            assert client.closed.code == 1000
            assert server.received == len(b"request")
            assert client.socket.recv(1) == b"", "the gateway closes TCP"


@pytest.mark.slow
def test_page_is_answered_at_once_and_frees_its_place(tmp_path: Path) -> None:
    """Although its backend never stops sending, and others than pages are given minutes for that."""
    options = ("--max-tunnels", "1", "--close-grace", "300")
    with gateway_process(tmp_path, *LOOPBACK, *options) as gateway:
        with backend(send_until_lost) as server:
            with WebSocketClient(gateway.port, server.query, headers=page_of(gateway)) as client:
                client.receive()
                began = time.monotonic()
                client.close(1000)
                for _ in client.messages():
                    pass
                assert client.closed.code == 1000
                assert time.monotonic() - began < DEADLINE
        gateway.wait_for_log("closed: the client closed")
        with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
            client.close()
            assert client.expect_close().code == 1000


@pytest.mark.slow
def test_program_is_answered_when_the_grace_is_over(tmp_path: Path) -> None:
    """If its backend never stops sending, with a code that says so."""
    with gateway_process(tmp_path, *LOOPBACK, "--close-grace", "1") as gateway:
        with backend(send_until_lost) as server, WebSocketClient(gateway.port, server.query) as client:
            client.receive()
            began = time.monotonic()
            client.close(1000)
            data = b"".join(client.messages())
            assert 1 <= time.monotonic() - began < 10
            assert (client.closed.code, client.closed.reason.partition(":")[0]) == (1011, "grace-over")
            assert len(data) > 0
        gateway.wait_for_log("timed out: the backend was still sending 1 seconds after it got FIN")


@pytest.mark.slow
def test_echo_of_the_demo_is_complete_after_a_close_frame(tmp_path: Path) -> None:
    """1 MB through websocat, as in the README."""
    data = os.urandom(1_000_000)
    with gateway_process(tmp_path, "--demo") as gateway:
        url = gateway.wait_for_log(r"demo echo on 127\.0\.0\.1:\d+, try (ws://\S+)")[1]
        for _ in range(5):
            done = subprocess.run(
                [need("websocat"), "-b", url], input=data, capture_output=True, timeout=DEADLINE, check=True
            )
            assert done.stdout == data


def test_websocat_gets_the_response_to_an_http_request(gateway: GatewayProcess) -> None:
    """``printf 'GET / HTTP/1.0\\r\\n\\r\\n' | websocat -b`` prints all of it."""
    with backend(answer(100_000)) as server:
        url = f"ws://127.0.0.1:{gateway.port}/api/connect?{server.query}"
        done = subprocess.run(
            [need("websocat"), "-b", url],
            input=b"GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
    assert (len(done.stdout), is_prefix(done.stdout)) == (100_000, True)


@pytest.mark.slow
def test_slow_client_that_pings_gets_everything(gateway: GatewayProcess) -> None:
    """Over half a minute after the backend has ended, at 100 kB a second; then Close 1000, and no reset."""
    size = 6 * MiB
    with backend(send_and_close(size)) as server:
        with WebSocketClient(gateway.port, server.query, receive_buffer=16 * 1024) as client:
            client.socket.settimeout(0.1)
            data, began, pinged = bytearray(), time.monotonic(), time.monotonic()
            while not data.endswith(b"\x88\x02\x03\xe8"):
                if time.monotonic() - pinged > 4:
                    pinged = time.monotonic()
                    client.send_raw(pack(PING, b"here"))
                with contextlib.suppress(TimeoutError):
                    piece = client.socket.recv(10_000)
                    assert piece, "no end without a Close frame"
                    data += piece
                time.sleep(0.1)
            assert time.monotonic() - began > 40
            client.close(1000)
            client.socket.settimeout(DEADLINE)
            assert client.socket.recv(1) == b""
    gateway.wait_for_log(rf"\(0 bytes up, {size} bytes down, 0 bytes undelivered\)")


@pytest.mark.slow
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "reads nothing"])
def test_sigterm_waits_5_seconds_for_a_mute_client(tmp_path: Path, reads: bool) -> None:
    """Its kernel has everything; it answers nothing."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
            client.send(b"x")
            assert client.receive().payload == b"x"
            began = time.monotonic()
            _terminate(gateway)
            if reads:
                assert client.receive().opcode == CLOSE
            assert gateway.process.wait(DEADLINE) == -signal.SIGTERM
            took = time.monotonic() - began
            print(f"SIGTERM with a mute client: the process ended after {took:.1f} s")
            assert 4 < took < 9
