"""TCP servers that do just what a test needs, each in a thread of its own, on loopback."""

import hashlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import SSLContext

from tests.e2e.wsclient import DEADLINE

MiB = 1 << 20
GiB = 1024 * MiB
#: Not a multiple of any buffer's size, so that a shift by a buffer would be seen.
BLOCK = os.urandom(MiB + 7)


def stream(size: int) -> Iterator[memoryview]:
    """Yield ``size`` bytes, in pieces."""
    view = memoryview(BLOCK)
    while size:
        piece = view[: min(size, len(view))]
        yield piece
        size -= len(piece)


def digest(size: int) -> str:
    """SHA-256 of what `stream` yields."""
    sha = hashlib.sha256()
    for piece in stream(size):
        sha.update(piece)
    return sha.hexdigest()


class Backend:
    """One connection that a server has accepted, and what its thread does with it.

    Args:
        serve: serves the connection.
        receive_buffer: SO_RCVBUF in bytes; None leaves it to the kernel.
        path: of the UNIX socket to listen on; None means TCP.
        tls: makes the server's side of TLS; None means none.

    Attributes:
        port: where it listens, over TCP.
        sent: how many bytes its `send` has taken.
        received: how many bytes it has read.
        sha: of what it has read.
        ended: set when it has seen the end of what the other side sent.
        end: how that ended: "eof" or the name of the error.
        go: a test sets it to let the thread go on.
    """

    def __init__(
        self,
        serve: Callable[["Backend"], None],
        *,
        receive_buffer: int | None = None,
        path: Path | None = None,
        tls: SSLContext | None = None,
    ) -> None:
        self.sent = self.received = 0
        self.sha = hashlib.sha256()
        self.end = ""
        self.ended = threading.Event()
        self.go = threading.Event()
        self.connection = socket.socket()
        self._tls = tls
        self._listener = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0) if path is None else str(path))
        self._listener.listen(1)
        self._listener.settimeout(DEADLINE)
        self.port: int = self._listener.getsockname()[1] if path is None else 0
        self._serve = serve
        self._thread = threading.Thread(target=self._run)
        self._problem: BaseException | None = None

    @property
    def query(self) -> str:
        """The query of a tunnel to here."""
        return f"host=127.0.0.1&port={self.port}"

    def _run(self) -> None:
        try:
            self.connection.close()
            self.connection = self._listener.accept()[0]
            self.connection.settimeout(DEADLINE)
            if self._tls is not None:
                self.connection = self._tls.wrap_socket(
                    self.connection, server_side=True, suppress_ragged_eofs=False
                )
            self._serve(self)
            if self.end == "eof":
                # Like any server that is done: a gateway waits for that before it answers a Close frame.
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_WR)
        except BaseException as problem:  # noqa: BLE001 - it is raised again where the test sees it
            self._problem = problem

    def start(self) -> None:
        """Start to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Wait until it has served, and raise what went wrong."""
        self.go.set()
        self._thread.join(DEADLINE)
        self.connection.close()
        self._listener.close()
        assert not self._thread.is_alive()
        if self._problem is not None:
            raise self._problem

    # What a serving function does

    def send(self, size: int) -> None:
        """Send `stream`."""
        for piece in stream(size):
            self.connection.sendall(piece)
            self.sent += len(piece)

    def receive(self, most: int | None = None) -> None:
        """Read to the end, or until ``most`` bytes have been read."""
        while most is None or self.received < most:
            try:
                data = self.connection.recv(MiB)
            except OSError as problem:
                self._finish(type(problem).__name__)
                return
            if not data:
                self._finish("eof")
                return
            self.sha.update(data)
            self.received += len(data)

    def reset(self) -> None:
        """End the connection by RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def wait(self) -> None:
        """Wait for the test's word."""
        assert self.go.wait(DEADLINE)

    def wait_for_end(self, seconds: float = DEADLINE) -> str:
        """Wait until the other side has ended what it sends, and tell how."""
        assert self.ended.wait(seconds), f"no end within {seconds} s"
        return self.end

    def _finish(self, end: str) -> None:
        self.end = end
        self.ended.set()


@contextmanager
def backend(
    serve: Callable[[Backend], None],
    *,
    receive_buffer: int | None = None,
    path: Path | None = None,
    tls: SSLContext | None = None,
) -> Iterator[Backend]:
    """Run a backend for one connection; see `Backend`."""
    server = Backend(serve, receive_buffer=receive_buffer, path=path, tls=tls)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def echo(server: Backend) -> None:
    """Send back what comes, one piece at a time, until the end; blocks where the other side does not read."""
    while True:
        data = server.connection.recv(65536)
        if not data:
            break
        server.sha.update(data)
        server.received += len(data)
        server.connection.sendall(data)
        server.sent += len(data)
    server._finish("eof")


def send_and_close(size: int) -> Callable[[Backend], None]:
    """Make a server that sends `stream` and closes."""

    def serve(server: Backend) -> None:
        server.send(size)
        server.connection.close()

    return serve


def wait_and_receive(server: Backend) -> None:
    """Read to the end, but only when the test says so."""
    server.wait()
    server.receive()


@contextmanager
def silent_port() -> Iterator[int]:
    """Give a port of 127.0.0.1 whose backlog is full, so that it never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(address)
                fillers.append(filler)
            yield address[1]
        finally:
            for filler in fillers:
                filler.close()


def closed_port() -> int:
    """Give a port of 127.0.0.1 where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def send_until_lost(server: Backend) -> None:
    """Send `stream` endlessly, counting what the kernel takes, until the connection is lost."""
    with suppress(ConnectionError):
        while True:
            for start in range(0, len(BLOCK), 65536):
                piece = BLOCK[start : start + 65536]
                server.connection.sendall(piece)
                server.sent += len(piece)
