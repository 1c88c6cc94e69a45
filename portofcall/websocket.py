"""The WebSocket end of a tunnel, and the factory that makes it. The only user of Autobahn."""

from typing import Any, NamedTuple, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket import USES_NVX
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IProducer, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.admission import RateLimit
from portofcall.entrance import Visit
from portofcall.errors import printable
from portofcall.frames import UNMASKS_IN_PLACE, PlainFrames, binary_header
from portofcall.interfaces import Buffer, IClientEnd, IEndTransport
from portofcall.limits import Limits, Rate
from portofcall.pongs import Pongs
from portofcall.readnow import Readiness
from portofcall.tunnel import Tunnel
from portofcall.tunnels import Query, Tunnels

#: The one subprotocol there is: noVNC and websockify call a stream of bytes that.
SUBPROTOCOL = "binary"

#: Whether Autobahn unmasks in C (NVX). In Python it is about a hundred times slower.
UNMASKS_FAST: bool = USES_NVX
#: Whether Autobahn can be told of a handshake without having to parse one.
_SHAKES_HANDS = hasattr(WebSocketServerProtocol, "succeedHandshake")
_UNMASKS_PLAIN = UNMASKS_FAST and UNMASKS_IN_PLACE

_POLICY_VIOLATION, _MESSAGE_TOO_BIG = 1008, 1009
#: How many seconds' worth of control frames may come at once.
_CONTROL_BURST_SECONDS = 10


class Handshake(NamedTuple):
    """An opening handshake that has been checked (RFC 6455 §4.2.1).

    Attributes:
        key: of Sec-WebSocket-Key.
        protocol: the subprotocol to agree on, if any.
    """

    key: str
    protocol: str | None

    def request(self) -> bytes:
        """Write it as a request, with nothing in it but what was checked."""
        lines = ["GET / HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {self.key}"]
        if self.protocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {self.protocol}")
        return "\r\n".join([*lines, "", ""]).encode("ascii")


@implementer(IClientEnd)
class WebSocketEnd(WebSocketServerProtocol):
    """Reports what the client does, and obeys; messages are relayed piece by piece, as they come in.

    Plain binary messages are taken apart by `PlainFrames`. From the first frame on that is anything else it
    is Autobahn's turn, until a frame begins again that could be plain. Autobahn keeps the protocol: control
    frames, fragments, UTF-8 of text messages, what is wrong, the closing handshake. Its timers are off;
    `Tunnel` has the patience.

    Args:
        query: the query of the request, as `twisted.web` parses it.
        visit: who was let in; its place is released when the connection is over.
    """

    factory: "WebSocketFactory"
    transport: IEndTransport
    _tunnel: Tunnel | None = None
    _plain = False
    _most_bytes: int

    def __init__(self, query: Query, visit: Visit) -> None:
        super().__init__()
        self.query = query
        self.visit = visit
        self._pongs = Pongs(self.sendPong)
        self._frames = PlainFrames()
        self._fragments = 0
        self._payloads: list[bytes] = []

    def dataReceived(self, data: Buffer) -> None:
        """Give the tunnel what was read: of many small messages one piece."""
        if self._plain:
            writable = memoryview(bytearray(data)) if isinstance(data, bytes) else data
            payload, rest = self._frames.take(writable)
            if payload:
                self._client_sent(payload)
            if rest is None:
                return
            data = rest
        # Autobahn's own dataReceived formats a line for a log that is off.
        self._dataReceived(bytes(data))
        self._pass_on()
        self._plain = _UNMASKS_PLAIN and self._is_between_messages()

    def _is_between_messages(self) -> bool:
        """Whether Autobahn waits for a message to begin. Where it does not tell, it has the word."""
        try:
            relays = self.state in (self.STATE_OPEN, self.STATE_CLOSING) and not self.failedByMe
            return relays and not (self.data or self.inside_message or self.current_frame)
        except AttributeError:
            return False

    def shake_hands(self, handshake: Handshake) -> None:
        """Answer the opening handshake, and begin the tunnel."""
        if _SHAKES_HANDS:
            self.websocket_version = 13
            self.websocket_protocols = [handshake.protocol or ""]
            self.websocket_extensions: list[Any] = []
            self._wskey = handshake.key
            self.succeedHandshake(handshake.protocol)
        else:
            self._dataReceived(handshake.request())
        self._plain = _UNMASKS_PLAIN and self._is_between_messages()

    # Twisted's and Autobahn's own calls, with less on the way: they look up details of the transport that
    # nobody asks for, and format lines for a log that is off.

    def connectionMade(self) -> None:
        """Begin."""
        self._connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End."""
        self._connectionLost(str(reason.value))

    def _onOpen(self) -> None:
        self.onOpen()

    # Autobahn calls these

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Agree on the subprotocol, if it was offered."""
        return SUBPROTOCOL if SUBPROTOCOL in request.protocols else None

    def onOpen(self) -> None:
        """Begin the tunnel."""
        per_second = self.factory.limits.control_frames_per_second
        rate = Rate(per_second, per_second * _CONTROL_BURST_SECONDS)
        self._control_frames = RateLimit(rate, now=self.factory.reactor.seconds)
        self._tunnel = self.factory.tunnels.open(self, self.query, self.visit)
        self._client_sent = self._tunnel.client_sent

    def onMessageBegin(self, isBinary: bool) -> None:
        """Begin to count: a tunnel carries bytes, not messages, and keeps nothing of them."""
        self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        """Count a frame, however long it will be."""
        self._fragments += 1
        most = self.factory.limits.max_fragments
        if self._fragments > most:
            self._fail(_MESSAGE_TOO_BIG, f"a message may have at most {most} frames")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Pass on a piece of a frame. Bytes that follow a broken frame are not the client's word any more."""
        if payload and not self.failedByMe:
            self._payloads.append(payload)

    def onMessageFrameEnd(self) -> None:
        """Nothing was kept, so nothing is to be done."""

    def onMessageEnd(self) -> None:
        """Nothing was kept, so nothing is to be done."""

    def onPing(self, payload: bytes) -> None:
        """Answer, now or when the client reads again."""
        if self._control_frame_is_due():
            self._pongs.answer(payload)

    def onPong(self, payload: bytes) -> None:
        """Count it; there is nothing to answer."""
        self._control_frame_is_due()

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Answer the Close frame as Autobahn does, then tell the tunnel."""
        broken = super().onCloseFrame(code, reasonRaw)
        if self._tunnel is not None and not self.failedByMe:
            self._pass_on()
            self._tunnel.client_closed()
        return broken

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Send a Close frame; if it is because the client broke the protocol, tell the tunnel."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.failedByMe and self._tunnel is not None:
            self._pass_on()
            self._tunnel.client_failed(printable((reasonUtf8 or b"").decode("utf-8", "replace")))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Tell the tunnel that the connection is gone."""
        self.transport.closed()
        if self._tunnel is None:
            self.visit.lease.release()
        else:
            self._tunnel.client_lost()

    def _pass_on(self) -> None:
        """Give the tunnel what has come: of many small frames one write."""
        payloads, self._payloads = self._payloads, []
        if payloads and self._tunnel is not None:
            self._tunnel.client_sent(payloads[0] if len(payloads) == 1 else b"".join(payloads))

    def _control_frame_is_due(self) -> bool:
        """Count a ping or pong, and fail a client that sends them faster than anybody needs."""
        per_second = self.factory.limits.control_frames_per_second
        if self.failedByMe or not self._control_frames.take(self.visit.client):
            return not self.failedByMe
        self._fail(_POLICY_VIOLATION, f"more than {per_second} control frames per second")
        return False

    def _fail(self, code: int, reason: str) -> None:
        """Fail the connection as Autobahn fails one that breaks the protocol (RFC 6455 §7.1.7)."""
        if not self.failedByMe:
            self.failedByMe = True
            self.sendCloseFrame(code, reason.encode())

    def _closeConnection(self, abort: bool = False) -> None:
        """Close after a finished closing handshake by FIN (RFC 6455 §7.1.1), where Autobahn would reset."""
        super()._closeConnection(abort and not self.wasClean)

    # The tunnel calls these (IClientEnd)

    def write(self, data: Buffer) -> None:
        """Send ``data`` as one binary message, or as several if it is too large for one."""
        size, most = len(data), self._most_bytes
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


def _with_options_of(factory: "WebSocketFactory") -> type[WebSocketEnd]:
    """Make a class of ends that has the factory's options.

    Autobahn would copy them to each end, and format all of them for a log that is off: a third of the cost of
    a handshake.
    """
    options = {name: getattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
    most_bytes = factory.limits.max_message_bytes
    own = {"factory": factory, "_most_bytes": most_bytes, "CONFIG_ATTRS": ()}
    return type("WebSocketEnd", (WebSocketEnd,), {**options, **own})


class WebSocketFactory(WebSocketServerFactory):
    """Makes the client ends of tunnels.

    Args:
        tunnels: begins the tunnels.
        limits: of messages and frames.
        reactor: the clock.
        readiness: of that reactor, for the connections of clients.
    """

    def __init__(self, tunnels: Tunnels, *, limits: Limits, reactor: Any, readiness: Readiness) -> None:
        super().__init__(reactor=reactor, server="")
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            failByDrop=False,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            echoCloseCodeReason=True,
            allowNullOrigin=True,
        )
        self.tunnels = tunnels
        self.limits = limits
        self.readiness = readiness
        self._end = _with_options_of(self)

    def build(self, query: Query, visit: Visit) -> WebSocketEnd:
        """Make the end for a client that was let in."""
        return self._end(query, visit)
