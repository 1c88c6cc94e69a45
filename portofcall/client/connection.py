"""Opens tunnels through one gateway."""

import os
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred, TimeoutError
from twisted.protocols.policies import ProtocolWrapper

from portofcall import __version__
from portofcall.client import http_response, opening_handshake
from portofcall.client.credentials import Login
from portofcall.client.dial import Stream, dial
from portofcall.client.gateway_url import GatewayURL
from portofcall.client.problem import Problem, Status, usage
from portofcall.client.proxy import Proxy
from portofcall.client.tls import TLSOptions, make_context
from portofcall.client.tunnel import CLIENT_LIMITS, ClientTunnel, LocalEnd
from portofcall.limits.values import Limits
from portofcall.relay.direct_transport import direct_transport
from portofcall.relay.readiness import Readiness
from portofcall.relay.socket_options import set_options
from portofcall.target import Requested
from portofcall.websocket.client_end import GatewayEnd, GatewayFactory
from portofcall.websocket.half_close import BINARY, REPORT_CONNECTED, REPORT_HEADER, SUBPROTOCOL
from portofcall.websocket.protocol import Handshake

#: The subprotocols that are offered, the preferred one first.
PROTOCOLS: Final = (SUBPROTOCOL, BINARY)
#: For everything up to the first byte of a tunnel, in seconds.
DEFAULT_CONNECT_TIMEOUT_SECONDS: Final = 30.0
#: For the body of a refusal, in seconds.
_BODY_SECONDS: Final = 2.0


#: Makes the local end of a tunnel.
Local = Callable[[ClientTunnel], LocalEnd]


async def no_login() -> Login:
    """Return no credentials."""
    return Login()


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How to get to a gateway.

    Attributes:
        url: where it is.
        tls: how TLS is spoken, if the URL asks for it.
        proxy: goes in between; None for a direct connection.
        login: returns the credentials for one tunnel. It may raise `Problem`.
        connect_timeout_seconds: for everything up to the first byte of a tunnel.
        limits: of tunnels.
    """

    url: GatewayURL
    tls: TLSOptions = field(default_factory=TLSOptions)
    proxy: Proxy | None = None
    login: Callable[[], Any] = no_login
    connect_timeout_seconds: float = DEFAULT_CONNECT_TIMEOUT_SECONDS
    limits: Limits = CLIENT_LIMITS


class Gateway:
    """Opens tunnels through a gateway.

    Args:
        reactor: opens connections and keeps the time.
        route: how to get there.
        readiness: watches sockets in that reactor; None means one of its own.
        say: gets a sentence for each step, for people.
    """

    def __init__(
        self,
        reactor: Any,
        route: Route,
        *,
        readiness: Readiness | None = None,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.readiness = readiness or Readiness(reactor)
        self.route = route
        self._reactor = reactor
        self._say = say
        self._factory = GatewayFactory(limits=route.limits, reactor=reactor, readiness=self.readiness)
        self._context: SSL.Context | None = None

    def open(
        self,
        target: Requested,
        local: Local,
        *,
        connected: Callable[[], None] | None = None,
    ) -> Deferred[ClientTunnel]:
        """Open a tunnel.

        Args:
            target: where to.
            local: makes the local end, once the gateway has accepted the request. Its transport is open.
            connected: called once the target is connected. A gateway without portofcall.v1 does not report
                that; then it is called once the gateway has accepted the request.

        Returns:
            The tunnel. The gateway connects to the target only now, and a target that it can't reach is a
            `Problem` of `ClientTunnel.closed`. Fails with `Problem` if the gateway is not reachable, or
            refuses. Cancelling gives it up.
        """
        return self._in_time(Deferred.fromCoroutine(self._open(target, local, connected)))

    def connect(self) -> Deferred[Stream]:
        """Open a connection for other requests than tunnels; `Problem` if that fails."""
        return self._in_time(Deferred.fromCoroutine(self._dial()))

    async def headers(self) -> list[tuple[str, str]]:
        """Return the headers of every request: host, program and credentials."""
        login = await self.route.login()
        found = [("Host", self.route.url.host_header), ("User-Agent", f"portofcall/{__version__}")]
        if login.ticket is not None:
            found.append(("Authorization", f"Bearer {login.ticket}"))
        elif login.user is not None:
            basic = b64encode(f"{login.user}:{login.password or ''}".encode()).decode("ascii")
            found.append(("Authorization", f"Basic {basic}"))
        return found

    def check(self) -> None:
        """Load the files of the TLS options.

        Raises:
            Problem: one can't be read, or is not what it should be.
        """
        if self.route.url.secure:
            self._make_context()

    async def _open(
        self, target: Requested, local: Local, connected: Callable[[], None] | None
    ) -> ClientTunnel:
        headers = await self.headers()
        if connected is not None:
            headers.append((REPORT_HEADER, REPORT_CONNECTED))
        stream = await self._dial()
        try:
            handshake, head_size = await self._shake_hands(stream, target, headers)
            stream.take(head_size)
        except BaseException:
            cast(Any, stream.transport).abortConnection()
            raise
        return self._begin(stream, handshake, local, connected)

    async def _dial(self) -> Stream:
        route = self.route
        self._say(f"connecting to {route.url}" + (f" through {route.proxy}" if route.proxy else ""))
        return await dial(
            self._reactor,
            route.url,
            proxy=route.proxy,
            context=self._make_context,
            timeout_seconds=route.connect_timeout_seconds,
        )

    async def _shake_hands(
        self, stream: Stream, target: Requested, headers: list[tuple[str, str]]
    ) -> tuple[Handshake, int]:
        nonce = os.urandom(16)
        resource = self.route.url.resource(target)
        stream.write(opening_handshake.request(resource, headers, nonce=nonce, protocols=PROTOCOLS))
        head = None
        while head is None:
            data = await stream.read_more()
            head = http_response.parse_head(data)
        if not opening_handshake.is_upgrade(head):
            raise http_response.refusal(head, await self.body_of(stream, head))
        protocol = opening_handshake.agreed_protocol(head, nonce=nonce, offered=PROTOCOLS)
        self._say(f"the gateway opens a tunnel to {target}, with {protocol or 'no subprotocol'}")
        return Handshake("", protocol, ""), head.size

    async def body_of(self, stream: Stream, head: http_response.Head) -> bytes:
        """Read a response to its end, or as far as it comes within 2 seconds.

        Args:
            stream: it has come from there.
            head: its head.
        """
        deadline: Deferred[None] = Deferred.fromCoroutine(self._read_body(stream, head))
        deadline.addTimeout(_BODY_SECONDS, self._reactor)
        try:
            await deadline
        except (TimeoutError, Problem):
            # What has come may still be enough.
            return stream.early
        return stream.early

    async def _read_body(self, stream: Stream, head: http_response.Head) -> None:
        while not http_response.is_complete(head, stream.early):
            await stream.read_more()

    def _begin(
        self, stream: Stream, handshake: Handshake, local: Local, connected: Callable[[], None] | None
    ) -> ClientTunnel:
        tunnel: ClientTunnel | None = None

        def begin(end: Any) -> ClientTunnel:
            nonlocal tunnel
            tunnel = ClientTunnel(end, limits=self.route.limits, clock=self._reactor)
            return tunnel

        end: GatewayEnd = self._factory.build(begin, lambda: None)
        end.on_connected = connected if handshake.protocol == SUBPROTOCOL else None
        transport: Any = stream.transport
        early = stream.early
        if isinstance(transport, ProtocolWrapper):
            stream.hand_over(end)
        else:
            transport.protocol = end
        set_options(transport)
        end.makeConnection(direct_transport(transport, self.readiness, end.dataReceived))
        end.resumeProducing()
        end.shake_hands(handshake)
        assert tunnel is not None
        tunnel.begin(local(tunnel))
        if connected is not None and handshake.protocol != SUBPROTOCOL:
            connected()
        if early:
            end.dataReceived(early)
        return tunnel

    def _make_context(self) -> SSL.Context:
        if self._context is None:
            try:
                self._context = make_context(self.route.tls)
            except ValueError as error:
                raise usage(str(error)) from None
        return self._context

    def _in_time(self, work: Deferred[Any]) -> Deferred[Any]:
        seconds = self.route.connect_timeout_seconds

        def late(_value: object, _seconds: float) -> None:
            sentence = f"no response within {seconds:g} seconds"
            raise Problem("gateway-timeout", f"{self.route.url}: {sentence}", Status.UNREACHABLE)

        return work.addTimeout(seconds, self._reactor, onTimeoutCancel=late)
