"""Opens connections to gateways: TCP or UNIX, through a proxy or not, with TLS or not."""

from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from portofcall.client.gateway_url import GatewayURL
from portofcall.client.problem import Problem, Status
from portofcall.client.proxy import Proxy, ask_proxy
from portofcall.errors import printable
from portofcall.target import Target
from portofcall.tls_client import start_tls, tls_problem


class Stream(Protocol):
    """A connection before its tunnel begins: what has come is read on demand.

    Attributes:
        early: what has come and was not taken.
    """

    def __init__(self) -> None:
        self.early = b""
        self._seen = False
        self._more: Deferred[bytes] | None = None
        self._lost: Failure | None = None
        self._next: Any = None

    def write(self, data: bytes) -> None:
        """Send ``data``."""
        cast(Any, self.transport).write(data)

    async def read_more(self) -> bytes:
        """Wait until something has come, or more of it than at the last call; return all of it.

        Raises:
            Problem: the connection is lost.
        """
        if not self.early or self._seen:
            if self._lost is not None:
                raise _lost(self._lost)
            self._more = Deferred()
            await self._more
        self._seen = True
        return self.early

    def take(self, size: int) -> None:
        """Remove that many bytes from what has come."""
        self.early = self.early[size:]
        self._seen = False

    def hand_over(self, protocol: Any) -> None:
        """Have all that still comes passed on to ``protocol``, also the end of the connection."""
        self._next = protocol
        self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]

    def dataReceived(self, data: bytes) -> None:
        """Keep ``data``."""
        if self._next is not None:
            self._next.dataReceived(data)
            return
        self.early += data
        self._seen = False
        more, self._more = self._more, None
        if more is not None:
            more.callback(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection."""
        self._lost = reason
        if self._next is not None:
            self._next.connectionLost(reason)
        more, self._more = self._more, None
        if more is not None:
            more.errback(_lost(reason))


async def dial(
    reactor: Any,
    gateway: GatewayURL,
    *,
    proxy: Proxy | None,
    context: Callable[[], SSL.Context],
    timeout_seconds: float,
) -> Stream:
    """Open a connection to a gateway. Cancelling gives it up.

    Args:
        reactor: opens it.
        gateway: where it is.
        proxy: goes in between; None for a direct connection. UNIX sockets are always direct.
        context: makes the context for TLS.
        timeout_seconds: for each attempt to connect over TCP.

    Raises:
        Problem: the gateway or the proxy is not reachable, the proxy refuses, or TLS fails.
    """
    if gateway.unix_path:
        proxy = None
    where = f"the proxy {proxy.server}" if proxy else str(gateway)
    endpoint = _endpoint(reactor, gateway, proxy, timeout_seconds)
    try:
        stream: Stream = await connectProtocol(endpoint, Stream())
    except ConnectingCancelledError:
        raise CancelledError from None
    except (ConnectError, DNSLookupError, OSError) as error:
        why = printable(str(error).strip().rstrip("."))
        raise Problem("gateway-unreachable", f"can't connect to {where}: {why}", Status.UNREACHABLE) from None
    try:
        if proxy is not None:
            await ask_proxy(stream, proxy, gateway.server)
        if gateway.secure:
            stream = await _start_tls(stream, gateway.server, context(), reactor)
    except BaseException:
        cast(Any, stream.transport).abortConnection()
        raise
    return stream


def _endpoint(
    reactor: Any, gateway: GatewayURL, proxy: Proxy | None, timeout_seconds: float
) -> IStreamClientEndpoint:
    if gateway.unix_path:
        return UNIXClientEndpoint(reactor, gateway.unix_path, timeout=timeout_seconds)
    server = gateway.server if proxy is None else proxy.server
    if server.address is None:
        return HostnameEndpoint(reactor, server.host, server.port, timeout=timeout_seconds)
    endpoint = TCP4ClientEndpoint if server.address.version == 4 else TCP6ClientEndpoint
    return endpoint(reactor, server.host, server.port, timeout=timeout_seconds)


async def _start_tls(stream: Stream, server: Target, context: SSL.Context, reactor: Any) -> Stream:
    try:
        return await start_tls(stream.transport, server, context, Stream, reactor=reactor)
    except Exception as error:
        why = tls_problem(error)
        if why is None:
            raise
        raise Problem("gateway-tls-failed", f"TLS with {server}: {why}", Status.UNREACHABLE) from None


def _lost(reason: Failure) -> Problem:
    if isinstance(reason.value, SSL.Error):
        # With TLS 1.3 a server refuses the client's certificate after the handshake.
        return Problem("gateway-tls-failed", str(tls_problem(reason.value)), Status.UNREACHABLE)
    why = printable(reason.getErrorMessage().rstrip("."))
    return Problem("gateway-lost", f"the connection ended during the handshake: {why}", Status.UNREACHABLE)
