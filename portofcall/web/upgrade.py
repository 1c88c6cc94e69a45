"""From an HTTP request to a tunnel: the WebSocket upgrade, in any `twisted.web` site."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.web.server import Request

from portofcall.access.gatekeeper import Gatekeeper
from portofcall.egress.proxy_header import ClientConnection
from portofcall.errors import InvalidHeader, TargetError, UpgradeRequired
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.interfaces import ClientEvents, IClientEnd
from portofcall.session import Dialable, Session
from portofcall.sessions import Sessions
from portofcall.target import Token
from portofcall.web.api_resource import APIResource
from portofcall.web.client_connection import describe_client
from portofcall.web.dialects.dialect import Dialect
from portofcall.web.records import Records
from portofcall.web.takeover import Takeover
from portofcall.websocket.end import WebSocketFactory
from portofcall.websocket.half_close import REPORT_CONNECTED, REPORT_HEADER, SUBPROTOCOL, choose_subprotocol
from portofcall.websocket.protocol import Handshake

_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_NO_LENGTH = (b"0",)


class TunnelResource(APIResource):
    """``GET`` with an upgrade to WebSocket: a tunnel, for the clients of one dialect (RFC 6455 §4.2).

    Works in any `twisted.web.server.Site`, over TCP, TLS, Unix sockets and the PROXY protocol.

    Args:
        dialect: reads the target, and decides when it is dialled.
        records: reports refusals.
        gatekeeper: admits clients.
        sessions: the live tunnels, and what there is to dial.
        factory: makes the tunnels' ends.
    """

    allowed = ("GET",)

    def __init__(
        self,
        dialect: Dialect,
        records: Records,
        gatekeeper: Gatekeeper,
        sessions: Sessions,
        factory: WebSocketFactory,
    ) -> None:
        super().__init__(records)
        self._dialect = dialect
        self._tunnel_records = records
        self._gatekeeper = gatekeeper
        self._sessions = sessions
        self._factory = factory

    def takes(self, path: Sequence[bytes]) -> bool:
        """Whether the dialect has something at a path below its own."""
        return self._dialect.takes(path)

    async def respond_GET(self, request: Request) -> None:
        """Hand the connection over to a `WebSocketEnd`, if the request is a valid upgrade and is admitted."""
        handshake = valid_handshake(request)
        target: Dialable
        target, tickets = self._dialect.read(request, self._sessions.targets)
        with Takeover(request) as takeover:
            admitted = await self._gatekeeper.admit(
                request, None if isinstance(target, TargetError) else target, tickets=tickets
            )
            try:
                caller = admitted.caller
                if isinstance(target, Token):
                    self._sessions.tokens.count(target, caller.key)
                described = self._sessions.sends_proxy_headers
                opening = _Opening(
                    takeover,
                    handshake._replace(request_id=caller.request_id),
                    # Browsers send it, and nothing else that matters here does (RFC 6455 §10.2).
                    request.requestHeaders.hasHeader(b"origin"),
                    handshake.protocol == SUBPROTOCOL and _wants_report(request),
                    self._sessions.begin(target, admitted),
                    describe_client(request, caller) if described else None,
                )
                if self._dialect.refusals:
                    self._tunnel_records.is_tunnel(request)
                    self._hand_over(opening, await self._dial_first(opening))
                else:
                    self._hand_over(opening)
            except BaseException:
                admitted.lease.release()
                raise

    async def _dial_first(self, opening: "_Opening") -> Deferred[BackendEnd]:
        """Dial, and return the outcome, unless its failure has an HTTP status in this dialect."""
        backend: BackendEnd | None = None
        dialing: Deferred[BackendEnd]
        try:
            try:
                backend = await self._sessions.dial_first(opening.session, opening.connection)
                dialing = succeed(backend)
            except TargetError as problem:
                if isinstance(problem, self._dialect.refusals):
                    raise
                dialing = fail(problem)
            self._gatekeeper.demand_service()
        except BaseException as problem:
            if backend is not None:
                backend.abort()
            self._sessions.refused(opening.session, problem)
            raise
        return dialing

    def _hand_over(self, opening: "_Opening", dialing: Deferred[BackendEnd] | None = None) -> None:
        """Respond with 101, and open the tunnel.

        Args:
            opening: of the tunnel.
            dialing: the outcome of its dial; None means that it is to begin now.
        """
        session = opening.session

        def begin(client: IClientEnd) -> ClientEvents:
            return self._sessions.open(
                client,
                session,
                page=opening.page,
                dialing=dialing,
                client_connection=opening.connection,
                connected=end.report_connected if opening.reports else None,
            )

        def give_up(problem: BaseException) -> None:
            session.release()
            if dialing is not None:
                dialing.addCallbacks(BackendEnd.abort, lambda _: None)
                self._sessions.refused(session, problem)

        end = self._factory.build(begin, lambda: give_up(CancelledError()))
        try:
            opening.takeover.hand_over(end, opening.handshake)
        except BaseException as problem:
            give_up(problem)
            raise


class _Opening(NamedTuple):
    """A tunnel between its admission and its 101 response.

    Attributes:
        takeover: has the client's connection.
        handshake: to be answered.
        page: whether the client is a page.
        reports: whether the client wants to be told when the backend is connected.
        session: with its target.
        connection: the client's, for the header of the PROXY protocol.
    """

    takeover: Takeover
    handshake: Handshake
    page: bool
    reports: bool
    session: Session
    connection: ClientConnection | None


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
    wanted = _is_upgrade(get(b"Upgrade"), get(b"Connection"))
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


def is_upgrade(request: Request) -> bool:
    """Whether a request asks for WebSocket, if perhaps not in a valid way."""
    get = request.requestHeaders.getRawHeaders
    return _is_upgrade(get(b"upgrade"), get(b"connection"))


def _is_upgrade(upgrade: Sequence[bytes] | None, connection: Sequence[bytes] | None) -> bool:
    return b"websocket" in _lower_tokens(upgrade) and b"upgrade" in _lower_tokens(connection)


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
