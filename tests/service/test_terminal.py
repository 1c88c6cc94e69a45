"""A process knows whether its terminal is still there."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

from portofcall.service import terminal
from portofcall.service.terminal import has_terminal

#: Loads the function alone: importing the package takes a second.
LOAD = f"import runpy; has_terminal = runpy.run_path({terminal.__file__!r})['has_terminal']"


def test_terminal_is_there_until_its_other_end_is_closed() -> None:
    """Seen by a process that leads a session on it; one without a terminal never has one."""
    code = (
        "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])\n"
        f"{LOAD}\n"
        "print(has_terminal(), file=sys.stderr, flush=True)\n"
        "signal.sigwait([signal.SIGHUP]); print(has_terminal(), file=sys.stderr, flush=True)"
    )
    read, write = os.pipe()
    child, master = pty.fork()
    if not child:
        os.dup2(write, 2)
        os.execv(sys.executable, [sys.executable, "-c", code])
    os.close(write)
    with open(read, encoding="ascii") as said:
        assert said.readline() == "True\n"
        os.close(master)
        assert said.readline() == "False\n"
    with suppress(ChildProcessError):
        os.waitpid(child, 0)
    done = subprocess.run(
        [sys.executable, "-c", f"{LOAD}; print(has_terminal())"],
        start_new_session=True,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.stdout == b"False\n"


def test_terminal_counts_as_there_if_that_cannot_be_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor to spare."""

    def full(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", full)
    assert has_terminal()
