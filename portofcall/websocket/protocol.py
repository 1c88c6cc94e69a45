"""What a client says, by RFC 6455. The only user of Autobahn, and of what is private in it."""

from typing import Any, NamedTuple

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket import USES_NVX
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from portofcall.errors import printable
from portofcall.limits.counters import RateLimit
from portofcall.limits.values import Limits, Rate
from portofcall.relay.interfaces import Buffer, ClientEvents, IEndTransport
from portofcall.websocket.frames import UNMASKS_IN_PLACE, PlainFrames
from portofcall.websocket.pongs import Pongs

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


class WebSocketProtocol(WebSocketServerProtocol):
    """A WebSocket connection of a client, whose messages are passed on piece by piece, as they come in.

    Plain binary messages are taken apart by `PlainFrames`. From the first frame on that is anything else it
    is Autobahn's turn, until a frame begins again that could be plain. Autobahn keeps the protocol: control
    frames, fragments, UTF-8 of text messages, what is wrong, the closing handshake. Its timers are off.

    Attributes:
        events: who hears of it; None before `opened`.
    """

    factory: "WebSocketProtocolFactory"
    transport: IEndTransport
    events: ClientEvents | None = None
    _plain = False

    def __init__(self) -> None:
        super().__init__()
        self._pongs = Pongs(self.sendPong)
        self._frames = PlainFrames()
        self._control_frames: RateLimit | None = None
        self._fragments = 0
        self._payloads: list[bytes] = []

    def opened(self) -> ClientEvents:
        """Say who is to hear what the client says, now that it can say something."""
        raise NotImplementedError

    def gone(self) -> None:
        """The connection is over."""
        raise NotImplementedError

    def dataReceived(self, data: Buffer) -> None:
        """Pass on what was read: of many small messages one piece."""
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
        """Answer the opening handshake."""
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
        """Begin."""
        self.events = self.opened()
        self._client_sent = self.events.client_sent

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
        """Answer the Close frame as Autobahn does, then tell of it."""
        broken = super().onCloseFrame(code, reasonRaw)
        if self.events is not None and not self.failedByMe:
            self._pass_on()
            self.events.client_closed()
        return broken

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Send a Close frame; if it is because the client broke the protocol, tell of it."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.failedByMe and self.events is not None:
            self._pass_on()
            self.events.client_failed(printable((reasonUtf8 or b"").decode("utf-8", "replace")))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Tell that the connection is gone."""
        self.transport.closed()
        self.gone()

    def _pass_on(self) -> None:
        """Pass on what Autobahn has found: of many small frames one piece."""
        payloads, self._payloads = self._payloads, []
        if payloads and self.events is not None:
            self.events.client_sent(payloads[0] if len(payloads) == 1 else b"".join(payloads))

    def _control_frame_is_due(self) -> bool:
        """Count a ping or pong, and fail a client that sends them faster than anybody needs."""
        if self.failedByMe:
            return False
        per_second = self.factory.limits.control_frames_per_second
        if self._control_frames is None:
            rate = Rate(per_second, per_second * _CONTROL_BURST_SECONDS)
            self._control_frames = RateLimit(rate, now=self.factory.reactor.seconds)
        if not self._control_frames.take(""):
            return True
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


class WebSocketProtocolFactory(WebSocketServerFactory):
    """Has the options of conversations.

    Args:
        limits: of messages and frames.
        reactor: the clock.
    """

    def __init__(self, *, limits: Limits, reactor: Any) -> None:
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
        self.limits = limits

    def options(self) -> dict[str, Any]:
        """Return the attributes that a class of conversations must have.

        Autobahn would copy them to each, and format all of them for a log that is off: a third of the cost of
        a handshake.
        """
        options = {name: getattr(self, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
        return {**options, "CONFIG_ATTRS": (), "factory": self}
