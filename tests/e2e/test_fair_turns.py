"""Somebody types while others copy: neither waits long for the other."""

import contextlib
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backends import MiB, backend, echo, send_until_lost
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process
from tests.e2e.wsclient import BINARY, CLOSE, WebSocketClient, pack

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MESSAGE = bytes(range(64))
_SECONDS = 1.0
_TRIES = 5


class Copy:
    """A tunnel through which as much comes down as can.

    Attributes:
        received: how many bytes have arrived.
    """

    def __init__(self, client: WebSocketClient) -> None:
        self.received = 0
        self._socket = client.socket
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        buffer = bytearray(MiB)
        with contextlib.suppress(OSError):
            while size := self._socket.recv_into(buffer):
                self.received += size

    def rate(self) -> float:
        """Measure how many bytes arrive per second, for a while."""
        received, began = self.received, time.monotonic()
        time.sleep(_SECONDS)
        return (self.received - received) / (time.monotonic() - began)

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()


@contextlib.contextmanager
def copying(gateway: GatewayProcess) -> Iterator[Copy]:
    """Have one more such tunnel."""
    with backend(send_until_lost) as server, WebSocketClient(gateway.port, server.query) as client:
        copy = Copy(client)
        try:
            yield copy
        finally:
            copy.stop()


@contextlib.contextmanager
def chatting(gateway: GatewayProcess, tunnels: int) -> Iterator[None]:
    """Send small messages through tunnels, in each the next one as soon as the one before has come back."""
    over = threading.Event()

    def chat(clients: list[WebSocketClient]) -> None:
        while not over.is_set():
            for client in clients:
                client.send(MESSAGE)
            for client in clients:
                assert client.read(len(MESSAGE)) == MESSAGE

    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(tunnels):
            server = stack.enter_context(backend(echo))
            clients.append(stack.enter_context(WebSocketClient(gateway.port, server.query)))
        thread = threading.Thread(target=chat, args=(clients,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            for client in clients:
                say_goodbye(client)


def say_goodbye(client: WebSocketClient) -> None:
    """Close a tunnel as a client should."""
    client.close()
    assert client.receive().opcode == CLOSE


def round_trip(client: WebSocketClient) -> float:
    """Measure the median time of an echo."""
    times = []
    packed = pack(BINARY, MESSAGE)
    for _ in range(200):
        began = time.perf_counter()
        client.socket.sendall(packed)
        assert client.read(len(MESSAGE)) == MESSAGE
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def test_stream_of_small_messages_leaves_half_of_its_rate_to_a_copy(tmp_path: Path) -> None:
    """Other programs disturb both measurements, so the best of a few tries counts."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway, copying(gateway) as copy:
        shares = []
        for _ in range(_TRIES):
            alone = copy.rate()
            with chatting(gateway, 8):
                shares.append(copy.rate() / alone)
            if shares[-1] >= 0.5:
                break
        assert max(shares) >= 0.5, shares


def test_copies_leave_small_messages_their_turn(tmp_path: Path) -> None:
    """An echo beside eight copies takes a millisecond or two, not what all eight need for their turns."""
    with (
        gateway_process(tmp_path, *LOOPBACK) as gateway,
        backend(echo) as server,
        WebSocketClient(gateway.port, server.query) as client,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(8):
            stack.enter_context(copying(gateway))
        times = []
        for _ in range(_TRIES):
            times.append(round_trip(client))
            if times[-1] < 2e-3:
                break
        say_goodbye(client)
        assert min(times) < 2e-3, times
