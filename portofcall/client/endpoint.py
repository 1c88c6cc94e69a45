"""A tunnel as an endpoint: any Twisted client runs through a gateway."""

from typing import Any, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from portofcall.client.connection import Gateway, Route
from portofcall.client.gateway_url import GatewayURL
from portofcall.client.problem import Problem, Status
from portofcall.client.protocol_end import ProtocolEnd, TunnelAddress
from portofcall.client.tunnel import ClientTunnel, LocalEnd
from portofcall.target import Target


@implementer(IStreamClientEndpoint)
class GatewayEndpoint:
    """Connects to a target through a gateway (`IStreamClientEndpoint`).

    `connect` returns a Deferred that fires with the protocol once the gateway has accepted the request, and
    fails with `Problem` if it is not reachable or refuses. The gateway connects to the target after that: a
    target that it can't reach is the reason of ``connectionLost``, a `Problem` too.

    The transport has the producers of Twisted's, ``loseWriteConnection`` and ``abortConnection``. The end of
    what the target sends is a half-close for an `IHalfCloseableProtocol`; otherwise it closes the connection.

    Args:
        reactor: opens connections and keeps the time.
        gateway: a URL such as ``wss://gw.example``, or a `Route` or `Gateway` for everything else.
        host: the target's host, seen from the gateway.
        port: its port.

    Raises:
        ValueError: the URL is not valid.
        InvalidTarget: host or port is not valid.
    """

    def __init__(self, reactor: Any, gateway: "str | Route | Gateway", host: str, port: int) -> None:
        if isinstance(gateway, str):
            gateway = Route(url=GatewayURL.parse(gateway))
        self._gateway = Gateway(reactor, gateway) if isinstance(gateway, Route) else gateway
        self._reactor = reactor
        self._target = Target.parse(host, port)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Open a tunnel, and connect a protocol of the factory to it (`IStreamClientEndpoint`)."""
        address = TunnelAddress(self._target, self._gateway.route.url)
        try:
            protocolFactory.doStart()
            protocol = protocolFactory.buildProtocol(cast(IAddress, address))
        except Exception:  # noqa: BLE001 - a factory may raise anything; the Deferred reports it
            return fail()
        if protocol is None:
            return fail(Problem("no-protocol", "the factory made no protocol", Status.CUT_OFF))
        found: IProtocol = protocol

        def local(tunnel: ClientTunnel) -> LocalEnd:
            return ProtocolEnd(found, tunnel, address, self._reactor)

        opening = self._gateway.open(self._target, local)

        def opened(tunnel: ClientTunnel) -> IProtocol:
            # `ProtocolEnd` reports the end to the protocol.
            tunnel.closed.addErrback(lambda _: None)
            return found

        return opening.addCallback(opened)


def connect(reactor: Any, gateway: "str | Route | Gateway", host: str, port: int) -> GatewayEndpoint:
    """Return an endpoint for a target behind a gateway; see `GatewayEndpoint`."""
    return GatewayEndpoint(reactor, gateway, host, port)
