"""The server side of a WebSocket connection (RFC 6455)."""

from functools import partial
from typing import Any, NamedTuple

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from portofcall.errors import printable
from portofcall.limits.counters import RateLimit
from portofcall.limits.values import KiB, Limits, Rate
from portofcall.relay.interfaces import Buffer, ClientEvents, IEndTransport
from portofcall.websocket.frames import InPlaceMasker, PlainFrames
from portofcall.websocket.half_close import SUBPROTOCOL
from portofcall.websocket.incoming import Incoming
from portofcall.websocket.messages import MessageConnection
from portofcall.websocket.nvx import MASKER
from portofcall.websocket.opening_response import response
from portofcall.websocket.ping_pong import PingPong
from portofcall.websocket.turns import Turns

#: Whether frames are unmasked in C. In Python it is about 100 times slower.
UNMASKS_FAST: bool = MASKER is not None

_POLICY_VIOLATION = 1008
#: The burst of control frames that is allowed, in seconds at the full rate.
_CONTROL_BURST_SECONDS = 10

#: The most work at a time, in the units of `Turns`: this many plain frames.
_MOST_UNITS = 128
#: What one of Autobahn's frames takes, in plain frames.
_UNITS_PER_FRAME = 8
#: How much to read at a time while Autobahn parses, except in the middle of a large frame.
_SLOW_READ_BYTES = 4 * KiB
#: How long a client that broke the protocol has to read the Close frame.
_DISCARD_SECONDS = 2.0


class Handshake(NamedTuple):
    """An opening handshake that was checked (RFC 6455 §4.2.1).

    Attributes:
        key: the value of Sec-WebSocket-Key.
        protocol: the subprotocol to agree on, if any.
        request_id: the id of the request, for the response.
    """

    key: str
    protocol: str | None
    request_id: str = ""


class WebSocketProtocol(MessageConnection):
    """A client's WebSocket connection, whose messages are passed on piece by piece as they arrive.

    Plain binary messages are parsed by `PlainFrames`. Any other frame is Autobahn's, and so is everything
    that follows until a message could begin, and everything after eof. Autobahn implements the protocol:
    control frames, fragments, UTF-8 of text messages, errors, the closing handshake. Its timers are off.

    Attributes:
        masker: unmasks plain messages; without one they are Autobahn's, too.
    """

    factory: "WebSocketProtocolFactory"
    masker: InPlaceMasker | None = MASKER
    _frames: PlainFrames
    _incoming: Incoming
    _plain = False
    _hanging_up: IDelayedCall | None = None

    def __init__(self) -> None:
        super().__init__()
        self._ping_pong = PingPong(self.sendPing, self.sendPong)
        if self.masker is not None:
            self._frames = PlainFrames(self.masker)
        self._control_frames: RateLimit | None = None

    def opened(self) -> ClientEvents:
        """Return the receiver of the client's events, now that the handshake is done."""
        raise NotImplementedError

    def gone(self) -> None:
        """The connection is over."""
        raise NotImplementedError

    def shake_hands(self, handshake: Handshake) -> None:
        """Answer the opening handshake."""
        self.half_closes = handshake.protocol == SUBPROTOCOL
        self.respond(handshake)
        self.begin()
        self._plain = self.masker is not None

    def respond(self, handshake: Handshake) -> None:
        """Send the response that completes the handshake."""
        self.transport.write(response(*handshake))

    # Twisted calls these

    def makeConnection(self, transport: IEndTransport) -> None:
        """Take the transport of a connection whose handshake is still to be answered."""
        self._incoming = Incoming(transport, self._parse, self.factory.turns)
        super().makeConnection(transport)

    def dataReceived(self, data: Buffer) -> None:
        """Pass on the payloads in ``data``, those of many small messages as one piece."""
        writable = memoryview(bytearray(data)) if isinstance(data, bytes) else data
        if not (self._plain and self._incoming.idle):
            self._incoming.add(writable)
            return
        payload, rest, units = self._frames.take(writable, _MOST_UNITS)
        if payload:
            self._client_sent(payload)
        if rest is not None:
            self._incoming.add(rest, units)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report that the connection is gone, once everything that was read is parsed."""
        self.transport.closed()
        self._incoming.end(partial(super().connectionLost, reason))

    def _parse(self, data: memoryview) -> tuple[memoryview, int]:
        """Parse a little, with whichever parser has its turn."""
        units = 0
        if self._plain:
            payload, rest, units = self._frames.take(data, _MOST_UNITS)
            if payload:
                self._client_sent(payload)
            if rest is None or units == _MOST_UNITS:
                return data[:0] if rest is None else rest, units
            data = rest
        data, frames = self.parse(data, _MOST_UNITS // _UNITS_PER_FRAME)
        self._pass_on()
        if self.over:
            self._incoming.drop()
        self._plain = self.masker is not None and not self.ended and self.is_between_messages
        fast = self._plain or self.frame_left >= _SLOW_READ_BYTES
        self.transport.most_read_bytes = 0 if fast else _SLOW_READ_BYTES
        return data, units + frames * _UNITS_PER_FRAME

    def drop(self) -> None:
        """Close the connection after everything that was written."""
        self._incoming.drop()
        self.unregisterProducer()
        self.transport.loseConnection()

    # Autobahn calls these

    def onOpen(self) -> None:
        """Begin."""
        self.events = self.opened()
        self._client_sent = self.events.client_sent

    def onPing(self, payload: bytes) -> None:
        """Reply, now or when the client reads again."""
        if self._control_frame_is_due():
            self._ping_pong.answer(payload)

    def onPong(self, payload: bytes) -> None:
        """Count it, unless it answers a ping."""
        if not self._ping_pong.take_pong(payload):
            self._control_frame_is_due()

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Check the Close frame as Autobahn does, then report it. `reply` or ``close`` answers it."""
        broken = super().onCloseFrame(code, reasonRaw)
        if self.events is not None and not self.failed:
            self._pass_on()
            self.events.client_closed()
        return broken

    def on_failed(self, reason: str) -> None:
        """Report that the client broke the protocol, and the bytes that it sent before.

        What it still sends is read and discarded for a while: to close over it would reset the connection,
        and the client might not get the Close frame.
        """
        if self.events is not None:
            self._pass_on()
            self.events.client_failed(printable(reason))
        self.transport.loseWriteConnection()
        self._hanging_up = self.factory.reactor.callLater(_DISCARD_SECONDS, self.drop)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Report that the connection is gone."""
        if self._hanging_up is not None and self._hanging_up.active():
            self._hanging_up.cancel()
        self._ping_pong.end()
        self.gone()

    def _control_frame_is_due(self) -> bool:
        """Count a ping or pong, and fail a client that sends too many."""
        per_second = self.factory.limits.control_frames_per_second
        if self._control_frames is None:
            rate = Rate(per_second, per_second * _CONTROL_BURST_SECONDS)
            self._control_frames = RateLimit(rate, now=self.factory.reactor.seconds)
        if not self._control_frames.take(""):
            return True
        self.fail(_POLICY_VIOLATION, f"more than {per_second} control frames per second")
        return False


class WebSocketProtocolFactory(WebSocketServerFactory):
    """The options of WebSocket connections.

    Args:
        limits: of messages and frames.
        reactor: the clock.
    """

    def __init__(self, *, limits: Limits, reactor: Any) -> None:
        super().__init__(reactor=reactor, server="")
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            # Parse nothing after a failure; `AutobahnConnection.fail` drops nothing.
            failByDrop=True,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            echoCloseCodeReason=True,
            allowNullOrigin=True,
        )
        self.limits = limits
        self.turns = Turns(reactor)
