"""HTTP/1.1 with fair turns: one request of a connection per turn of the reactor.

Twisted's `HTTPChannel` serves all requests of a read in one turn of the reactor, and reads on while responses
pile up in memory because the client does not read them. Both starve all other connections.
"""

from typing import Any, Final, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from portofcall.limits.values import KiB

#: How much is parsed at a time. The parser copies what is behind a line, and does not stop within a body.
_STEP_BYTES: Final = 1 * KiB
#: How much a client may send ahead before it is read no more. It has to be read to notice that it leaves.
_MOST_AHEAD_BYTES: Final = 16 * KiB


class PacedChannel(HTTPChannel):
    """Serves the next request in another turn than the last, and when its client has read the responses.

    Args:
        clock: for turns.
    """

    transport: Any

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__()
        self._clock = clock
        self._ahead = b""
        self._answering = False
        self._client_reads = True
        self._turn: IDelayedCall | None = None

    def dataReceived(self, data: bytes) -> None:
        """Parse what the client sends, up to the end of a request; the rest waits."""
        self._ahead += data
        self._read_no_more_than_ahead()
        while self._ahead and not self.paused and not self._answering:
            piece, self._ahead = self._ahead[:_STEP_BYTES], self._ahead[_STEP_BYTES:]
            super().dataReceived(piece)

    def clearLineBuffer(self) -> bytes:
        """Return everything that has not been parsed, and forget it."""
        ahead, self._ahead = self._ahead, b""
        return cast(bytes, super().clearLineBuffer()) + ahead

    def allContentReceived(self) -> None:
        """Serve a request; from now on the client is ahead."""
        self._answering = True
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Go on in another turn."""
        self.paused = True
        ahead, self._ahead = self._ahead, b""
        # This gives back to dataReceived the part that was parsed too far, and it may close.
        super().requestDone(request)
        self._ahead += ahead
        # Twisted reads on now.
        self._read_no_more_than_ahead()
        self._answering = False
        if self.persistent:
            self._turn = self._clock.callLater(0, self._go_on)

    def _read_no_more_than_ahead(self) -> None:
        if (self.paused or self._answering) and len(self._ahead) > _MOST_AHEAD_BYTES:
            self.transport.pauseProducing()

    def _go_on(self) -> None:
        self._turn = None
        if self._client_reads:
            self.paused = False
            ahead = self.clearLineBuffer()
            if ahead:
                self.dataReceived(ahead)
            if not self.paused and not self._answering:
                self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """The client does not read (`IPushProducer`)."""
        self._client_reads = False
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """The client has read everything (`IPushProducer`)."""
        self._client_reads = True
        super().resumeProducing()
        if self.paused and not self._answering and self._turn is None:
            self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self.clearLineBuffer()
        super().connectionLost(reason)
