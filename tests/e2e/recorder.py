"""A TCP proxy that keeps every byte that it carries."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.e2e.wsclient import DEADLINE, Frame


@dataclass
class Recording:
    """What one connection has carried.

    Attributes:
        up: from the client.
        down: from the server.
    """

    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)

    @property
    def is_websocket(self) -> bool:
        """Whether it was upgraded."""
        return self.down.startswith(b"HTTP/1.1 101 ")


class Recorder:
    """Carries connections to a port of 127.0.0.1 until it is closed.

    Args:
        port: where the server listens.

    Attributes:
        port: where it listens.
        recordings: one for each connection that it has accepted.
    """

    def __init__(self, port: int) -> None:
        self.recordings: list[Recording] = []
        self._server = port
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def websockets(self) -> list[Recording]:
        """Return the connections that were upgraded."""
        return [recording for recording in self.recordings if recording.is_websocket]

    def close(self) -> None:
        """End all connections."""
        for one in (self._listener, *self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._server), DEADLINE)
                server.settimeout(None)
                recording = Recording()
                self.recordings.append(recording)
                self._sockets += [client, server]
                for source, sink, kept in (
                    (client, server, recording.up),
                    (server, client, recording.down),
                ):
                    thread = threading.Thread(target=_carry, args=(source, sink, kept))
                    self._threads.append(thread)
                    thread.start()


def _carry(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            kept += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def recorder(port: int) -> Iterator[Recorder]:
    """Run a recorder, see `Recorder`."""
    running = Recorder(port)
    try:
        yield running
    finally:
        running.close()


def frames(carried: bytes) -> list[Frame]:
    """Take apart what a WebSocket has carried in one direction, unmasked.

    Args:
        carried: the HTTP head, then frames (RFC 6455 §5.2); an incomplete last one is left out.
    """
    found: list[Frame] = []
    at = carried.index(b"\r\n\r\n") + 4
    while at + 2 <= len(carried):
        first, second = carried[at], carried[at + 1]
        at += 2
        length = second & 0x7F
        if length > 125:
            size = 2 if length == 126 else 8
            length = int.from_bytes(carried[at : at + size])
            at += size
        mask = b""
        if second & 0x80:
            mask = carried[at : at + 4]
            at += 4
        if at + length > len(carried):
            break
        payload = carried[at : at + length]
        if mask:
            repeated = (mask * (length // 4 + 1))[:length]
            payload = (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(length)
        found.append(Frame(first & 0x0F, bytes(payload), bool(first & 0x80)))
        at += length
    return found
