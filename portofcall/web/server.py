"""The HTTP server in front of a resource tree, and its lines in the log."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from twisted.web.http import Request as HTTPRequest
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import provider

from portofcall.errors import printable
from portofcall.limits.fair_eviction import FairEviction
from portofcall.limits.values import Limits
from portofcall.web.channel import GatewayChannel
from portofcall.web.connection_state import ConnectionState
from portofcall.web.health import is_health_check
from portofcall.web.request import GatewayRequest
from portofcall.websocket.turns import Turns


class GatewaySite(Site):
    """Serves a resource tree over HTTP/1.1, with bounds on requests and connections.

    A request that is over a limit is refused as soon as that is known; one that is not complete in its time
    ends the connection, however steadily it drips. When too many connections wait for their clients, each new
    one closes one of the client that has the most.

    Args:
        root: the tree.
        limits: on the size and time of requests.
        reactor: for time limits.
        turns: the budget of each turn of the reactor; shared by the sites of a gateway, like the next.
        waiting: the connections that wait for their clients.
        count: is called for each request when its head is complete; may raise a `RequestError` to refuse it.

    Attributes:
        waiting: as given.
    """

    def __init__(
        self,
        root: Resource,
        *,
        limits: Limits,
        reactor: Any,
        turns: Turns,
        waiting: FairEviction[ConnectionState],
        count: Callable[[Request], None],
    ) -> None:
        # Channels have deadlines of their own.
        super().__init__(
            root, requestFactory=GatewayRequest, logFormatter=access_line, timeout=None, reactor=reactor
        )
        self._limits = limits
        self._turns = turns
        self.waiting = waiting
        self._count = count

    def protocol(self) -> Any:
        """Make a channel. Twisted's own would speak HTTP/2 too, which has no connection to take over."""
        return GatewayChannel(
            self._limits, clock=self.reactor, turns=self._turns, waiting=self.waiting, count=self._count
        )

    def log(self, request: HTTPRequest) -> None:
        """Log a response, unless it was to a health check."""
        if not is_health_check(request.method, request.uri):
            super().log(request)

    def acceptableProtocols(self) -> list[bytes]:
        """Return the protocols for TLS to agree on (ALPN)."""
        return [b"http/1.1"]


@provider(IAccessLogFormatter)
def access_line(timestamp: str, request: Request) -> str:
    """Return a request's line for the log. A query with a ticket is left out, because that is a secret.

    Args:
        timestamp: the time of the response.
        request: has been responded to.
    """
    path, _, query = request.uri.decode("latin-1").partition("?")
    if "ticket" in unquote(unquote(path)).lower():
        # Escaped once too often, or behind a fragment: still a secret.
        path = "/..."
    if query:
        path += "?..." if "ticket" in unquote(query).lower() else f"?{printable(query, 200)}"
    peer = getattr(request.getClientAddress(), "host", None) or "local"
    method = printable(request.method.decode("latin-1"), 20)
    return f'{peer} [{timestamp}] "{method} {printable(path, 300)}" {request.code} {request.sentLength}'
