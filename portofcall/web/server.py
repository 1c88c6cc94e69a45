"""The HTTP server in front of a resource tree."""

from collections.abc import Callable
from typing import Any, cast

from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from portofcall.access.client_certificate import demand_certificate
from portofcall.limits.fair_eviction import FairEviction
from portofcall.limits.values import Limits
from portofcall.web.channel import GatewayChannel
from portofcall.web.connection_state import ConnectionState
from portofcall.web.health import health_paths, is_health_check
from portofcall.web.records import Records
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
        count: is called for each request but health checks when its head is complete; may raise a
            `RequestError` to refuse it.
        records: reports the outcome of requests.

    Attributes:
        waiting: as given.
        draining: whether connections are to close after the next response; never, unless it is replaced.
        needs_certificate: whether all requests but health checks need a client certificate; never, unless it
            is replaced. Load balancers that check the gateway's health over TLS have none.
    """

    #: The log shows the URL instead of the object.
    noisy = False
    #: Makes its connections.
    channel: Callable[..., GatewayChannel] = GatewayChannel

    def __init__(
        self,
        root: Resource,
        *,
        limits: Limits,
        reactor: Any,
        turns: Turns,
        waiting: FairEviction[ConnectionState],
        count: Callable[[Request], None],
        records: Records,
    ) -> None:
        # Channels have deadlines of their own.
        super().__init__(root, requestFactory=GatewayRequest, timeout=None, reactor=reactor)
        self._limits = limits
        self._health_paths = health_paths(root)
        self._turns = turns
        self.waiting = waiting
        self.draining: Callable[[], bool] = lambda: False
        self.needs_certificate: Callable[[], bool] = lambda: False
        self._count = count
        self._records = records

    def protocol(self) -> Any:
        """Make a channel. Twisted's own would speak HTTP/2 too, which has no connection to take over."""
        return self.channel(
            self._limits,
            clock=self.reactor,
            turns=self._turns,
            waiting=self.waiting,
            admit=self._admit,
            refused=self._records.refused_early,
            draining=self.draining,
        )

    def _admit(self, request: Request) -> None:
        if is_health_check(request.method, request.uri, self._health_paths):
            return
        self._count(request)
        if self.needs_certificate():
            self._records.authenticated(request, demand_certificate(request))

    def log(self, request: HTTPRequest) -> None:
        """Report a response, unless it was to a health check."""
        if not is_health_check(request.method, request.uri, self._health_paths):
            self._records.served(cast(Request, request))

    def acceptableProtocols(self) -> list[bytes]:
        """Return the protocols for TLS to agree on (ALPN)."""
        return [b"http/1.1"]
