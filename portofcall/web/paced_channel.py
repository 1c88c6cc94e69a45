"""HTTP/1.1 with fair turns: one request of a connection per turn of the reactor, and few of all together.

Twisted's `HTTPChannel` serves all requests of a read in one turn of the reactor, and reads on while responses
pile up in memory because the client does not read them. Both starve all other connections.
"""

from typing import Any, Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.limits.values import KiB
from portofcall.twisted_internals import HTTPConnection
from portofcall.websocket.turns import UNITS_PER_TURN, Turns

#: How much is parsed at a time. The parser copies what is behind a line, and does not stop within a body.
_PIECE_BYTES: Final = 1 * KiB
#: How much work a piece and a request are; so about 8 requests are served in a turn, for all connections.
_PIECE_UNITS: Final = UNITS_PER_TURN // 32
_REQUEST_UNITS: Final = UNITS_PER_TURN * 3 // 32
#: How much a client may send ahead before it is read no more. It has to be read to notice that it leaves.
_MOST_AHEAD_BYTES: Final = 16 * KiB


class PacedChannel(HTTPConnection):
    """Serves the next request in another turn than the last, and when its client has read the responses.

    Args:
        clock: for turns.
        turns: the budget that all connections share in each of them.
    """

    transport: Any
    _log = Logger()

    def __init__(self, clock: IReactorTime, turns: Turns) -> None:
        super().__init__()
        self._clock = clock
        self._turns = turns
        self._ahead = b""
        self._answering = False
        self._client_reads = True
        self._has_to_wait = False

    def read_at_once(self) -> None:
        """Read what the client has sent along with its connection, without a turn of the reactor in between.

        The end of the connection, and an error, are left to the reactor, which sees them as well.
        """
        if not isinstance(self.transport, Server) or self.transport.TLS:
            return
        try:
            self.transport.doRead()
        except Exception:  # noqa: BLE001 - as the reactor: whatever it is, it ends this connection only
            self._log.failure("could not take what was received")
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Parse what the client sends, up to the end of a request; the rest waits."""
        self._ahead += data
        self._read_no_more_than_ahead()
        while self._ahead and not self.paused and not self._answering:
            if self._turns.left <= 0:
                self.paused = self._has_to_wait = True
                self._turns.wait(self._go_on)
                return
            self._turns.spend(_PIECE_UNITS)
            piece, self._ahead = self._ahead[:_PIECE_BYTES], self._ahead[_PIECE_BYTES:]
            super().dataReceived(piece)

    def clearLineBuffer(self) -> bytes:
        """Return everything that has not been parsed, and forget it."""
        ahead, self._ahead = self._ahead, b""
        return cast(bytes, super().clearLineBuffer()) + ahead

    def allContentReceived(self) -> None:
        """Serve a request; what the client sends meanwhile waits."""
        self._turns.spend(_REQUEST_UNITS)
        self._answering = True
        super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        """Go on in another turn."""
        self.paused = True
        ahead, self._ahead = self._ahead, b""
        # This gives back to dataReceived what came behind the request in the same piece, and it may close.
        super().requestDone(request)
        self._answering = False
        if self.persistent:
            self._ahead = self.clearLineBuffer() + ahead
            # Twisted reads on now.
            self._read_no_more_than_ahead()
            self._has_to_wait = True
            self._clock.callLater(0, self._go_on)

    def _read_no_more_than_ahead(self) -> None:
        if (self.paused or self._answering) and len(self._ahead) > _MOST_AHEAD_BYTES:
            self.transport.pauseProducing()

    def _go_on(self) -> None:
        self._has_to_wait = False
        if not self._client_reads:
            return
        self.paused = False
        ahead, self._ahead = self._ahead, b""
        try:
            if ahead:
                self.dataReceived(ahead)
        except Exception:  # noqa: BLE001 - as the reactor: whatever it is, it ends this connection only
            self._log.failure("could not take what was received")
            self.transport.abortConnection()
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
        if self.paused and not self._answering and not self._has_to_wait:
            self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over."""
        self.clearLineBuffer()
        super().connectionLost(reason)
