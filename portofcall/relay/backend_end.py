"""The TCP end of a tunnel."""

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.relay.delivery import Progress
from portofcall.relay.direct_transport import direct_transport
from portofcall.relay.interfaces import BackendEvents, Buffer, IEndTransport
from portofcall.relay.readiness import Readiness
from portofcall.relay.socket_options import set_options


@implementer(IHalfCloseableProtocol)
class BackendEnd(Protocol):
    """Reports what the backend does, and obeys.

    It keeps no state of the tunnel: each method is one operation on a TCP connection. Bytes for the backend
    are written to `transport`, by the chain that is registered as its producer.

    Args:
        readiness: watches sockets in the reactor of the connection.

    Attributes:
        events: receives the events. Set before the reactor runs again after the connection opened; never, if
            the connection can't be used.
    """

    transport: IEndTransport
    events: BackendEvents

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness
        self._finished = False

    @property
    def unacknowledged_bytes(self) -> int:
        """How much of what was written the backend has not acknowledged; not what ends a TLS stream."""
        delivery = self.transport.delivery
        waiting = delivery.unacknowledged_bytes
        return 0 if self._finished and waiting <= delivery.trailer_bytes else waiting

    @property
    def is_exact(self) -> bool:
        """Whether that is exact, and not an upper bound."""
        return self.transport.delivery.is_exact

    @property
    def failed(self) -> bool:
        """Whether the connection was reset, or timed out, and that may not be reported, as it is not read."""
        return self.transport.delivery.failed

    @property
    def progress(self) -> Progress:
        """What the backend has done so far."""
        return self.transport.delivery.progress

    def connectionMade(self) -> None:
        """Set the socket's options, and start reading.

        Raises:
            OSError: the socket can't be watched.
        """
        set_options(self.transport)
        self.transport = direct_transport(self.transport, self._readiness, self.dataReceived)
        self.transport.resumeProducing()

    def dataReceived(self, data: Buffer) -> None:
        """Report bytes from the backend."""
        self.events.backend_sent(data)

    def readConnectionLost(self) -> None:
        """Report the backend's FIN."""
        self.events.backend_ended()

    def writeConnectionLost(self) -> None:
        """Do nothing: our FIN was sent, as asked for."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection."""
        self.transport.closed()
        if hasattr(self, "events"):
            events = self.events
            # Or the two would keep each other alive.
            del self.events
            events.backend_lost(reason)

    def finish(self) -> None:
        """Send FIN after everything that was written; the backend may go on sending."""
        self._finished = True
        self.transport.loseWriteConnection()

    def drop(self) -> None:
        """Close both directions after everything that was written."""
        self.transport.loseConnection()

    def abort(self) -> None:
        """Reset the connection now."""
        self.transport.abortConnection()
