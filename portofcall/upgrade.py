"""From an HTTP request to a tunnel: the WebSocket upgrade, in any `twisted.web` site."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.protocols.policies import ProtocolWrapper
from twisted.web.server import Request

from portofcall.answers import APIResource
from portofcall.conversation import SUBPROTOCOL, Handshake
from portofcall.entrance import Entrance, demand_plain_headers
from portofcall.errors import InvalidHeader, InvalidTarget, UpgradeRequired
from portofcall.readnow import direct
from portofcall.target import Target
from portofcall.tunnels import Query, query_target
from portofcall.websocket import WebSocketEnd, WebSocketFactory

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


class TunnelResource(APIResource):
    """``GET /api/connect?host=H&port=P``: answers an upgrade with a tunnel (RFC 6455 §4.2).

    Works in any `twisted.web.server.Site`, over TCP, TLS, Unix sockets and the PROXY protocol.

    Args:
        entrance: lets clients in.
        factory: makes the tunnels' ends.
    """

    allowed = ("GET",)

    def __init__(self, entrance: Entrance, factory: WebSocketFactory) -> None:
        super().__init__()
        self._entrance = entrance
        self._factory = factory

    async def answer_GET(self, request: Request) -> None:
        """Hand the connection over to a `WebSocketEnd`, if the request is a sound upgrade and is let in."""
        handshake = sound_handshake(request)
        query = cast(Query, request.args)
        with holding_back(request) as early:
            visit = await self._entrance.admit(request, _target(query))
        end = self._factory.build(query, visit)
        hand_over(request, end)
        end.shake_hands(handshake)
        for data in early:
            end.dataReceived(data)


def _target(query: Query) -> Target | None:
    """Read the target for tickets that are good for one only. An invalid one is told after the upgrade."""
    try:
        return query_target(query)
    except InvalidTarget:
        return None


@contextmanager
def holding_back(request: Request) -> Iterator[list[bytes]]:
    """Hold back what a hasty client sends before it has our answer, and read no more of it meanwhile.

    Yields:
        What came. If the request is refused it goes on to HTTP, as the next request.
    """
    early: list[bytes] = []
    channel = cast(Any, request.channel)
    channel.transport.pauseProducing()
    channel.rawDataReceived = early.append
    try:
        yield early
    except BaseException:
        del channel.rawDataReceived
        for data in early:
            channel.rawDataReceived(data)
        raise


def sound_handshake(request: Request) -> Handshake:
    """Check the upgrade.

    Only what was checked goes on to Autobahn: the key, and the subprotocol if it was offered. So there is
    nothing left in it for Autobahn to refuse, or to read otherwise than we do.

    Args:
        request: whatever a client sent.

    Returns:
        What is left to be answered.

    Raises:
        UpgradeRequired: this is not a WebSocket client, or not one of RFC 6455.
        InvalidHeader: a header is not what it must be.
    """
    demand_plain_headers(request)
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
    protocol = SUBPROTOCOL if SUBPROTOCOL in _tokens(request, "sec-websocket-protocol") else None
    return Handshake(keys[0].decode("ascii"), protocol)


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
    if isinstance(request.getClientAddress(), IPv4Address | IPv6Address):
        transport.setTcpNoDelay(True)
        transport.setTcpKeepAlive(True)
    end.makeConnection(direct(transport, end.factory.readiness, end.dataReceived))
    end.resumeProducing()
