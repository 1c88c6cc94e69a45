"""The WebSocket end of a tunnel, and the factory that makes such ends."""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IProducer, IPushProducer
from zope.interface import implementer

from portofcall.limits.values import Limits
from portofcall.relay.delivery import Progress
from portofcall.relay.interfaces import Buffer, ClientEvents, IClientEnd
from portofcall.relay.readiness import Readiness
from portofcall.websocket.autobahn_internals import connection_attributes
from portofcall.websocket.frames import binary_header
from portofcall.websocket.half_close import CONNECTED
from portofcall.websocket.protocol import WebSocketProtocol, WebSocketProtocolFactory

#: Begins a tunnel for a client's end.
Begin = Callable[[IClientEnd], ClientEvents]


@implementer(IClientEnd)
class WebSocketEnd(WebSocketProtocol):
    """Reports to its tunnel what the client does, and obeys.

    Args:
        begin: begins the tunnel once the handshake is done; returns the receiver of the client's events.
        give_up: called instead if the connection is lost before that.

    Attributes:
        most_bytes: the largest payload of a message that is sent; more is split.
    """

    factory: "WebSocketFactory"
    most_bytes: int

    def __init__(self, begin: Begin, give_up: Callable[[], None]) -> None:
        super().__init__()
        self._begin = begin
        self._give_up = give_up

    # The connection reports

    def opened(self) -> ClientEvents:
        """Begin the tunnel."""
        events = self._begin(self)
        # They are used once, and keep much of the request.
        del self._begin, self._give_up
        return events

    def gone(self) -> None:
        """Report to the tunnel, if there is one, that the client's connection is gone."""
        events, self.events = self.events, None
        if events is None:
            self._give_up()
        else:
            events.client_lost()

    # The tunnel calls these (IClientEnd)

    def write(self, data: Buffer) -> None:
        """Send ``data`` as one binary message, or as several if it is larger than `most_bytes`."""
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
        """How many of the bytes written may still wait in the transport."""
        return self.transport.queued_bytes

    @property
    def reads_bulk(self) -> bool:
        """Whether to read as much at a time as there is; see `ISource`."""
        return self.transport.reads_bulk

    @reads_bulk.setter
    def reads_bulk(self, reads_bulk: bool) -> None:
        self.transport.reads_bulk = reads_bulk

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Have ``producer`` paused while the client does not read."""
        self._ping_pong.producer = cast(IPushProducer, producer)
        self.transport.registerProducer(self._ping_pong, streaming)

    def pauseProducing(self) -> None:
        """Stop reading what the client sends."""
        self._incoming.pause()

    def resumeProducing(self) -> None:
        """Read again what the client sends."""
        self._incoming.resume()

    def stopProducing(self) -> None:
        """Close the connection, as its consumer is gone."""
        self.drop()

    @property
    def unacknowledged_bytes(self) -> int:
        """How much of what was written the client has not acknowledged; see `IClientEnd`."""
        delivery = self.transport.delivery
        waiting, last = delivery.unacknowledged_bytes, self.close_frame_bytes
        return 0 if last and waiting <= last + delivery.trailer_bytes else waiting - last

    @property
    def progress(self) -> Progress:
        """What the client has done so far."""
        return self.transport.delivery.progress

    @property
    def control_frames(self) -> int:
        """How many pings and pongs have come; see `IClientEnd`."""
        return self._ping_pong.received

    @property
    def answered_mark(self) -> int:
        """The mark of the last ping that was answered; see `IClientEnd`."""
        return self._ping_pong.mark

    def ping(self, mark: int) -> None:
        """Send a ping with this mark, unless the client does not read."""
        self._ping_pong.ping(mark)

    def report_connected(self) -> None:
        """Report that the backend is connected, to a client that has asked for it."""
        self.sendPong(CONNECTED)

    def finish(self) -> None:
        """Send FIN after everything that was written, and read on, but discard what is read."""
        self._incoming.drop()
        self.unregisterProducer()
        self.transport.loseWriteConnection()

    def abort(self) -> None:
        """Reset the connection now."""
        self._incoming.drop()
        self.transport.abortConnection()


class WebSocketFactory(WebSocketProtocolFactory):
    """Makes the client ends of tunnels.

    Args:
        limits: of messages and frames.
        reactor: the clock.
        readiness: watches the clients' sockets in that reactor.

    Attributes:
        end: the class of the ends.
    """

    end: type[WebSocketEnd] = WebSocketEnd

    def __init__(self, *, limits: Limits, reactor: Any, readiness: Readiness) -> None:
        super().__init__(limits=limits, reactor=reactor)
        self.readiness = readiness
        self._end: type[WebSocketEnd] = type(
            self.end.__name__,
            (self.end,),
            {**connection_attributes(self), "most_bytes": limits.max_message_bytes},
        )

    def build(self, begin: Begin, give_up: Callable[[], None]) -> WebSocketEnd:
        """Make the end of one tunnel; see `WebSocketEnd`."""
        return self._end(begin, give_up)
