"""From an HTTP request to a tunnel: the WebSocket upgrade, in any `twisted.web` site."""

import re
from collections.abc import Mapping, Sequence

from twisted.web.server import Request

from portofcall.access.gatekeeper import Gatekeeper
from portofcall.errors import InvalidHeader, InvalidTarget, UpgradeRequired
from portofcall.sessions import Sessions
from portofcall.target import Target, TargetName, Wanted
from portofcall.web.api_resource import APIResource
from portofcall.web.client_connection import describe_client
from portofcall.web.records import Records
from portofcall.web.request_head import parse_query
from portofcall.web.takeover import Takeover
from portofcall.websocket.end import WebSocketFactory
from portofcall.websocket.half_close import REPORT_CONNECTED, REPORT_HEADER, SUBPROTOCOL, choose_subprotocol
from portofcall.websocket.protocol import Handshake

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_NO_LENGTH = (b"0",)


class TunnelResource(APIResource):
    """``GET /api/connect?host=H&port=P`` or ``?target=NAME``: upgrades to a tunnel (RFC 6455 §4.2).

    Works in any `twisted.web.server.Site`, over TCP, TLS, Unix sockets and the PROXY protocol.

    Args:
        records: reports refusals.
        gatekeeper: admits clients.
        sessions: the live tunnels.
        factory: makes the tunnels' ends.
    """

    allowed = ("GET",)

    def __init__(
        self, records: Records, gatekeeper: Gatekeeper, sessions: Sessions, factory: WebSocketFactory
    ) -> None:
        super().__init__(records)
        self._gatekeeper = gatekeeper
        self._sessions = sessions
        self._factory = factory

    async def respond_GET(self, request: Request) -> None:
        """Hand the connection over to a `WebSocketEnd`, if the request is a valid upgrade and is admitted."""
        handshake = valid_handshake(request)
        query = parse_query(request.uri)
        target = query_target(query)
        # Browsers send it, and nothing else that matters here does (RFC 6455 §10.2).
        page = request.requestHeaders.hasHeader(b"origin")
        reports = handshake.protocol == SUBPROTOCOL and _wants_report(request)
        with Takeover(request) as takeover:
            admitted = await self._gatekeeper.admit(
                request,
                None if isinstance(target, InvalidTarget) else target,
                tickets=query.get(b"ticket", ()),
            )
            try:
                described = self._sessions.sends_proxy_headers
                connection = describe_client(request, admitted.caller) if described else None
                end = self._factory.build(
                    lambda client: self._sessions.open(
                        client,
                        target,
                        admitted,
                        page=page,
                        client_connection=connection,
                        connected=end.report_connected if reports else None,
                    ),
                    admitted.lease.release,
                )
                takeover.hand_over(end, handshake._replace(request_id=admitted.caller.request_id))
            except BaseException:
                admitted.lease.release()
                raise


def query_target(query: Mapping[bytes, Sequence[bytes]]) -> Wanted | InvalidTarget:
    """Read the target from a query.

    Args:
        query: as `parse_query` returns it.

    Returns:
        The target: ``target``, or ``host`` and ``port``. If both are given, or one is missing, repeated or
        invalid, the error, which is reported after the upgrade.
    """
    try:
        if b"target" not in query:
            return Target.parse(_once(query, "host"), _once(query, "port"))
        if b"host" in query or b"port" in query:
            return InvalidTarget("target must be given without host and port")
        return TargetName.parse(_once(query, "target"))
    except InvalidTarget as error:
        return error


def _once(query: Mapping[bytes, Sequence[bytes]], name: str) -> str:
    values = query.get(name.encode(), ())
    if len(values) != 1:
        raise InvalidTarget(f"{name} must be given once in the query")
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        raise InvalidTarget(f"{name} must be UTF-8") from None


def valid_handshake(request: Request) -> Handshake:
    """Check the upgrade.

    Only what was checked here is passed to Autobahn: the key, and a subprotocol that was offered. This
    leaves nothing that Autobahn could refuse, or parse differently.

    Args:
        request: any request.

    Returns:
        The parts that the response needs.

    Raises:
        UpgradeRequired: the client does not speak WebSocket, or not the version of RFC 6455.
        InvalidHeader: a header is missing, repeated or malformed, or announces a body.
    """
    # One look-up for all: each of Twisted's canonicalizes its name anew.
    get = dict(request.requestHeaders.getAllRawHeaders()).get
    upgrade, connection = _lower_tokens(get(b"Upgrade")), _lower_tokens(get(b"Connection"))
    wanted = b"websocket" in upgrade and b"upgrade" in connection
    if not wanted or request.clientproto != b"HTTP/1.1" or request.channel.transport is None:
        raise UpgradeRequired("this is for WebSocket clients: send Upgrade: websocket, over HTTP/1.1")
    if get(b"Sec-Websocket-Version") != [b"13"]:
        raise UpgradeRequired("Sec-WebSocket-Version must be 13")
    keys = get(b"Sec-Websocket-Key") or ()
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise InvalidHeader("Sec-WebSocket-Key must be given once, as 16 bytes in base64")
    # `twisted.web` has checked the length.
    if get(b"Transfer-Encoding") or int(get(b"Content-Length", _NO_LENGTH)[0]):
        raise InvalidHeader("Content-Length must be 0 or missing: an upgrade has no body")
    offered = [token.decode("latin-1") for token in _tokens(get(b"Sec-Websocket-Protocol"))]
    protocol = choose_subprotocol(offered)
    return Handshake(keys[0].decode("ascii"), protocol)


def _wants_report(request: Request) -> bool:
    """Whether the client wants to be told when the backend is connected."""
    values = request.requestHeaders.getRawHeaders(REPORT_HEADER)
    return values is not None and REPORT_CONNECTED in values


def _tokens(values: Sequence[bytes] | None) -> list[bytes]:
    """Split a header that is a list of tokens (RFC 9110 §5.6.1)."""
    return [token.strip() for value in values or () for token in value.split(b",")]


def _lower_tokens(values: Sequence[bytes] | None) -> list[bytes]:
    """Split a header that is a list of tokens whose case does not matter."""
    return [token.lower() for token in _tokens(values)]
