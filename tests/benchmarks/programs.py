"""The two C programs that make the load: the client and the backend."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SOURCES = Path(__file__).parent
#: By then a load should long have ended.
_GIVE_UP_SECONDS = 120


class LoadFailed(Exception):
    """A load met something unexpected, such as bytes that were never sent. The message says what."""


class Programs:
    """The compiled programs, and the backend that all contestants connect to. A context manager.

    Args:
        folder: for the compiled programs.

    Attributes:
        backend_port: where the backend listens on 127.0.0.1.
    """

    def __init__(self, folder: Path) -> None:
        for name in ("client", "backend"):
            command = ["cc", "-O2", "-Wall", "-Wextra", "-o", str(folder / name), str(SOURCES / f"{name}.c")]
            subprocess.run(command, check=True)
        self._client = folder / "client"
        self._backend = _start(folder / "backend")
        assert self._backend.stdout is not None
        self.backend_port = int(self._backend.stdout.readline())

    def run(self, load: str, port: int, path: str, *, seconds: float, tunnels: int, size: int) -> Any:
        """Run a load to its end, and return its results.

        Args:
            load: its name in ``client.c``.
            port: where the contestant listens.
            path: of its WebSocket, or "-".
            seconds: how long to measure.
            tunnels: how many at once.
            size: of a message, in bytes.

        Raises:
            LoadFailed: something unexpected happened.
        """
        command = self._command(load, port, path, seconds=seconds, tunnels=tunnels, size=size)
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIVE_UP_SECONDS + seconds, check=False
        )
        if result.returncode:
            raise LoadFailed(f"{load}: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def hold(self, load: str, port: int, path: str, *, tunnels: int) -> "Held":
        """Open tunnels, and keep them open while the `with` block runs. Raises `LoadFailed`."""
        return Held(_start(*self._command(load, port, path, seconds=0, tunnels=tunnels, size=64)))

    def _command(
        self, load: str, port: int, path: str, *, seconds: float, tunnels: int, size: int
    ) -> list[str | Path]:
        numbers = [str(number) for number in (self.backend_port, seconds, tunnels, size)]
        return [self._client, load, str(port), path, *numbers]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._backend)


class Held:
    """Tunnels that a client keeps open until the `with` block ends."""

    def __init__(self, client: subprocess.Popen[str]) -> None:
        self._client = client

    def __enter__(self) -> None:
        assert self._client.stdout is not None
        if self._client.stdout.readline().strip() != "held":
            raise LoadFailed(_end(self._client))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._client)


def _start(*command: str | Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _end(process: subprocess.Popen[str]) -> str:
    """End a program by closing its standard input, and return what it wrote to standard error."""
    try:
        _, words = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        _, words = process.communicate()
    return words.strip()
