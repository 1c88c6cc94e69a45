"""The WebSocket end of a tunnel, and the factory that makes it."""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IProducer, IPushProducer
from zope.interface import implementer

from portofcall.limits.values import Limits
from portofcall.relay.direct_read import Readiness
from portofcall.relay.interfaces import Buffer, ClientEvents, IClientEnd
from portofcall.websocket.frames import binary_header
from portofcall.websocket.protocol import WebSocketProtocol, WebSocketProtocolFactory

#: Begins a tunnel with a client's end.
Begin = Callable[[IClientEnd], ClientEvents]


@implementer(IClientEnd)
class WebSocketEnd(WebSocketProtocol):
    """Reports to its tunnel what the client does, and obeys.

    Args:
        begin: begins the tunnel, once the handshake is done; returns what this end reports to.
        give_up: called instead of that if the connection is lost before.

    Attributes:
        most_bytes: of a message that is sent; what is larger is split.
    """

    factory: "WebSocketFactory"
    most_bytes: int

    def __init__(self, begin: Begin, give_up: Callable[[], None]) -> None:
        super().__init__()
        self._begin = begin
        self._give_up = give_up

    # What the conversation reports

    def opened(self) -> ClientEvents:
        """Begin the tunnel."""
        return self._begin(self)

    def gone(self) -> None:
        """Report it to the tunnel, if there is one."""
        if self.events is None:
            self._give_up()
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


class WebSocketFactory(WebSocketProtocolFactory):
    """Makes the client ends of tunnels.

    Args:
        limits: of messages and frames.
        reactor: the clock.
        readiness: of that reactor, for the connections of clients.
    """

    def __init__(self, *, limits: Limits, reactor: Any, readiness: Readiness) -> None:
        super().__init__(limits=limits, reactor=reactor)
        self.readiness = readiness
        self._end: type[WebSocketEnd] = type(
            "WebSocketEnd", (WebSocketEnd,), {**self.options(), "most_bytes": limits.max_message_bytes}
        )

    def build(self, begin: Begin, give_up: Callable[[], None]) -> WebSocketEnd:
        """Make the end of one tunnel; see `WebSocketEnd`."""
        return self._end(begin, give_up)
