"""Connect to one of several addresses, and to no other. Only `portofcall.egress.dialer` uses this."""

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Generic, NoReturn, TypeVar, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.target import Address

P = TypeVar("P", bound=IProtocol)


class Attempts(Generic[P]):
    """The attempts of one dial: one address directly, several by happy eyeballs (RFC 8305).

    Args:
        reactor: opens the connections.
        addresses: those that were judged; at least one.
        build: makes the protocol, once a connection is open.
        monotonic: a clock in seconds that never jumps.

    Attributes:
        protocol: what ``build`` made.
        winner: the address that answered first.
        rtt_ms: how long its TCP handshake took, in milliseconds.
    """

    protocol: P
    winner: Address
    rtt_ms: float

    def __init__(
        self,
        reactor: Any,
        addresses: Sequence[Address],
        build: Callable[[], P],
        *,
        monotonic: Callable[[], float],
    ) -> None:
        self._reactor = reactor
        self._addresses = addresses
        self._build = build
        self._monotonic = monotonic
        self._started: dict[Address, float] = {}

    async def connect(self, port: int, *, seconds: float) -> None:
        """Connect, and set the attributes. Cancelling gives all attempts up.

        Args:
            port: where to.
            seconds: for all attempts together.

        Raises:
            TimeoutError: (`twisted.internet.defer`) none answered in time.
            ConnectError: (`twisted.internet.error`) all failed; one of their errors.
            ConnectingCancelledError: (`twisted.internet.error`) it was given up.
        """
        if len(self._addresses) == 1:
            connecting = self._connect_to_one(self._addresses[0], port)
        else:
            reactor = _JudgedReactor(self._reactor, self._addresses, self._start)
            endpoint = HostnameEndpoint(reactor, "judged.invalid", port, timeout=seconds)
            connecting = endpoint.connect(_Winner(self._won))
        await connecting.addTimeout(seconds, self._reactor, _time_out)

    def _connect_to_one(self, address: Address, port: int) -> Deferred[IProtocol]:
        """Connect as an endpoint does, but with no protocol of its own that every byte goes through."""
        attempt = _OnlyAttempt(self._won)
        self._start(address)
        # The time limit is that of the whole.
        attempt.connector = self._reactor.connectTCP(str(address), port, attempt, timeout=None)
        return attempt.connecting

    def _start(self, address: Address) -> None:
        self._started[address] = self._monotonic()

    def _won(self, address: Address) -> P:
        # The time first: the connection has just opened.
        self.rtt_ms = (self._monotonic() - self._started[address]) * 1000
        self.winner = address
        self.protocol = self._build()
        return self.protocol


def _time_out(_result: object, _seconds: float) -> NoReturn:
    """Say that time ran out; endpoints have a word of their own for being cancelled."""
    raise TimeoutError()


class _Winner(ClientFactory):
    """Builds the protocol of the attempt that wins."""

    noisy = False

    def __init__(self, won: Callable[[Address], Any]) -> None:
        self._won = won

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Build, for the address that answered."""
        assert isinstance(addr, IPv4Address | IPv6Address)
        return self._won(ip_address(addr.host.partition("%")[0]))


class _OnlyAttempt(_Winner):
    """Tells when the connection is open, or why it is not.

    Attributes:
        connecting: fires with the protocol once that is connected. Cancelling gives the attempt up.
        connector: gives it up.
    """

    connector: IConnector

    def __init__(self, won: Callable[[Address], Any]) -> None:
        super().__init__(won)
        self.connecting: Deferred[IProtocol] = Deferred(self._give_up)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Build, and have the protocol tell when it is connected."""
        protocol = super().buildProtocol(addr)
        made = protocol.connectionMade

        def connection_made() -> None:
            del protocol.connectionMade
            made()
            self.connecting.callback(protocol)

        protocol.connectionMade = connection_made
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Say why."""
        if not self.connecting.called:
            self.connecting.errback(reason)

    def _give_up(self, connecting: Deferred[IProtocol]) -> None:
        connecting.errback(ConnectingCancelledError(self.connector.getDestination()))
        self.connector.stopConnecting()


@implementer(IReactorTime, IReactorTCP, IReactorPluggableNameResolver, IHostnameResolver)
class _JudgedReactor:
    """What `HostnameEndpoint` may use of a reactor for one dial: a clock, and the judged addresses.

    To it this is the reactor and the resolver: the name resolves to the judged addresses, and a connection
    to any other can't be opened.

    Args:
        reactor: opens the connections.
        addresses: those that were judged.
        starting: called with the address of each attempt.
    """

    def __init__(
        self, reactor: Any, addresses: Sequence[Address], starting: Callable[[Address], None]
    ) -> None:
        self.nameResolver = self
        self._reactor = reactor
        self._addresses = addresses
        self._starting = starting

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Start one attempt (`IReactorTCP`)."""
        address = ip_address(host)
        if address not in self._addresses:
            raise RuntimeError(f"{host} was not judged")
        self._starting(address)
        return cast(IConnector, self._reactor.connectTCP(host, port, factory, timeout, bindAddress))

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Refuse: a dial listens to nothing (`IReactorTCP`)."""
        raise RuntimeError("a dial does not listen")

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Replay the judged addresses (`IHostnameResolver`)."""
        resolution = _Replay(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in self._addresses:
            kind = IPv4Address if address.version == 4 else IPv6Address
            resolutionReceiver.addressResolved(kind("TCP", str(address), portNumber))
        resolutionReceiver.resolutionComplete()
        return resolution

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """Refuse: the answers of one dial are fixed (`IReactorPluggableNameResolver`)."""
        raise RuntimeError("a dial keeps its answers")

    def seconds(self) -> float:
        """Tell the reactor's time (`IReactorTime`)."""
        return cast(float, self._reactor.seconds())

    def callLater(self, delay: float, callable: Any, *args: object, **kwargs: object) -> IDelayedCall:
        """Call later, by the reactor (`IReactorTime`)."""
        return cast(IDelayedCall, self._reactor.callLater(delay, callable, *args, **kwargs))

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """List the reactor's delayed calls (`IReactorTime`)."""
        return cast("Sequence[IDelayedCall]", self._reactor.getDelayedCalls())


@implementer(IHostResolution)
class _Replay:
    """A resolution that is over as soon as it began."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing: it is over."""
