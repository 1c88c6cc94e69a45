"""File descriptors of any kind, made ready for a reactor: pipes, terminals, sockets and files.

Standard input and output are shared with other processes, so they are not made non-blocking: a terminal
would stay so, and surprise the shell. Pipes and terminals are opened a second time through /proc, which gives
an open file description of its own; sockets have a flag for each call. Files are always ready.
"""

import fcntl
import os
import select
import stat
from contextlib import suppress
from typing import Final

from portofcall.limits.values import MiB

#: The size of a pipe's own buffer; 64 KiB by default. Each switch between processes moves this much.
_PIPE_BYTES: Final = 1 * MiB


def _open_again(descriptor: int, flags: int) -> int | None:
    """Return a non-blocking descriptor for the same pipe or terminal; None if there is none to have."""
    with suppress(OSError):
        return os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    return None


def _enlarge(descriptor: int) -> None:
    """Enlarge a pipe's buffer, where the system allows it."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


class Descriptor:
    """A descriptor that is read or written without ever waiting for it.

    Args:
        descriptor: open.
        flags: ``O_RDONLY`` or ``O_WRONLY``.

    Attributes:
        descriptor: to watch, and to transfer with.
        is_socket: whether it is a socket.
        is_pipe: whether it is a pipe.
        is_terminal: whether it is a terminal.
        pollable: whether epoll can watch it.
    """

    def __init__(self, descriptor: int, flags: int) -> None:
        mode = os.fstat(descriptor).st_mode
        self.original = descriptor
        self.is_socket, self.is_pipe = stat.S_ISSOCK(mode), stat.S_ISFIFO(mode)
        self.is_terminal = os.isatty(descriptor)
        again = _open_again(descriptor, flags) if self.is_pipe or self.is_terminal else None
        self._blocking_before = again is None and not self.is_socket and os.get_blocking(descriptor)
        self.descriptor = descriptor if again is None else again
        if self.is_pipe:
            _enlarge(descriptor)
        self.pollable = _is_pollable(self.descriptor)
        self._restores = self._blocking_before and self.pollable
        if self._restores:
            os.set_blocking(descriptor, False)

    def close(self) -> None:
        """Close it. The original becomes the null device, so that no other file takes its number."""
        if self._restores:
            os.set_blocking(self.original, True)
        if self.descriptor != self.original:
            os.close(self.descriptor)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, self.original)
        os.close(null)


def _is_pollable(descriptor: int) -> bool:
    with select.epoll() as epoll:
        try:
            epoll.register(descriptor, select.EPOLLIN)
        except PermissionError:
            return False
    return True
