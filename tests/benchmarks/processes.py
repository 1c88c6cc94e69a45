"""Processes that end when their block does: also after errors, and on Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_END_SECONDS = 5


def exit_on_signals() -> None:
    """Let the signals that ask a program to end raise `SystemExit`, so that all blocks clean up."""
    for number in _SIGNALS:
        signal.signal(number, _exit)


@contextmanager
def running_process(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process in a process group of its own, and end the group when the block ends.

    Args:
        command: its words.
        options: those of `subprocess.Popen`.
    """
    with ExitStack() as stack:
        with _delayed_signals():
            process = subprocess.Popen(command, start_new_session=True, **options)
            stack.callback(_end_group, process)
        yield process


@contextmanager
def _delayed_signals() -> Iterator[None]:
    """Delay signals until the block ends."""
    arrived: list[int] = []
    handlers = {each: signal.signal(each, lambda number, frame: arrived.append(number)) for each in _SIGNALS}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
        for number in arrived:
            signal.raise_signal(number)


def _end_group(process: subprocess.Popen[Any]) -> None:
    """End a process and its children, by force if they do not end on request."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _exit(number: int, frame: FrameType | None) -> None:
    """Raise `SystemExit`, and ignore further signals while everything is cleaned up."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
