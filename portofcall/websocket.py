"""The WebSocket end of a tunnel, and the factory that makes it. The only user of Autobahn."""

from collections import deque
from struct import Struct
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket import USES_NVX
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IProducer, IPushProducer
from zope.interface import implementer

from portofcall.admission import RateLimit
from portofcall.entrance import Visit
from portofcall.errors import printable
from portofcall.interfaces import IClientEnd, IStreamTransport
from portofcall.limits import Limits, Rate
from portofcall.tunnel import Tunnel
from portofcall.tunnels import Query, Tunnels

#: The one subprotocol there is: noVNC and websockify call a stream of bytes that.
SUBPROTOCOL = "binary"

#: Whether Autobahn unmasks in C (NVX). In Python it is about a hundred times slower.
UNMASKS_FAST: bool = USES_NVX

_FIN_BINARY = 0x80 | 2
_SHORT, _MEDIUM, _LONG = Struct("!BB"), Struct("!BBH"), Struct("!BBQ")
_MOST_OWED_PONGS = 32
_POLICY_VIOLATION, _MESSAGE_TOO_BIG = 1008, 1009
#: How many seconds' worth of control frames may come at once.
_CONTROL_BURST_SECONDS = 10


@implementer(IClientEnd)
class WebSocketEnd(WebSocketServerProtocol):
    """Reports what the client does, and obeys; messages are relayed piece by piece, as they come in.

    Autobahn keeps the protocol: framing, control frames, UTF-8 of text messages, the closing handshake. Its
    timers are off; `Tunnel` has the patience.

    Args:
        query: the query of the request, as `twisted.web` parses it.
        visit: who was let in; its place is released when the connection is over.
    """

    factory: "WebSocketFactory"
    transport: IStreamTransport
    _tunnel: Tunnel | None = None

    def __init__(self, query: Query, visit: Visit) -> None:
        super().__init__()
        self.query = query
        self.visit = visit
        self._pongs = _Pongs(self)
        self._fragments = 0
        self._payloads: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """Hand what was read to Autobahn's parser, and what that finds in it to the tunnel, as one piece.

        Autobahn's own method formats a line for a log that is off.
        """
        self._dataReceived(data)
        self._pass_on()

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

    def write(self, data: bytes) -> None:
        """Send ``data`` as one binary message, or as several if it is too large for one."""
        size, most = len(data), self.factory.limits.max_message_bytes
        if size <= most:
            self.transport.writeSequence((binary_header(size), data))
            return
        view = memoryview(data)
        for start in range(0, size, most):
            piece = view[start : start + most]
            self.transport.write(b"".join((binary_header(len(piece)), piece)))

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


def binary_header(size: int) -> bytes:
    """Pack the header of a whole binary message, unmasked, as a server sends it (RFC 6455 §5.2)."""
    if size < 126:
        return _SHORT.pack(_FIN_BINARY, size)
    if size < 65536:
        return _MEDIUM.pack(_FIN_BINARY, 126, size)
    return _LONG.pack(_FIN_BINARY, 127, size)


@implementer(IPushProducer)
class _Pongs:
    """Answers pings, but while the client does not read, only the latest few (RFC 6455 §5.5.3).

    Otherwise a client that sends pings and reads nothing would fill our memory with pongs. To see when the
    client reads it stands between the transport and the producer.
    """

    producer: IPushProducer

    def __init__(self, end: WebSocketEnd) -> None:
        self._end = end
        self._congested = False
        self._owed: deque[bytes] = deque(maxlen=_MOST_OWED_PONGS)

    def answer(self, payload: bytes) -> None:
        if self._congested:
            self._owed.append(payload)
        else:
            self._end.sendPong(payload)

    def pauseProducing(self) -> None:
        self._congested = True
        self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        self._congested = False
        while self._owed:
            self._end.sendPong(self._owed.popleft())
        self.producer.resumeProducing()

    def stopProducing(self) -> None:
        self.producer.stopProducing()


def _with_options_of(factory: WebSocketServerFactory) -> type[WebSocketEnd]:
    """Make a class of ends that has the factory's options.

    Autobahn would copy them to each end, and format all of them for a log that is off: a third of the cost of
    a handshake.
    """
    options = {name: getattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
    return type("WebSocketEnd", (WebSocketEnd,), {**options, "CONFIG_ATTRS": ()})


class WebSocketFactory(WebSocketServerFactory):
    """Makes the client ends of tunnels.

    Args:
        tunnels: begins the tunnels.
        limits: of messages and frames.
        reactor: the clock.
    """

    def __init__(self, tunnels: Tunnels, *, limits: Limits, reactor: Any) -> None:
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
        self._end = _with_options_of(self)

    def build(self, query: Query, visit: Visit) -> WebSocketEnd:
        """Make the end for a client that was let in."""
        end = self._end(query, visit)
        end.factory = self
        return end
