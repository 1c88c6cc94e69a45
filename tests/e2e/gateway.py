"""A ``twistd portofcall`` process, started for a test."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.wsclient import DEADLINE

TWISTD = Path(sys.executable).with_name("twistd")
#: The twistd that gateways run in. CI names that of an installed wheel for the tests of the page.
GATEWAY_TWISTD = Path(os.environ.get("PORTOFCALL_TEST_TWISTD") or TWISTD)
LOOPBACK = ("--allow", "127.0.0.1")


class GatewayProcess:
    """A gateway in a process of its own.

    Args:
        folder: where it runs.
        options: of the command line.
        path: a folder to put on its PYTHONPATH.
        wrapper: a command that runs the gateway's.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        path: Path | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        self._log = folder / "twistd.log"
        command = [str(GATEWAY_TWISTD), "-n", "--pidfile=", "portofcall"]
        if "--listen" not in options:
            command += ["--listen", "tcp:0:interface=127.0.0.1"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*wrapper, *command, *options],
                cwd=folder,
                env=os.environ | ({} if path is None else {"PYTHONPATH": str(path)}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.port = int(self.wait_for_log(r"listening on https?://[0-9.]+:(\d+)")[1])

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text()

    def assert_log_is_clean(self) -> None:
        """Nothing unforeseen has happened in it."""
        assert "Traceback" not in self.log, self.log
        assert "Unhandled" not in self.log, self.log

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """Wait until a line of the log matches."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            match = re.search(pattern, self.log)
            if match:
                return match
            assert self.process.poll() is None, self.log
            time.sleep(0.01)
        raise AssertionError(f"no {pattern!r} in the log:\n{self.log}")

    def rss_kib(self) -> int:
        """Its resident memory, in KiB."""
        return rss_kib(self.process.pid)

    def processor_time(self) -> int:
        """The processor time that its main thread has used, in nanoseconds."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0])

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(DEADLINE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


@contextmanager
def gateway_process(
    folder: Path, *options: str, path: Path | None = None, wrapper: Sequence[str] = ()
) -> Iterator[GatewayProcess]:
    """Run a gateway, see `GatewayProcess`; at the end its log must be free of tracebacks."""
    gateway = GatewayProcess(folder, *options, path=path, wrapper=wrapper)
    try:
        yield gateway
    finally:
        gateway.stop()
    gateway.assert_log_is_clean()


def need(program: str | Path) -> str:
    """Find a program, or skip the test; in CI nothing is skipped."""
    import shutil

    found = shutil.which(str(program), path=f"{TWISTD.parent}:/usr/sbin:{os.environ['PATH']}")
    if found is None:
        assert not os.environ.get("CI"), f"CI has to install {program}"
        pytest.skip(f"{program} is not installed")
    return found


def rss_kib(pid: int) -> int:
    """Return the resident memory of a process, in KiB."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1])
