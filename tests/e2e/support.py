"""What several end-to-end tests share."""

import hashlib
import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.backends import MiB, closed_port, stream
from tests.e2e.gateway import TWISTD, GatewayProcess
from tests.e2e.wsclient import BINARY, DEADLINE, WebSocketClient, pack


def until(condition: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait until ``condition()`` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server while the test does."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE)


def accepts(port: int) -> bool:
    """Whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def web(folder: Path) -> Iterator[int]:
    """Serve a page; yield the port."""
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("a page\n")
    port, log = closed_port(), folder / "web.log"
    command = [sys.executable, "-u", "-m", "http.server", "-b", "127.0.0.1", "-d", str(folder / "site")]
    with running([*command, str(port)], log):
        until(lambda: "Serving HTTP" in log.read_text())
        yield port


def exchange(port: int, question: bytes) -> bytes:
    """Send a question and FIN to a port of 127.0.0.1; return everything until the end."""
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as program:
        program.settimeout(DEADLINE)
        program.sendall(question)
        program.shutdown(socket.SHUT_WR)
        answer = b""
        while data := program.recv(MiB):
            answer += data
    return answer


def until_still(number: Callable[[], int]) -> int:
    """Wait until ``number()`` has not changed for half a second, and return it."""
    deadline = time.monotonic() + DEADLINE
    last, since = number(), time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        if number() != last:
            last, since = number(), time.monotonic()
    return last


def send_all(client: WebSocketClient, size: int) -> None:
    """Send `stream` as messages, then Close."""
    packed: dict[int, bytes] = {}
    for piece in stream(size):
        if len(piece) not in packed:
            packed[len(piece)] = pack(BINARY, bytes(piece))
        client.send_raw(packed[len(piece)])
    client.close()


def receive_all(client: WebSocketClient) -> tuple[int, str]:
    """Receive everything until the Close frame; return its size and SHA-256."""
    sha, size = hashlib.sha256(), 0
    for message in client.messages():
        sha.update(message)
        size += len(message)
    return size, sha.hexdigest()


def ask(
    gateway: GatewayProcess, method: str, path: str, payload: Any = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send one request; bytes go as they are, anything else as JSON. ``_`` in a header's name is a hyphen."""
    body = payload if isinstance(payload, bytes | None) else json.dumps(payload).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)) as connection:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def twistd(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run twistd until it exits."""
    return subprocess.run(
        [str(TWISTD), *arguments], cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def logged(path: Path, pattern: str) -> re.Match[str]:
    """Wait until a line of a log matches."""
    found: list[re.Match[str]] = []

    def look() -> bool:
        match = re.search(pattern, path.read_text()) if path.exists() else None
        found.extend([match] if match else [])
        return bool(found)

    until(look)
    return found[0]
