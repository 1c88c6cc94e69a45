"""WebSocket ends that send each message back, with its type and its borders.

A tunnel carries bytes, so the gateway's own ends keep neither. Everything else is theirs: the upgrade, the
options of the protocol, both parsers, the budget of a turn, the closing handshake.
"""

from collections.abc import Callable
from typing import cast

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.errors import RequestError
from portofcall.relay.interfaces import Buffer, ClientEvents
from portofcall.web.takeover import Takeover
from portofcall.web.upgrade import valid_handshake
from portofcall.websocket.end import WebSocketEnd, WebSocketFactory
from portofcall.websocket.frames import InPlaceMasker, PlainFrames


class Echo(WebSocketEnd):
    """Sends back what Autobahn parses: all messages."""

    masker: InPlaceMasker | None = None

    def __init__(self) -> None:
        super().__init__(lambda end: cast(ClientEvents, end), lambda: None)
        self._parts: list[bytes] = []
        self._is_binary = True

    def onMessageBegin(self, isBinary: bool) -> None:
        """Keep the type of the message."""
        super().onMessageBegin(isBinary)
        self._is_binary = isBinary

    def onMessageEnd(self) -> None:
        """Send the message back."""
        super().onMessageEnd()
        self._pass_on()
        if not self.failed:
            message, self._parts = b"".join(self._parts), []
            self.sendMessage(message, self._is_binary)

    # ClientEvents

    def client_sent(self, data: Buffer) -> None:
        """Keep a part of a message."""
        self._parts.append(bytes(data))

    def client_closed(self) -> None:
        """Reply, and close the connection."""
        self.reply()
        self.finish()

    def client_failed(self, what: str) -> None:
        """Do nothing: the end sends the Close frame by itself."""

    def client_lost(self) -> None:
        """Do nothing: there is no tunnel."""


class FastEcho(Echo):
    """Sends back plain messages from the fast parser, and what Autobahn parses."""

    masker = WebSocketEnd.masker

    def __init__(self) -> None:
        super().__init__()
        assert self.masker is not None, "Autobahn's NVX is missing"
        self._frames = _FrameByFrame(self.masker, self._send_back)

    def _send_back(self, part: memoryview, complete: bool) -> None:
        self.client_sent(part)
        if complete:
            message, self._parts = b"".join(self._parts), []
            self.sendMessage(message, isBinary=True)


class _FrameByFrame(PlainFrames):
    """Parses one frame at a time, as otherwise the borders are lost.

    Args:
        masker: unmasks payloads.
        received: takes each part of a payload, and whether it is the last one of its frame.
    """

    __slots__ = ("_received",)

    def __init__(self, masker: InPlaceMasker, received: Callable[[memoryview, bool], None]) -> None:
        super().__init__(masker)
        self._received = received

    def take(self, data: memoryview, most: int) -> tuple[memoryview, memoryview | None, int]:
        """Parse ``data``; the payloads are passed to ``received`` and not returned."""
        rest: memoryview | None = data
        frames = 0
        while rest is not None and frames < most:
            payload, rest, headers = super().take(rest, 0 if self._left else 1)
            if not (headers or payload):
                break
            frames += headers
            if payload or not self._head:
                self._received(payload, not (self._left or self._head))
        return data[:0], rest, frames


class EchoFactory(WebSocketFactory):
    """Makes `Echo` ends."""

    end = Echo

    def echo(self) -> Echo:
        """Make an end."""
        return cast(Callable[[], Echo], self._end)()


class FastEchoFactory(EchoFactory):
    """Makes `FastEcho` ends."""

    end = FastEcho


class EchoResource(Resource):
    """Upgrades every valid handshake, whatever its path.

    Args:
        factory: makes the ends.
    """

    isLeaf = True

    def __init__(self, factory: EchoFactory) -> None:
        super().__init__()
        self._factory = factory

    def render_GET(self, request: Request) -> bytes | int:
        """Hand the connection over to an end."""
        try:
            handshake = valid_handshake(request)
        except RequestError as error:
            request.setResponseCode(error.http_status)
            return f"{error.sentence}\n".encode()
        with Takeover(request) as takeover:
            takeover.hand_over(self._factory.echo(), handshake)
        return NOT_DONE_YET
