"""Resolve once, judge every address, connect to a judged address. Nothing else opens TCP connections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Generic, NoReturn, TypeVar, cast

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
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
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ClientFactory
from zope.interface import implementer

from portofcall.egress import Policy
from portofcall.errors import Blocked, ConnectTimedOut, NameNotFound, NameTimedOut, Refused, Unreachable
from portofcall.limits import Limits
from portofcall.resolve import Address, Resolver
from portofcall.target import Target

P = TypeVar("P", bound=IProtocol)


@dataclass(frozen=True, slots=True)
class Dialed(Generic[P]):
    """An open connection.

    Attributes:
        protocol: what the connection is attached to.
        address: the judged address that it goes to.
        rtt_ms: how long the TCP handshake took, look-up and earlier attempts not counted, in milliseconds.
    """

    protocol: P
    address: Address
    rtt_ms: float


class Dialer:
    """The only opener of TCP connections.

    Args:
        reactor: opens the connections and keeps the time limits.
        resolver: asked at most once per dial.
        policy: judges each address; may be replaced while running, for the dials that follow.
        limits: the time limits.
        monotonic: a clock in seconds that never jumps, for ``rtt_ms``.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        resolver: Resolver,
        policy: Policy,
        limits: Limits,
        monotonic: Callable[[], float],
    ) -> None:
        self.policy = policy
        self._reactor = reactor
        self._resolver = resolver
        self._limits = limits
        self._monotonic = monotonic

    async def dial(
        self, target: Target, build: Callable[[], P], *, timeout_seconds: float | None = None
    ) -> Dialed[P]:
        """Open a connection to ``target``. Cancelling gives the attempt up.

        Args:
            target: where to.
            build: makes the protocol, once a connection is open.
            timeout_seconds: for look-up and connection each; None means what the limits say.

        Returns:
            The open connection.

        Raises:
            Blocked: the policy refuses the target, or one of its addresses.
            NameNotFound: the name has no address.
            NameTimedOut: the look-up took longer than its limit.
            Refused: nothing listens there.
            ConnectTimedOut: no answer within the limit.
            Unreachable: the network or the operating system would not have it.
        """
        addresses = await self._judged_addresses(target, timeout_seconds)
        seconds = timeout_seconds or self._limits.connect_timeout_seconds
        attempts = _Attempts(self._reactor, addresses, self._monotonic)
        factory = _OneProtocol(build, attempts)
        try:
            connecting = attempts.endpoint(target.port, seconds).connect(factory)
            await connecting.addTimeout(seconds, self._reactor, _time_out)
        except error.ConnectingCancelledError:
            raise CancelledError() from None
        except error.ConnectionRefusedError:
            raise Refused(f"{target} refused the connection") from None
        except (error.TimeoutError, error.TCPTimedOutError, TimeoutError):
            raise ConnectTimedOut(f"{target} did not answer within {seconds:g} s") from None
        except error.ConnectError as problem:
            detail = problem.osError if problem.osError else problem.__doc__
            raise Unreachable(f"{target} can't be reached ({detail})") from None
        return Dialed(factory.built, attempts.winner, attempts.rtt_ms)

    async def _judged_addresses(self, target: Target, timeout_seconds: float | None) -> Sequence[Address]:
        verdict = self.policy.judge_name(target)
        if not verdict.allowed:
            raise Blocked(verdict.reason)
        if target.address is not None:
            return [target.address]
        limit = self._limits.dns_timeout_seconds
        seconds = min(limit, timeout_seconds or limit)
        try:
            addresses = await self._resolver.resolve(target.host).addTimeout(seconds, self._reactor)
        except TimeoutError:
            raise NameTimedOut(f"{target.host} was not resolved within {seconds:g} s") from None
        except (OSError, UnicodeError):
            raise NameNotFound(f"{target.host} has no address") from None
        if not addresses:
            raise NameNotFound(f"{target.host} has no address")
        verdict = self.policy.judge(target, addresses)
        if not verdict.allowed:
            raise Blocked(verdict.reason)
        return addresses


def _time_out(_result: object, _seconds: float) -> NoReturn:
    """Say that time ran out; endpoints have a word of their own for being cancelled."""
    raise TimeoutError()


class _OneProtocol(ClientFactory, Generic[P]):
    """Builds the protocol of the attempt that wins, and notes the moment."""

    noisy = False
    built: P

    def __init__(self, build: Callable[[], P], attempts: "_Attempts") -> None:
        self._build = build
        self._attempts = attempts

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Take the time first: the connection has just opened."""
        assert isinstance(addr, IPv4Address | IPv6Address)
        self._attempts.connected(ip_address(addr.host.partition("%")[0]))
        self.built = self._build()
        return self.built


@implementer(IReactorTime, IReactorTCP, IReactorPluggableNameResolver, IHostnameResolver)
class _Attempts:
    """What `HostnameEndpoint` may use of a reactor for one dial: a clock, and the judged addresses.

    To it this is the reactor and the resolver: the name resolves to the judged addresses, and a connection
    to any other can't be opened.

    Attributes:
        winner: the address that answered first.
        rtt_ms: how long its handshake took, in milliseconds.
    """

    winner: Address
    rtt_ms: float

    def __init__(self, reactor: Any, addresses: Sequence[Address], monotonic: Callable[[], float]) -> None:
        self.nameResolver = self
        self._reactor = reactor
        self._addresses = addresses
        self._monotonic = monotonic
        self._started: dict[Address, float] = {}

    def endpoint(self, port: int, seconds: float) -> IStreamClientEndpoint:
        """Choose what connects: one address directly, several by happy eyeballs (RFC 8305)."""
        if len(self._addresses) > 1:
            return HostnameEndpoint(self, "judged.invalid", port, timeout=seconds)
        kind = TCP4ClientEndpoint if self._addresses[0].version == 4 else TCP6ClientEndpoint
        return kind(self, str(self._addresses[0]), port, timeout=seconds)

    def connected(self, address: Address) -> None:
        """Note that ``address`` has answered."""
        self.winner = address
        self.rtt_ms = (self._monotonic() - self._started[address]) * 1000

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> IConnector:
        """Start one attempt (`IReactorTCP`)."""
        address = ip_address(host)
        if address not in self._addresses:
            raise RuntimeError(f"{host} was not judged")
        self._started[address] = self._monotonic()
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
