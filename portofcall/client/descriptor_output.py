"""Writes to a file descriptor of any kind."""

import os
import select
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, cast

from twisted.internet.interfaces import IProducer, IPushProducer, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.client.descriptors import Descriptor
from portofcall.limits.values import KiB
from portofcall.relay.interfaces import Buffer
from portofcall.relay.readiness import Readiness

#: How much may wait before the producer is paused; as in `portofcall.relay.direct_write`.
_BUFFER_BYTES: Final = 64 * KiB


@implementer(IWriteDescriptor)
class Output:
    """Writes to a descriptor at once, and queues only what it does not take.

    Args:
        descriptor: open for writing. It is closed at the end.
        reactor: waits for it to take more.
        readiness: reports that its reader is gone, of a pipe.
        failed: called once, when nothing more can be written.

    Attributes:
        queued_bytes: how much waits.
        written_bytes: how much has been written.
    """

    def __init__(
        self, descriptor: int, *, reactor: Any, readiness: Readiness, failed: Callable[[OSError], None]
    ) -> None:
        self.queued_bytes = self.written_bytes = 0
        self._kind = kind = Descriptor(descriptor, os.O_WRONLY)
        self._reactor = reactor
        self._readiness = readiness
        self._failed = failed
        self._producer: IPushProducer | None = None
        self._paused = self._closed = False
        self._queue: deque[memoryview] = deque()
        self._closing: Callable[[], None] | None = None
        self._socket = socket.socket(fileno=os.dup(descriptor)) if kind.is_socket else None
        self._send: Callable[[Buffer], int] = partial(os.write, kind.descriptor)
        if self._socket is not None:
            connection = self._socket
            self._send = lambda data: connection.send(data, socket.MSG_DONTWAIT)
        if kind.is_pipe:
            readiness.watch(kind.descriptor, self._reader_is_gone)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Have a push producer paused while much waits (`IConsumer`)."""
        self._producer = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        """Release the producer (`IConsumer`)."""
        self._producer = None

    def write(self, data: Buffer) -> None:
        """Write as much of ``data`` as is taken, and queue a copy of the rest."""
        if self._closed:
            return
        if not self._queue:
            try:
                sent = self._send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._fail(error)
                return
            self.written_bytes += sent
            if sent == len(data):
                return
            data = data[sent:]
            self._reactor.addWriter(self)
        self._queue.append(memoryview(bytes(data)))
        self.queued_bytes += len(data)
        if self.queued_bytes > _BUFFER_BYTES and self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def close(self, closed: Callable[[], None]) -> None:
        """Close it once everything is written, then call ``closed``."""
        if self._closed:
            closed()
            return
        self._closing = closed
        if not self._queue:
            self._close()

    def abort(self) -> None:
        """Close it now, and discard what waits."""
        self._closing = None
        self._close()

    # The reactor calls these

    def fileno(self) -> int:
        """Return the descriptor."""
        return -1 if self._closed else self._kind.descriptor

    def logPrefix(self) -> str:
        """Return a name for Twisted's log."""
        return "portofcall"

    def connectionLost(self, reason: Failure) -> None:
        """Note that the reactor has given it up."""
        self._fail(BrokenPipeError())

    def doWrite(self) -> None:
        """Write what waits."""
        while self._queue:
            piece = self._queue[0]
            try:
                sent = self._send(piece)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error)
                return
            self.written_bytes += sent
            self.queued_bytes -= sent
            if sent < len(piece):
                self._queue[0] = piece[sent:]
                return
            self._queue.popleft()
        self._reactor.removeWriter(self)
        if self._closing is not None:
            self._close()
        elif self._paused and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()

    def _reader_is_gone(self, event: int) -> None:
        if event & select.EPOLLERR:
            self._fail(BrokenPipeError())

    def _fail(self, error: OSError) -> None:
        if not self._closed:
            self._closing = None
            self._close()
            self._failed(error)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._queue:
            self._queue.clear()
            self._reactor.removeWriter(self)
        if self._kind.is_pipe:
            self._readiness.forget(self._kind.descriptor)
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._socket.close()
        self._kind.close()
        closing, self._closing = self._closing, None
        if closing is not None:
            closing()
