"""The body of a response that is read from a file: piece by piece, as fast as the client reads."""

import os
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.delivery import Delivery

#: How much is read from a file, and written to the client, in one turn of the event loop.
PIECE_BYTES: Final = 64 * KiB
#: A client must acknowledge at least this much in this time, or its connection is reset.
LEAST_BYTES: Final = 16 * KiB
STALL_SECONDS: Final = 30.0


def read_exactly(descriptor: int, offset: int, size: int) -> bytes:
    """Read a piece of a file.

    Raises:
        EOFError: the file is shorter by now.
    """
    data = os.pread(descriptor, size, offset)
    if len(data) < size:
        raise EOFError
    return data


def reset(request: Request) -> None:
    """Reset the connection of a request whose response can't be completed, so that its client notices."""
    cast(ITCPTransport, request.channel.transport).abortConnection()


@implementer(IPushProducer)
class FileBody:
    """Sends a part of a file, whose length the head of the response has announced.

    If the file is shorter by now, or the client is too slow, the connection is reset: the client must not
    take a part for the whole.

    Args:
        request: its status and headers are set.
        descriptor: of the file.
        part: the offsets that are sent.
        clock: for turns and the time limit.
        ended: is called once, when nothing more is read, before the request is finished: with ``ok``,
            ``client-lost``, ``client-stalled``, ``file-changed`` or ``file-unreadable``.
    """

    _log = Logger()

    def __init__(
        self,
        request: Request,
        descriptor: int,
        part: range,
        *,
        clock: IReactorTime,
        ended: Callable[[str], None],
    ) -> None:
        self._request = request
        self._descriptor = descriptor
        self._part = part
        self._clock = clock
        self._ended = ended
        self._sent = 0
        self._seen = 0
        self._paused = False
        self._over = False
        self._next: IDelayedCall | None = None
        self._delivery = Delivery(cast(Any, request.channel.transport))
        self._look_later()
        request.notifyFinish().addErrback(lambda _: self._end("client-lost"))
        request.registerProducer(self, streaming=True)
        self._send()

    def pauseProducing(self) -> None:
        """The client does not read (`IPushProducer`)."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The client has read everything (`IPushProducer`)."""
        self._paused = False
        self._send_soon()

    def stopProducing(self) -> None:
        """The connection is over (`IPushProducer`)."""
        self._end("client-lost")

    def _send_soon(self) -> None:
        if self._next is None and not self._over:
            self._next = self._clock.callLater(0, self._send)

    def _send(self) -> None:
        self._next = None
        if self._paused:
            return
        size = min(PIECE_BYTES, len(self._part) - self._sent)
        try:
            data = read_exactly(self._descriptor, self._part[self._sent], size)
        except EOFError:
            self._cut("file-changed")
        except OSError:
            self._log.failure("could not read a file")
            self._cut("file-unreadable")
        else:
            self._sent += size
            self._request.write(data)
            if self._sent == len(self._part):
                self._request.unregisterProducer()
                self._end("ok")
                self._request.finish()
            elif not self._paused:
                self._send_soon()

    def _look_later(self) -> None:
        self._deadline = self._clock.callLater(STALL_SECONDS, self._look)

    def _look(self) -> None:
        delivered = self._sent - self._delivery.unacknowledged_bytes
        if delivered - self._seen < LEAST_BYTES:
            self._cut("client-stalled")
        else:
            self._seen = delivered
            self._look_later()

    def _cut(self, result: str) -> None:
        self._end(result)
        reset(self._request)

    def _end(self, result: str) -> None:
        if self._over:
            return
        self._over = True
        for call in (self._next, self._deadline):
            if call is not None and call.active():
                call.cancel()
        self._ended(result)
