"""The WebSocket end of a tunnel, and the factory that makes it. The only user of Autobahn."""

from collections import deque
from typing import Any, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProducer, IPushProducer
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from portofcall.dial import Dialer
from portofcall.errors import InvalidTarget, printable
from portofcall.interfaces import IClientEnd, IStreamTransport
from portofcall.limits import Limits
from portofcall.target import Target
from portofcall.tcp import BackendEnd
from portofcall.tunnel import Tunnel

#: The one subprotocol there is: noVNC and websockify call a stream of bytes that.
SUBPROTOCOL = "binary"

_BINARY_FRAME = 2
_MOST_OWED_PONGS = 32


@implementer(IClientEnd)
class WebSocketEnd(WebSocketServerProtocol):
    """Reports what the client does, and obeys; messages are relayed piece by piece, as they come in.

    Autobahn keeps the protocol: framing, control frames, UTF-8 of text messages, the closing handshake. Its
    timers are off; `Tunnel` has the patience.

    Args:
        args: the query of the request, as `twisted.web` parses it.
        peer: who asked, for the log.
    """

    factory: "TunnelFactory"
    transport: IStreamTransport
    _tunnel: Tunnel | None = None

    def __init__(self, args: dict[bytes, list[bytes]], peer: str) -> None:
        super().__init__()
        self.args = args
        self.client = peer
        self._pongs = _Pongs(self)

    # Autobahn calls these

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Agree on the subprotocol, if it was offered."""
        return SUBPROTOCOL if SUBPROTOCOL in request.protocols else None

    def onOpen(self) -> None:
        """Begin the tunnel."""
        self._tunnel = self.factory.open_tunnel(self)

    def onMessageBegin(self, isBinary: bool) -> None:
        """Nothing begins: a tunnel carries bytes, not messages."""

    def onMessageFrameBegin(self, length: int) -> None:
        """Nothing begins here either, however long the frame will be."""

    def onMessageFrameData(self, payload: bytes) -> None:
        """Pass on a piece of a frame. Bytes that follow a broken frame are not the client's word any more."""
        if payload and not self.failedByMe and self._tunnel is not None:
            self._tunnel.client_sent(payload)

    def onMessageFrameEnd(self) -> None:
        """Nothing was kept, so nothing is to be done."""

    def onMessageEnd(self) -> None:
        """Nothing was kept, so nothing is to be done."""

    def onPing(self, payload: bytes) -> None:
        """Answer, now or when the client reads again."""
        self._pongs.answer(payload)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Answer the Close frame as Autobahn does, then tell the tunnel."""
        broken = super().onCloseFrame(code, reasonRaw)
        if self._tunnel is not None and not self.failedByMe:
            self._tunnel.client_closed()
        return broken

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Send a Close frame; if it is because the client broke the protocol, tell the tunnel."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.failedByMe and self._tunnel is not None:
            self._tunnel.client_failed(printable((reasonUtf8 or b"").decode("utf-8", "replace")))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """Tell the tunnel that the connection is gone."""
        if self._tunnel is not None:
            self._tunnel.client_lost()

    def _closeConnection(self, abort: bool = False) -> None:
        """Close after a finished closing handshake by FIN (RFC 6455 §7.1.1), where Autobahn would reset."""
        super()._closeConnection(abort and not self.wasClean)

    # The tunnel calls these (IClientEnd)

    def write(self, data: bytes) -> None:
        """Send ``data`` as one binary message, or as several if it is too large for one."""
        most = self.factory.limits.max_message_bytes
        if len(data) <= most:
            self.sendFrame(_BINARY_FRAME, data)
        else:
            view = memoryview(data)
            for start in range(0, len(data), most):
                self.sendFrame(_BINARY_FRAME, cast(bytes, view[start : start + most]))

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


class TunnelFactory(WebSocketServerFactory):
    """Makes the ends of tunnels, and knows the tunnels there are.

    Args:
        dialer: opens the connections to backends.
        limits: sizes and patience.
        reactor: the clock.

    Attributes:
        tunnels: those that are not closed yet.
    """

    _log = Logger()

    def __init__(self, dialer: Dialer, *, limits: Limits, reactor: Any) -> None:
        super().__init__(reactor=reactor, server="")
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            failByDrop=False,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            allowNullOrigin=True,
        )
        self.limits = limits
        self.tunnels: set[Tunnel] = set()
        self._dialer = dialer
        self._idle: list[Deferred[None]] = []

    def build(self, request: Request) -> WebSocketEnd:
        """Make the end for the client that sent ``request``."""
        end = WebSocketEnd(request.args, _address(request))
        end.factory = self
        return end

    def open_tunnel(self, client: WebSocketEnd) -> Tunnel:
        """Begin a tunnel to the target that the client's query names."""

        where = "?"

        async def dial() -> BackendEnd:
            nonlocal where
            target = query_target(client.args)
            where = str(target)
            dialed = await self._dialer.dial(target, BackendEnd)
            self._log.info("tunnel {peer} -> {target} opened", peer=client.client, target=where)
            return dialed.protocol

        def closed(tunnel: Tunnel) -> None:
            self._log.info(
                "tunnel {peer} -> {target} closed: {outcome} "
                "({up} bytes up, {down} bytes down, {lost} bytes not delivered)",
                peer=client.client,
                target=where,
                outcome=tunnel.outcome,
                up=tunnel.to_backend.passed_bytes,
                down=tunnel.to_client.passed_bytes,
                lost=tunnel.to_backend.dropped_bytes + tunnel.to_client.dropped_bytes,
            )
            self.tunnels.discard(tunnel)
            if not self.tunnels:
                for waiter in self._idle:
                    waiter.callback(None)
                self._idle.clear()

        tunnel = Tunnel(client, limits=self.limits, clock=self.reactor, on_closed=closed)
        self.tunnels.add(tunnel)
        tunnel.dial(Deferred.fromCoroutine(dial()))
        return tunnel

    def shut_down(self) -> Deferred[None]:
        """End every tunnel with Close 1001, after what is queued has been delivered.

        Returns:
            A Deferred that fires when no tunnel is left.
        """
        over: Deferred[None] = Deferred()
        if not self.tunnels:
            over.callback(None)
            return over
        self._idle.append(over)
        for tunnel in list(self.tunnels):
            tunnel.shut_down()
        return over


def query_target(args: dict[bytes, list[bytes]]) -> Target:
    """Read the target from a query, as `twisted.web` parses it.

    Raises:
        InvalidTarget: ``host`` or ``port`` is missing, given twice, or not what it must be.
    """
    texts = []
    for name in ("host", "port"):
        values = args.get(name.encode(), [])
        if len(values) != 1:
            raise InvalidTarget(f"{name} must be given once in the query")
        try:
            texts.append(values[0].decode())
        except UnicodeDecodeError:
            raise InvalidTarget(f"{name} must be UTF-8") from None
    return Target.parse(*texts)


def _address(request: Request) -> str:
    address = request.getClientAddress()
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return "local" if host is None else f"{host}:{port}"
