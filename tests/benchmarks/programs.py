"""The two C programs that make the load: the client and the backend."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.security import Security

SOURCES = Path(__file__).parent
#: By then a load should long have ended.
_GIVE_UP_SECONDS = 120
_COMPILE = ("cc", "-O2", "-Wall", "-Wextra", "-pthread")
_WITH_TLS = ("-DTLS",), ("-lssl", "-lcrypto")


class LoadFailed(Exception):
    """A load met something unexpected, such as bytes that were never sent. The message says what."""


class Programs:
    """The compiled programs, and the backend that all contestants connect to. A context manager.

    Args:
        folder: for the compiled programs.
        tls: whether the client has to speak TLS, for which the headers of OpenSSL have to be installed.

    Attributes:
        backend_port: where the backend listens on 127.0.0.1.

    Raises:
        LoadFailed: they cannot be compiled.
    """

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        _compile(folder, "backend")
        _compile(folder, "client", *(_WITH_TLS if tls else ()))
        self._client = folder / "client"
        self._backend = _start(folder / "backend")
        assert self._backend.stdout is not None
        self.backend_port = int(self._backend.stdout.readline())

    def run(
        self,
        load: str,
        port: int,
        path: str,
        *,
        seconds: float,
        tunnels: int,
        size: int,
        security: Security = Security.PLAIN,
        program: Sequence[str | Path] = (),
    ) -> Any:
        """Run a load to its end, and return its results.

        Args:
            load: its name in ``client.c``.
            port: where the contestant listens.
            path: of its WebSocket, or "-".
            security: how to connect.
            seconds: how long to measure.
            tunnels: how many at once.
            size: of a message, in bytes.
            program: started for each tunnel, which is its standard input and output; none for a connection.

        Raises:
            LoadFailed: something unexpected happened.
        """
        command = self._command(
            load, port, path, security=security, seconds=seconds, tunnels=tunnels, size=size
        )
        result = subprocess.run(
            [*command, *program],
            capture_output=True,
            text=True,
            timeout=_GIVE_UP_SECONDS + seconds,
            check=False,
        )
        if result.returncode:
            raise LoadFailed(f"{load}: {result.stderr.strip()}")
        return json.loads(result.stdout)

    def hold(
        self,
        load: str,
        port: int,
        path: str,
        *,
        tunnels: int,
        size: int = 64,
        security: Security = Security.PLAIN,
    ) -> "Held":
        """Open tunnels, and keep them open while the `with` block runs; see `run`. Raises `LoadFailed`."""
        words = self._command(load, port, path, security=security, seconds=0, tunnels=tunnels, size=size)
        return Held(_start(*words))

    def _command(
        self,
        load: str,
        port: int,
        path: str,
        *,
        security: Security,
        seconds: float,
        tunnels: int,
        size: int,
    ) -> list[str | Path]:
        numbers = [str(number) for number in (self.backend_port, seconds, tunnels, size)]
        return [self._client, load, security.value, str(port), path, *numbers]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._backend)


class Held:
    """Tunnels that a client keeps open until the `with` block ends, or until `end`."""

    def __init__(self, client: subprocess.Popen[str]) -> None:
        self._client = client

    def end(self) -> Any:
        """End the load, and return the results of one that keeps tunnels busy. Raises `LoadFailed`."""
        results, errors = _end(self._client)
        if self._client.returncode:
            raise LoadFailed(errors)
        return json.loads(results)

    def __enter__(self) -> Self:
        assert self._client.stdout is not None
        if self._client.stdout.readline().strip() != "held":
            raise LoadFailed(_end(self._client)[1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client.returncode is None:
            _end(self._client)


def _compile(folder: Path, name: str, options: Sequence[str] = (), libraries: Sequence[str] = ()) -> None:
    command = [*_COMPILE, *options, "-o", str(folder / name), str(SOURCES / f"{name}.c"), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_GIVE_UP_SECONDS, check=False)
    if done.returncode:
        raise LoadFailed(f"{' '.join(command)} failed:\n{done.stderr}")


def _start(*command: str | Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """End a program by closing its standard input; return what it wrote to standard output and error."""
    try:
        results, errors = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        results, errors = process.communicate()
    return results.strip(), errors.strip()
