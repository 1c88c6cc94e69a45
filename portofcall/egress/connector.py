"""Connect to one of several addresses, or to a UNIX socket, and to nothing else.

Only `portofcall.egress.dialer` uses this.
"""

from collections import deque
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import TimeoutError
from twisted.internet.interfaces import IAddress, IConnector, IProtocol
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from portofcall.egress.tcp_connector import TCPConnector, connects_sockets
from portofcall.errors import TargetBusy
from portofcall.limits.admission import Lease
from portofcall.target import Address

P = TypeVar("P", bound=IProtocol)

#: The destination of an attempt: an address, or the path of a UNIX socket.
Endpoint = Address | PurePosixPath

#: How long an attempt has before the next one is started beside it (RFC 8305 section 5).
ATTEMPT_DELAY_SECONDS: Final = 0.25
#: How many attempts one dial may make.
MAX_ATTEMPTS: Final = 8


@dataclass(frozen=True, slots=True)
class Dialed(Generic[P]):
    """An open connection.

    Attributes:
        protocol: the protocol of the connection.
        address: the judged address, or the path, that it goes to.
        rtt_ms: how long the TCP handshake took, or connecting to the UNIX socket, in milliseconds. Look-up,
            other attempts and TLS are not counted.
        lease: the place of the target that the connection takes. Release it when the connection is closed.
    """

    protocol: P
    address: Endpoint
    rtt_ms: float
    lease: Lease


class Race(Generic[P]):
    """The connection attempts of one dial ("happy eyeballs", RFC 8305): the first to connect wins.

    An attempt starts 250 ms after the one before it, or as soon as one fails. It takes a lease when it
    starts, so an address that is only listed takes nothing; an address that is busy counts as a failed
    attempt. All attempts but the winner are given up, and their leases released.

    Args:
        reactor: opens the connections.
        judged: the addresses and paths that may be dialled.
        port: the port of the addresses.
        enter: takes the lease of one attempt, or raises `TargetBusy`.
        build: makes the protocol, once a connection is open.
        monotonic: a clock in seconds that never jumps.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        judged: Set[Endpoint],
        port: int,
        enter: Callable[[Endpoint], Lease],
        build: Callable[[], P],
        monotonic: Callable[[], float],
    ) -> None:
        self.build = build
        self.monotonic = monotonic
        self._reactor = reactor
        self._judged = judged
        self._port = port
        self._enter = enter
        self._running: set[_Attempt[P]] = set()
        self._problem: BaseException | None = None
        self._dialed: Dialed[P] | None = None
        self._news: Deferred[None] = Deferred()

    async def run(self, addresses: Sequence[Endpoint], *, timeout_seconds: float) -> Dialed[P]:
        """Connect. Cancelling gives all attempts up.

        Args:
            addresses: the addresses to try, in this order; at least one.
            timeout_seconds: for all of it.

        Raises:
            TargetBusy: all of them are busy.
            ConnectError: (`twisted.internet.error`) all failed; the error of the last one that was dialled.
            TimeoutError: (`twisted.internet.error`) the time was up before any was open.
        """
        left = deque(addresses)
        ends_at = self._reactor.seconds() + timeout_seconds
        try:
            while left or self._running:
                if left:
                    self._start(left.popleft())
                if self._running and self._dialed is None:
                    seconds = max(0.0, ends_at - self._reactor.seconds())
                    await self._wait(min(seconds, ATTEMPT_DELAY_SECONDS) if left else seconds)
                if self._dialed is not None:
                    return self._dialed
                if self._reactor.seconds() >= ends_at:
                    raise TimeoutError
            assert self._problem is not None
            raise self._problem
        finally:
            given_up, self._running = self._running, set()
            for attempt in given_up:
                attempt.give_up()

    def won(self, attempt: "_Attempt[P]", dialed: Dialed[P]) -> None:
        """Take the connection of an attempt, unless another one was first."""
        if attempt in self._running:
            self._running.remove(attempt)
            self._dialed = dialed
            self._wake()

    def failed(self, attempt: "_Attempt[P]", reason: Failure) -> None:
        """Go on without an attempt; one that was given up is no news."""
        if attempt in self._running:
            self._running.remove(attempt)
            attempt.lease.release()
            self._problem = reason.value
            self._wake()

    def _start(self, address: Endpoint) -> None:
        if address not in self._judged:
            raise RuntimeError(f"{address} was not judged")
        try:
            lease = self._enter(address)
        except TargetBusy as busy:
            self._problem = self._problem or busy
            return
        attempt = _Attempt(self, address, lease)
        self._running.add(attempt)
        if isinstance(address, PurePosixPath):
            self._reactor.connectUNIX(str(address), attempt, timeout=None)
        elif connects_sockets(self._reactor):
            TCPConnector(address, self._port, attempt, self._reactor).connect()
        else:
            self._reactor.connectTCP(str(address), self._port, attempt, timeout=None)

    async def _wait(self, seconds: float) -> None:
        """Wait until an attempt ends, and at most so many seconds."""
        self._news = Deferred()
        over = self._reactor.callLater(seconds, self._wake)
        try:
            await self._news
        finally:
            if over.active():
                over.cancel()

    def _wake(self) -> None:
        if not self._news.called:
            self._news.callback(None)


class _Attempt(ClientFactory, Generic[P]):
    """One connection attempt. It adds no protocol of its own that every byte would go through."""

    noisy = False
    _connector: Any = None

    def __init__(self, race: Race[P], address: Endpoint, lease: Lease) -> None:
        self.lease = lease
        self._race: Race[P] | None = race  # for as long as it runs
        self._address = address
        self._started = race.monotonic()

    def give_up(self) -> None:
        """Close the connection, open or not."""
        self.lease.release()
        if self._connector is not None:
            self._connector.disconnect()

    def startedConnecting(self, connector: IConnector) -> None:
        """Keep the connector, which can end the attempt."""
        self._connector = connector

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Build the protocol, and have it report when it is connected."""
        race = self._race
        assert race is not None, "nothing was built before"
        # The time first: the connection has just opened.
        rtt_ms = (race.monotonic() - self._started) * 1000
        built = race.build()
        protocol: Any = built
        made = protocol.connectionMade

        def connection_made() -> None:
            del protocol.connectionMade
            try:
                made()
            except OSError:
                # No descriptor or no memory of the kernel is left for it.
                race.failed(self, Failure())
                protocol.transport.abortConnection()
                return
            self._race = None
            race.won(self, Dialed(built, self._address, rtt_ms, self.lease))

        protocol.connectionMade = connection_made
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Report the failure."""
        if self._race is not None:
            self._race.failed(self, reason)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """Report a connection that was lost before the protocol had it."""
        self.clientConnectionFailed(connector, reason)
        if self._connector is not None:
            # The two keep each other alive, and the connector keeps this.
            self._connector.transport = self._connector = None
