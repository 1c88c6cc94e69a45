"""The client's side of a WebSocket connection, as an end of a tunnel."""

from collections.abc import Callable
from typing import Any, NamedTuple

from portofcall.limits.values import Limits
from portofcall.relay.interfaces import Buffer
from portofcall.relay.readiness import Readiness
from portofcall.relay.write_chain import WriteChain
from portofcall.websocket.client_frames import SMALL_BYTES, UnmaskedFrames, mask, small_message
from portofcall.websocket.end import Begin, WebSocketEnd, WebSocketFactory
from portofcall.websocket.frames import FIN_BINARY
from portofcall.websocket.half_close import CONNECTED
from portofcall.websocket.protocol import Handshake

_SHORT_HEADER_BYTES = 2
#: Less is sent as one piece, which takes less time than two.
_SMALL_BYTES = 1024


class CloseFrame(NamedTuple):
    """The Close frame of a server.

    Attributes:
        code: None if it has none.
        reason: for people; empty if it has none.
    """

    code: int | None
    reason: str


class GatewayEnd(WebSocketEnd):
    """The connection to a gateway: `WebSocketEnd` with the roles exchanged.

    It masks what it sends, and takes no masked frames (RFC 6455 §5.1). Autobahn sees the role in
    ``factory.isServer``.

    Small messages take shortcuts: between two of them other processes displace the client from the
    processor's caches, so that each function on their way takes microseconds.

    Attributes:
        close_frame: the gateway's Close frame, once it has come.
        on_connected: called once the gateway reports that the target is connected; None if not asked for.
    """

    close_frame: CloseFrame | None = None
    on_connected: Callable[[], None] | None = None

    def __init__(self, begin: Begin, give_up: Callable[[], None]) -> None:
        super().__init__(begin, give_up)
        self._frames: Any = UnmaskedFrames()

    def shake_hands(self, handshake: Handshake) -> None:
        """Begin, now that the gateway has answered the opening handshake.

        Args:
            handshake: its protocol is the one that the gateway has agreed to.
        """
        super().shake_hands(handshake)
        self._plain = True

    def respond(self, handshake: Handshake) -> None:
        """Do nothing: it is the server that responds."""

    def write(self, data: Buffer) -> None:
        """Send ``data`` as one binary message, or as several if it is larger than `most_bytes`.

        Args:
            data: overwritten if it can be, as only those own it who have read it.
        """
        if len(data) < SMALL_BYTES:
            self.transport.write(small_message(data))
            return
        view = memoryview(data)
        if view.readonly:
            view = memoryview(bytearray(view))
        size, most = len(view), self.most_bytes
        if size < _SMALL_BYTES:
            self.transport.write(mask(view, self.masker) + view)
            return
        if size <= most:
            self.transport.writeSequence((mask(view, self.masker), view))
            return
        for start in range(0, size, most):
            self.write(view[start : start + most])

    def writer(self, chain: WriteChain) -> Callable[[Buffer], None]:
        """Return a function that does the same as ``chain.write``, a small message in fewer calls.

        Args:
            chain: leads here.
        """
        write, send = chain.write, self.transport.write

        def write_through(data: Buffer) -> None:
            size = len(data)
            if size < SMALL_BYTES and chain.straight is not None:
                chain.passed_bytes += size
                send(small_message(data))
            else:
                write(data)

        return write_through

    def dataReceived(self, data: Buffer) -> None:
        """Pass on the payloads in ``data``; for one small message, such as an echo, that is simple."""
        size = len(data) - _SHORT_HEADER_BYTES
        if (
            0 < size < SMALL_BYTES
            and data[0] == FIN_BINARY
            and data[1] == size
            and self._plain
            and self._frames.between
            and self._incoming.idle
        ):
            self._client_sent(data[_SHORT_HEADER_BYTES:])
        else:
            super().dataReceived(data)

    def onPong(self, payload: bytes) -> None:
        """Take the report that the target is connected, or any other pong."""
        if payload == CONNECTED and self.on_connected is not None:
            connected, self.on_connected = self.on_connected, None
            connected()
        else:
            super().onPong(payload)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Keep the Close frame."""
        self.close_frame = CloseFrame(code, (reasonRaw or b"").decode("utf-8", "replace"))
        broken = super().onCloseFrame(code, reasonRaw)
        # Nothing may follow it (RFC 6455 §5.5.1).
        self._incoming.drop()
        return broken


class GatewayFactory(WebSocketFactory):
    """Makes connections to gateways.

    Args:
        limits: of messages and frames.
        reactor: the clock.
        readiness: watches sockets in that reactor.
    """

    end = GatewayEnd
    isServer = False
    proxy = None

    def __init__(self, *, limits: Limits, reactor: Any, readiness: Readiness) -> None:
        super().__init__(limits=limits, reactor=reactor, readiness=readiness)
        end: Any = self._end
        end.maskClientFrames = True
        end.acceptMaskedServerFrames = False
        end.serverConnectionDropTimeout = 0

    def build(self, begin: Begin, give_up: Callable[[], None]) -> GatewayEnd:
        """Make the end of one tunnel; see `WebSocketEnd`."""
        end = super().build(begin, give_up)
        assert isinstance(end, GatewayEnd)
        return end
