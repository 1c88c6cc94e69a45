"""A whole gateway in memory, with its clock, its resolver and the connections that it opens."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from portofcall.access.authenticator import Credentials
from portofcall.access.gatekeeper import AccessRules
from portofcall.egress.dialer import Dialer
from portofcall.egress.policy import Policy
from portofcall.gateway import Gateway
from portofcall.limits.admission import Admission
from portofcall.limits.values import Limits
from portofcall.target import Address
from portofcall.testing.transports import FakeTransport

#: When a world begins, in seconds since 1970.
_STARTED = 1_800_000_000.0


class FakeResolver:
    """Answers from a table, and counts what it was asked.

    Attributes:
        names: the addresses of each name; an empty list means there is none, None that no answer comes.
        default: the same for names that are missing there.
        asked: the names it was asked for, in order.
    """

    def __init__(self, names: dict[str, list[str] | None]) -> None:
        self.names = names
        self.default: list[str] | None = []
        self.asked: list[str] = []

    def resolve(self, name: str, *, client: str) -> Deferred[Sequence[Address]]:
        """Answer from the table."""
        self.asked.append(name)
        answers = self.names.get(name, self.default)
        if answers is None:
            return Deferred()
        if not answers:
            return fail(OSError(-2, "Name or service not known"))
        return succeed([ip_address(answer) for answer in answers])


class World:
    """A gateway in memory: nothing is sent, time stands still unless it is turned.

    Attributes:
        reactor: remembers what the gateway tries to connect to.
        resolver: answers its look-ups.
        gateway: the gateway itself.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = ("public",),
        deny: Iterable[str] = (),
        names: dict[str, list[str] | None] | None = None,
        limits: Limits | None = None,
        rules: AccessRules | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.reactor: Any = MemoryReactorClock()
        self.resolver = FakeResolver(names or {})
        self.limits = limits or Limits()
        policy = Policy.parse(allow=allow, deny=deny)
        self.gateway = Gateway(
            self.reactor,
            policy=policy,
            limits=self.limits,
            rules=rules,
            credentials=credentials,
            resolver=self.resolver,
            wall_clock=lambda: self.now,
            monotonic=self.reactor.seconds,
        )
        self.site: Any = self.gateway.site()
        self.ticks = 0.0

    @property
    def now(self) -> float:
        """The time for tickets, in seconds since 1970; it goes with the reactor's."""
        return _STARTED + cast(float, self.reactor.seconds())

    def dialer(self) -> Dialer:
        """Make a dialer for this world alone; its monotonic clock is `ticks`."""
        return Dialer(
            self.reactor,
            resolver=self.resolver,
            policy=self.gateway.policy,
            admission=Admission(self.limits, now=self.reactor.seconds),
            loop_guard=self.gateway.loop_guard,
            limits=self.limits,
            monotonic=lambda: self.ticks,
        )

    def connect(self, *, local: str = "192.0.2.2") -> tuple[Any, FakeTransport]:
        """Connect a client to the gateway.

        Args:
            local: the gateway's address.

        Returns:
            What takes the client's bytes, as its ``dataReceived``, and the transport that shows the answers.
        """
        transport = FakeTransport()
        transport.local = local
        protocol = self.site.buildProtocol(transport.getPeer())
        transport.protocol = protocol  # type: ignore[attr-defined]
        protocol.makeConnection(transport)

        def send(data: bytes) -> None:
            transport.protocol.dataReceived(data)  # type: ignore[attr-defined]

        return send, transport

    def request(self, raw: bytes) -> bytes:
        """Send one request on a connection of its own, and return what comes back."""
        send, transport = self.connect()
        send(raw)
        return transport.take()

    @property
    def dialed(self) -> list[tuple[str, int]]:
        """The addresses and ports that were dialled, in order."""
        return [(host, port) for host, port, *_ in self.reactor.tcpClients]

    @property
    def given_up(self) -> list[tuple[str, int]]:
        """The addresses and ports of the connection attempts that were given up, in the order of `dialed`."""
        connectors = zip(self.dialed, self.reactor.connectors, strict=True)
        return [where for where, connector in connectors if connector._disconnected]

    def accept(self, attempt: int = -1) -> FakeTransport:
        """Let a connection attempt succeed; return the backend's side of it."""
        host, port, factory, *_ = self.reactor.tcpClients[attempt]
        kind = IPv6Address if ":" in host else IPv4Address
        transport = FakeTransport()
        protocol = factory.buildProtocol(kind("TCP", host, port))
        transport.protocol = protocol  # type: ignore[attr-defined]
        protocol.makeConnection(transport)
        return transport

    def refuse(self, error: Exception, attempt: int = -1) -> None:
        """Let a connection attempt fail."""
        factory = self.reactor.tcpClients[attempt][2]
        factory.clientConnectionFailed(self.reactor.connectors[attempt], Failure(error))
