"""A whole gateway in memory, with its clock, its resolver and the connections that it opens."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from portofcall.access.authenticator import Credentials
from portofcall.access.gatekeeper import AccessRules
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import DEFAULT_ALLOW, Policy
from portofcall.egress.proxy_rules import ProxyRule
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits
from portofcall.target import Address
from portofcall.testing.transports import FakeTransport

#: The time at which a world begins, in seconds since 1970.
_STARTED = 1_800_000_000.0


class FakeResolver:
    """A resolver with a table of names.

    Args:
        names: the addresses of each name. An empty list means that the name has none; None means that no
            answer ever comes.

    Attributes:
        names: the table; may be changed.
        default: the addresses of every name that is missing in the table.
        asked: the names that were looked up, in order.
    """

    def __init__(self, names: dict[str, list[str] | None]) -> None:
        self.names = names
        self.default: list[str] | None = []
        self.asked: list[str] = []

    def resolve(self, name: str, *, client: str) -> Deferred[Sequence[Address]]:
        """See `portofcall.Resolver.resolve`."""
        self.asked.append(name)
        answers = self.names.get(name, self.default)
        if answers is None:
            return Deferred()
        if not answers:
            return fail(OSError(-2, "Name or service not known"))
        return succeed([ip_address(answer) for answer in answers])


class World:
    """A gateway in memory: nothing is sent, and time stands still until ``reactor.advance(seconds)``.

    Args:
        allow: the policy's rules that allow.
        deny: the policy's rules that deny.
        targets: named targets, see `portofcall.Targets.parse`; with them ``allow`` may be empty.
        names: what names resolve to; see `FakeResolver`.
        limits: as for `portofcall.Gateway`.
        rules: as for `portofcall.Gateway`.
        credentials: as for `portofcall.Gateway`.
        send_proxy: the words of ``--send-proxy``, for as many rules.

    Attributes:
        reactor: a `MemoryReactorClock`.
        resolver: a `FakeResolver`.
        limits: the gateway's limits.
        local_networks: the networks of the machine that the gateway is on; none at first.
        gateway: the gateway.
        site: what clients connect to. Replace it to test a `Site` of your own.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = ("public",),
        deny: Iterable[str] = (),
        targets: Iterable[str] | None = None,
        names: dict[str, list[str] | None] | None = None,
        limits: Limits | None = None,
        rules: AccessRules | None = None,
        credentials: Credentials | None = None,
        send_proxy: Iterable[str] = (),
    ) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.resolver = FakeResolver(names or {})
        self.limits = limits or Limits()
        self.local_networks = LocalNetworks()
        self.gateway = Gateway(
            self.reactor,
            policy=Policy.parse(allow=allow, deny=deny, default=DEFAULT_ALLOW if targets is None else ()),
            targets=None if targets is None else Targets.parse(targets),
            limits=self.limits,
            rules=rules,
            credentials=credentials,
            resolver=self.resolver,
            local_networks=lambda: self.local_networks,
            wall_clock=lambda: self.now,
            monotonic=self.reactor.seconds,
            proxy_rules=[ProxyRule.parse(text) for text in send_proxy],
        )
        self.site: Any = self.gateway.site()

    @property
    def now(self) -> float:
        """The time for tickets, in seconds since 1970. It advances with the reactor's."""
        return _STARTED + cast(float, self.reactor.seconds())

    def connect(self, *, local_host: str = "192.0.2.2") -> FakeTransport:
        """Connect a client to the gateway, in a new turn of the reactor.

        Args:
            local_host: the gateway's address on this connection.

        Returns:
            The connection.
        """
        self.reactor.advance(0)
        transport = FakeTransport(local_host=local_host)
        transport.protocol = self.site.buildProtocol(transport.getPeer())
        transport.protocol.makeConnection(transport)
        return transport

    @property
    def dialed(self) -> list[tuple[str, int]]:
        """The address and port of each connection attempt, in order; of a UNIX socket its path and 0."""
        return [_where(address) for address, _ in self._attempts]

    @property
    def given_up(self) -> list[tuple[str, int]]:
        """The address and port of each attempt that the gateway gave up, in the order of `dialed`."""
        connectors = zip(self.dialed, self.reactor.connectors, strict=True)
        return [where for where, connector in connectors if connector._disconnected]

    def accept(self, attempt: int = -1) -> FakeTransport:
        """Let a connection attempt succeed.

        Args:
            attempt: which of `dialed`; the last one by default.

        Returns:
            The connection. The test plays the backend.
        """
        address, factory = self._attempts[attempt]
        transport = FakeTransport()
        transport.protocol = factory.buildProtocol(address)
        transport.protocol.makeConnection(transport)
        return transport

    def refuse(self, error: Exception, attempt: int = -1) -> None:
        """Let a connection attempt fail.

        Args:
            error: one of `twisted.internet.error`, such as ``ConnectionRefusedError()``.
            attempt: which of `dialed`; the last one by default.
        """
        _, factory = self._attempts[attempt]
        factory.clientConnectionFailed(self.reactor.connectors[attempt], Failure(error))

    @property
    def _attempts(self) -> list[tuple[Any, Any]]:
        """The address and the factory of each connection attempt, in order."""
        factories = {
            UNIXAddress: (factory for _, factory, *_ in self.reactor.unixClients),
            IPv4Address: (factory for _, _, factory, *_ in self.reactor.tcpClients),
        }
        addresses = [connector.getDestination() for connector in self.reactor.connectors]
        return [
            (address, next(factories[UNIXAddress if isinstance(address, UNIXAddress) else IPv4Address]))
            for address in addresses
        ]


def _where(address: IPv4Address | IPv6Address | UNIXAddress) -> tuple[str, int]:
    if isinstance(address, UNIXAddress):
        assert address.name is not None
        return address.name.decode(), 0
    return address.host, address.port
