"""websockify and ``portofcall-websockify``, each in a process of its own, with the same command line."""

import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.e2e.wsclient import BINARY, CLOSE, DEADLINE, pack

#: The modules that run them.
THEIRS, OURS = "websockify", "portofcall.websockify"


class Server:
    """One of the two.

    Args:
        module: `THEIRS` or `OURS`.
        folder: where it runs, and where its log is.
        arguments: its command line, in which ``{port}`` stands for the port.
        settings: for `subprocess.Popen`.

    Attributes:
        module: as given.
        port: where it listens on loopback.
        folder: as given.
        process: as it runs.
        started_at: when it was started, in seconds of `time.monotonic`.
    """

    def __init__(self, module: str, folder: Path, *arguments: str, **settings: Any) -> None:
        self.module = module
        self.folder = folder
        self.port = free_port()
        self._log = folder / "log.txt"
        command = [sys.executable, "-m", module]
        command += [argument.format(port=self.port) for argument in arguments]
        self.started_at = time.monotonic()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=log,
                **{"stdin": subprocess.DEVNULL, **settings},
            )

    @property
    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text("utf-8", "replace")

    def wait_for(self, pattern: str) -> str:
        """Wait until what it has written matches; return what matches."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            match = re.search(pattern, self.log)
            if match:
                return match[0]
            assert self.process.poll() is None, self.log
            time.sleep(0.005)
        raise AssertionError(f"no {pattern!r} in:\n{self.log}")

    def wait_until_it_listens(self) -> None:
        """Wait for the line that launchers wait for."""
        self.wait_for("- proxying from .*")

    def exit_status(self) -> int:
        """Wait until it has exited by itself."""
        return self.process.wait(DEADLINE)

    def stop(self) -> None:
        """End it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def free_port() -> int:
    """Return a port that nothing listens on at the moment, on IPv4 and IPv6."""
    with socket.socket(socket.AF_INET6) as found:
        found.bind(("::", 0))
        return int(found.getsockname()[1])


class Client:
    """A WebSocket or HTTP client of one of the two, over a blocking socket.

    Args:
        server: to connect to; a socket that is connected already is used as it is.
        tls: speaks TLS as these settings say; None means plain TCP.
    """

    def __init__(self, server: Server | socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        if isinstance(server, Server):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        else:
            connection = server
            connection.settimeout(5)
        self.socket = tls.wrap_socket(connection, server_hostname="localhost") if tls else connection
        self._buffer = b""
        self._closed: object = "no Close frame"
        self.headers: dict[str, str] = {}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def request(self, method: str, path: str, **headers: str) -> int | str:
        """Send a request; return the status, or ``dropped`` if the connection ends without a response."""
        lines = [f"{method} {path} HTTP/1.1"]
        named = {name if "SSL" in name.upper() else name.replace("_", "-"): headers[name] for name in headers}
        sent = {"Host": "localhost", **named}
        lines += [f"{name}: {value}" for name, value in sent.items()]
        with suppress(OSError):
            self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return "dropped"
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *rest = head.decode("latin-1").split("\r\n")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        if not status_line.startswith("HTTP/"):
            return "dropped"
        return int(status_line.split()[1])

    def upgrade(self, path: str = "/websockify", **headers: str) -> int | str:
        """Ask for a tunnel; return the status."""
        wanted = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        }
        return self.request("GET", path, **{**wanted, **headers})

    def body(self) -> bytes:
        """Return the body of the response."""
        size = int(self.headers["content-length"])
        while len(self._buffer) < size:
            assert self._more(), "the body is complete"
        return self._buffer[:size]

    def send(self, payload: bytes, opcode: int = BINARY, *, fin: bool = True) -> None:
        """Send a frame."""
        self.socket.sendall(pack(opcode, payload, fin=fin))

    def read(self, size: int) -> bytes:
        """Return so many bytes of payload, or fewer if the tunnel ends."""
        data = b""
        while len(data) < size:
            opcode, payload = self.frame()
            if opcode != BINARY:
                self._note(opcode, payload)
                break
            data += payload
        return data

    def frame(self) -> tuple[int | str, bytes]:
        """Return the opcode and the payload of the next frame; ``end`` if the connection is over."""
        if not self._need(2):
            return ("end", b"")
        opcode, length, at = self._buffer[0] & 0x0F, self._buffer[1], 2
        for mark, size in ((126, 2), (127, 8)):
            if self._buffer[1] == mark:
                at += size
                assert self._need(at)
                length = int.from_bytes(self._buffer[2:at])
        assert self._need(at + length)
        payload, self._buffer = self._buffer[at : at + length], self._buffer[at + length :]
        return opcode, payload

    def end(self) -> tuple[bytes, object]:
        """Return what comes until the tunnel ends, and how: code and reason of the Close frame."""
        data = b""
        while self._closed == "no Close frame":
            opcode, payload = self.frame()
            if opcode == "end":
                break
            self._note(opcode, payload)
            if opcode == BINARY:
                data += payload
        return data, self._closed

    def _note(self, opcode: int | str, payload: bytes) -> None:
        if opcode == CLOSE:
            self._closed = (int.from_bytes(payload[:2]), payload[2:].decode())

    def _need(self, size: int) -> bool:
        while len(self._buffer) < size:
            if not self._more():
                return False
        return True

    def _more(self) -> bool:
        try:
            data = self.socket.recv(65536)
        except OSError:
            return False
        self._buffer += data
        return bool(data)


class Targets:
    """TCP and UNIX servers in threads.

    Attributes:
        ended: how connections to ``echo`` ended: is set at the end of each.
    """

    def __init__(self, folder: Path) -> None:
        self._sockets: list[socket.socket] = []
        self.ended = threading.Semaphore(0)
        self.echo = self._listen(self._echo)
        self.greet = self._listen(_greet)
        self.a = self._listen(_named(b"A"))
        self.b = self._listen(_named(b"B"))
        self.ipv6 = self._listen(_named(b"6"), socket.AF_INET6, ("::1", 0))
        self.path = str(folder / "target.sock")
        self._listen(_named(b"U"), socket.AF_UNIX, self.path)
        self.closed = free_port()

    def close(self) -> None:
        """Listen no more."""
        for listening in self._sockets:
            listening.close()

    def _listen(
        self,
        serve: Callable[[socket.socket], None],
        family: socket.AddressFamily = socket.AF_INET,
        address: Any = ("127.0.0.1", 0),
    ) -> int:
        listening = socket.socket(family)
        listening.bind(address)
        listening.listen()
        self._sockets.append(listening)
        threading.Thread(target=_accept, args=(listening, serve), daemon=True).start()
        return 0 if family == socket.AF_UNIX else int(listening.getsockname()[1])

    def _echo(self, connection: socket.socket) -> None:
        _named(b"")(connection)
        self.ended.release()


def _accept(listening: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    with suppress(OSError):
        while True:
            threading.Thread(target=run, args=(listening.accept()[0],), daemon=True).start()


def _named(name: bytes) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        if name:
            connection.sendall(name)
        with suppress(ConnectionError):
            while data := connection.recv(65536):
                connection.sendall(data)

    return serve


def _greet(connection: socket.socket) -> None:
    connection.sendall(b"hello")


@contextmanager
def pair(folder: Path, line: str) -> Iterator[tuple[Server, Server]]:
    """Run both programs with the same command line, until both listen.

    Args:
        folder: for their logs and their working directories; is made.
        line: the command line; ``{port}`` stands for the port.
    """
    started: list[Server] = []
    try:
        for module in (THEIRS, OURS):
            place = folder / module
            place.mkdir(parents=True)
            started.append(Server(module, place, *line.split()))
        for server in started:
            server.wait_until_it_listens()
        theirs, ours = started
        yield theirs, ours
    finally:
        for server in started:
            server.stop()
