"""The TCP end of a tunnel."""

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.interfaces import BackendEvents, IStreamTransport
from portofcall.limits import KiB
from portofcall.sendnow import send_now

#: How much is read from a socket at a time: while reads are full, more. Each read costs a turn of the
#: reactor; a large buffer for a small read costs more than that.
_READ_BYTES = 64 * KiB
_BULK_READ_BYTES = 128 * KiB


@implementer(IHalfCloseableProtocol)
class BackendEnd(Protocol):
    """Reports what the backend does, and obeys.

    It keeps no state of the tunnel: each method is one thing that can be done to a TCP connection. Bytes for
    the backend are written to `transport`, by the chain that is registered as its producer.

    Attributes:
        events: who hears of what happens here. Set before the reactor runs again after the connection opened.
    """

    transport: IStreamTransport
    events: BackendEvents
    _socket_transport: Any
    _bulk = False

    def connectionMade(self) -> None:
        """Ask for packets at once, and for a word when the other machine is gone."""
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self._socket_transport = self.transport
        self.transport = send_now(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """Report bytes from the backend, and read more at a time while there is more."""
        self.events.backend_sent(data)
        bulk = len(data) >= _READ_BYTES
        if bulk is not self._bulk:
            self._bulk = bulk
            # How much a transport reads at a time; what it may have queued is its `_SendNow`'s matter.
            self._socket_transport.bufferSize = _BULK_READ_BYTES if bulk else _READ_BYTES

    def readConnectionLost(self) -> None:
        """Report the backend's FIN."""
        self.events.backend_ended()

    def writeConnectionLost(self) -> None:
        """Our FIN has gone out; nothing follows from it."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection."""
        self.events.backend_lost(reason)

    def finish(self) -> None:
        """Send FIN once all that was written is out; the backend may go on sending."""
        self.transport.loseWriteConnection()

    def drop(self) -> None:
        """Close both directions once all that was written is out."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """Reset the connection now."""
        self.transport.abortConnection()
