"""The WebSocket end of a tunnel, and the factory that makes it."""

from typing import Any, cast

from twisted.internet.interfaces import IProducer, IPushProducer
from zope.interface import implementer

from portofcall.conversation import Conversation, ConversationFactory
from portofcall.entrance import Visit
from portofcall.frames import binary_header
from portofcall.interfaces import Buffer, ClientEvents, IClientEnd
from portofcall.limits import Limits
from portofcall.readnow import Readiness
from portofcall.tunnels import Query, Tunnels


@implementer(IClientEnd)
class WebSocketEnd(Conversation):
    """Reports to its tunnel what the client does, and obeys.

    Args:
        query: the query of the request, as `twisted.web` parses it.
        visit: who was let in; its place is released when the connection is over.

    Attributes:
        most_bytes: of a message that is sent; what is larger is split.
    """

    factory: "WebSocketFactory"
    most_bytes: int

    def __init__(self, query: Query, visit: Visit) -> None:
        super().__init__()
        self._query = query
        self._visit = visit

    # What the conversation reports

    def opened(self) -> ClientEvents:
        """Begin the tunnel."""
        return self.factory.tunnels.open(self, self._query, self._visit)

    def gone(self) -> None:
        """Tell the tunnel; before there is one, give the place back."""
        if self.events is None:
            self._visit.lease.release()
        else:
            self.events.client_lost()

    # The tunnel calls these (IClientEnd)

    def write(self, data: Buffer) -> None:
        """Send ``data`` as one binary message, or as several if it is too large for one."""
        size, most = len(data), self.most_bytes
        if size <= most:
            self.transport.writeSequence((binary_header(size), data))
            return
        view = memoryview(data)
        for start in range(0, size, most):
            piece = view[start : start + most]
            self.transport.write(b"".join((binary_header(len(piece)), piece)))

    @property
    def queued_bytes(self) -> int:
        """How much of what was written may wait in the transport."""
        return self.transport.queued_bytes

    @property
    def reads_bulk(self) -> bool:
        """Whether all that can be read at a time can go on at once."""
        return self.transport.reads_bulk

    @reads_bulk.setter
    def reads_bulk(self, reads_bulk: bool) -> None:
        self.transport.reads_bulk = reads_bulk

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Have ``producer`` paused while the client does not read."""
        self._pongs.producer = cast(IPushProducer, producer)
        self.transport.registerProducer(self._pongs, streaming)

    def pauseProducing(self) -> None:
        """Stop reading what the client sends."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again what the client sends."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Close the connection, as nobody wants to read it."""
        self.drop()

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame behind all that was written."""
        self.sendCloseFrame(code, reason.encode())

    def drop(self) -> None:
        """Close the connection once all that was written is out."""
        self.unregisterProducer()
        self.transport.loseConnection()

    def abort(self) -> None:
        """Reset the connection now."""
        self.transport.abortConnection()


class WebSocketFactory(ConversationFactory):
    """Makes the client ends of tunnels.

    Args:
        tunnels: begins the tunnels.
        limits: of messages and frames.
        reactor: the clock.
        readiness: of that reactor, for the connections of clients.
    """

    def __init__(self, tunnels: Tunnels, *, limits: Limits, reactor: Any, readiness: Readiness) -> None:
        super().__init__(limits=limits, reactor=reactor)
        self.tunnels = tunnels
        self.readiness = readiness
        self._end: type[WebSocketEnd] = type(
            "WebSocketEnd", (WebSocketEnd,), {**self.options(), "most_bytes": limits.max_message_bytes}
        )

    def build(self, query: Query, visit: Visit) -> WebSocketEnd:
        """Make the end for a client that was let in."""
        return self._end(query, visit)
