"""Reads a file descriptor of any kind."""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from portofcall.client.descriptors import Descriptor
from portofcall.limits.values import KiB
from portofcall.relay.readiness import Readiness

#: The most that is read at a time while it has to wait in memory.
_READ_BYTES: Final = 64 * KiB


class Input:
    """Reads a descriptor, into the buffer that all direct reads share.

    Args:
        descriptor: open for reading. It is closed at the end.
        reactor: for the turns in which a file is read.
        readiness: watches it.
        received: gets what is read; the buffer is overwritten afterwards. May be replaced.
        ended: called once at the end of the input; with the error if there was one.

    Attributes:
        reads_bulk: see `portofcall.relay.interfaces.ISource`.
        is_terminal: whether it is a terminal.
    """

    def __init__(
        self,
        descriptor: int,
        *,
        reactor: Any,
        readiness: Readiness,
        received: Callable[[memoryview], None],
        ended: Callable[[OSError | None], None],
    ) -> None:
        self.reads_bulk = True
        self._kind = kind = Descriptor(descriptor, os.O_RDONLY)
        self.is_terminal = kind.is_terminal
        self._reactor = reactor
        self._readiness = readiness
        self.received = received
        self._ended = ended
        self._buffer = readiness.buffer
        self._reading = self._closed = False
        self._socket = socket.socket(fileno=os.dup(descriptor)) if kind.is_socket else None
        # Small reads are frequent: a call of C, with its arguments made once.
        self._read_bulk: Callable[[], int] = partial(os.readv, kind.descriptor, [self._buffer])
        if self._socket is not None:
            self._read_bulk = partial(self._socket.recv_into, self._buffer, 0, socket.MSG_DONTWAIT)

    def resume(self) -> None:
        """Read from now on."""
        if self._reading or self._closed:
            return
        self._reading = True
        if self._kind.pollable:
            self._readiness.watch(self._kind.descriptor, self._readable)
        else:
            self._reactor.callLater(0, self._read_file)

    def pause(self) -> None:
        """Read no more for now."""
        if self._reading:
            self._reading = False
            if self._kind.pollable:
                self._readiness.forget(self._kind.descriptor)

    def close(self) -> None:
        """Read no more."""
        if not self._closed:
            self.pause()
            self._closed = True
            if self._socket is not None:
                self._socket.close()
            self._kind.close()

    def _read_less(self) -> int:
        view = self._buffer[:_READ_BYTES]
        if self._socket is not None:
            return self._socket.recv_into(view, 0, socket.MSG_DONTWAIT)
        return os.readv(self._kind.descriptor, [view])

    def _readable(self, _event: int) -> None:
        try:
            size = self._read_bulk() if self.reads_bulk else self._read_less()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if size:
            self.received(self._buffer[:size])
        else:
            self._end(None)

    def _read_file(self) -> None:
        if self._reading:
            self._readable(0)
            if self._reading:
                self._reactor.callLater(0, self._read_file)

    def _end(self, error: OSError | None) -> None:
        self.close()
        self._ended(error)
