"""From an HTTP request to a tunnel: the WebSocket upgrade, in any `twisted.web` site."""

import re
from typing import Any

from twisted.protocols.policies import ProtocolWrapper
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.answers import APIResource, error_answer
from portofcall.errors import InvalidHeader, UpgradeRequired, printable
from portofcall.websocket import SUBPROTOCOL, TunnelFactory, WebSocketEnd

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
#: Autobahn splits headers where `str.splitlines` does, so such bytes would forge header lines.
_UNSAFE = re.compile(rb"[^\t -~]")


class TunnelResource(APIResource):
    """``GET /api/connect?host=H&port=P``: answers an upgrade with a tunnel (RFC 6455 §4.2).

    Works in any `twisted.web.server.Site`, over TCP, TLS, Unix sockets and the PROXY protocol.

    Args:
        factory: makes the tunnels' ends.
    """

    allowed = ("GET",)

    def __init__(self, factory: TunnelFactory) -> None:
        super().__init__()
        self._factory = factory

    def answer_GET(self, request: Request) -> bytes | int:
        """Hand the connection over to a `WebSocketEnd`, if the request is a sound upgrade."""
        try:
            handshake = sound_handshake(request)
        except UpgradeRequired as error:
            headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
            return error_answer(request, error, headers=headers)
        end = self._factory.build(request)
        hand_over(request, end)
        end.dataReceived(handshake)
        return NOT_DONE_YET


def sound_handshake(request: Request) -> bytes:
    """Check the upgrade, and write the one that Autobahn gets to see.

    Only what was checked goes on: the key, and the subprotocol if it was offered. So there is nothing left
    in it for Autobahn to refuse, or to read otherwise than we do.

    Args:
        request: whatever a client sent.

    Returns:
        A request's head.

    Raises:
        UpgradeRequired: this is not a WebSocket client, or not one of RFC 6455.
        InvalidHeader: a header is not what it must be.
    """
    for name, values in request.requestHeaders.getAllRawHeaders():
        if any(_UNSAFE.search(value) for value in values):
            readable = printable(name.decode("latin-1"))
            raise InvalidHeader(f"the header {readable} must hold visible ASCII characters only")
    upgrade = [token.lower() for token in _tokens(request, "upgrade")]
    connection = [token.lower() for token in _tokens(request, "connection")]
    wanted = "websocket" in upgrade and "upgrade" in connection
    if not wanted or request.clientproto != b"HTTP/1.1" or request.channel.transport is None:
        raise UpgradeRequired("this is for WebSocket clients: send Upgrade: websocket, over HTTP/1.1")
    if request.requestHeaders.getRawHeaders(b"sec-websocket-version", []) != [b"13"]:
        raise UpgradeRequired("Sec-WebSocket-Version must be 13")
    keys = request.requestHeaders.getRawHeaders(b"sec-websocket-key", [])
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidHeader("Sec-WebSocket-Key must be given once, as 16 bytes in base64")
    if len(request.requestHeaders.getRawHeaders(b"host", [])) != 1:
        raise InvalidHeader("Host must be given once")
    lines = [
        b"GET / HTTP/1.1",
        b"Host: localhost",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + keys[0],
    ]
    if SUBPROTOCOL in _tokens(request, "sec-websocket-protocol"):
        lines.append(b"Sec-WebSocket-Protocol: " + SUBPROTOCOL.encode())
    return b"\r\n".join([*lines, b"", b""])


def _tokens(request: Request, header: str) -> list[str]:
    """Split a header that is a list of tokens (RFC 9110 §5.6.1)."""
    values = request.requestHeaders.getRawHeaders(header, [])
    return [token.strip() for value in values for token in value.split(",")]


def hand_over(request: Request, end: WebSocketEnd) -> None:
    """Detach the connection from HTTP and attach it to ``end``, as Autobahn's own resource does."""
    channel = request.channel
    transport: Any = channel.transport
    channel.transport = None
    # The channel is still registered as the transport's producer.
    transport.unregisterProducer()
    if isinstance(transport, ProtocolWrapper):  # TLS, or the PROXY protocol
        transport.wrappedProtocol = end
    else:
        transport.protocol = end
    # A client that sends frames before it has our answer is hasty, but its bytes count.
    channel.rawDataReceived = end.dataReceived  # type: ignore[method-assign]
    end.makeConnection(transport)
    transport.resumeProducing()
