"""From an HTTP request to a tunnel: the WebSocket upgrade, in any `twisted.web` site."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.protocols.policies import ProtocolWrapper
from twisted.web.server import Request

from portofcall.access.gatekeeper import Gatekeeper, demand_plain_headers
from portofcall.errors import InvalidHeader, InvalidTarget, UpgradeRequired
from portofcall.relay.direct_read import direct_transport
from portofcall.sessions import Sessions
from portofcall.target import Target
from portofcall.web.responses import APIResource
from portofcall.websocket.end import WebSocketEnd, WebSocketFactory
from portofcall.websocket.protocol import SUBPROTOCOL, Handshake

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")


class TunnelResource(APIResource):
    """``GET /api/connect?host=H&port=P``: answers an upgrade with a tunnel (RFC 6455 §4.2).

    Works in any `twisted.web.server.Site`, over TCP, TLS, Unix sockets and the PROXY protocol.

    Args:
        gatekeeper: admits clients.
        sessions: the live tunnels.
        factory: makes the tunnels' ends.
    """

    allowed = ("GET",)

    def __init__(self, gatekeeper: Gatekeeper, sessions: Sessions, factory: WebSocketFactory) -> None:
        super().__init__()
        self._gatekeeper = gatekeeper
        self._sessions = sessions
        self._factory = factory

    async def respond_GET(self, request: Request) -> None:
        """Hand the connection over to a `WebSocketEnd`, if the request is a sound upgrade and is let in."""
        handshake = sound_handshake(request)
        target = query_target(cast("dict[bytes, list[bytes]]", request.args))
        with holding_back(request) as early:
            admitted = await self._gatekeeper.admit(
                request, None if isinstance(target, InvalidTarget) else target
            )
        end = self._factory.build(
            lambda client: self._sessions.open(client, target, admitted), admitted.lease.release
        )
        hand_over(request, end)
        end.shake_hands(handshake)
        for data in early:
            end.dataReceived(data)


def query_target(query: Mapping[bytes, Sequence[bytes]]) -> Target | InvalidTarget:
    """Read the target from a query.

    Args:
        query: as `twisted.web` parses it.

    Returns:
        The target; or, where ``host`` or ``port`` is missing, given twice or not what it must be, the error,
        which is reported after the upgrade.
    """
    texts = []
    for name in ("host", "port"):
        values = query.get(name.encode(), ())
        if len(values) != 1:
            return InvalidTarget(f"{name} must be given once in the query")
        try:
            texts.append(values[0].decode())
        except UnicodeDecodeError:
            return InvalidTarget(f"{name} must be UTF-8")
    try:
        return Target.parse(*texts)
    except InvalidTarget as error:
        return error


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
    end.makeConnection(direct_transport(transport, end.factory.readiness, end.dataReceived))
    end.resumeProducing()
