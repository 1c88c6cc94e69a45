"""A client and a gateway in memory, with both ends of the connection between them."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from portofcall.client.connection import Gateway, Route
from portofcall.client.credentials import Login
from portofcall.client.gateway_url import GatewayURL
from portofcall.client.tunnel import CLIENT_LIMITS, ClientTunnel, LocalEnd
from portofcall.limits.values import Limits
from portofcall.relay.readiness import Readiness
from portofcall.target import Requested, Target
from portofcall.testing import PUBLIC, FakeTransport, World

TARGET = Target.parse(PUBLIC, 22)


class LocalConnection(LocalEnd):
    """A local end that is a connection in memory: the test plays the program that is connected."""

    def __init__(self) -> None:
        super().__init__(Readiness(None))
        self.ended_by_gateway = False
        self.connection = FakeTransport()

    def begin(self) -> None:
        self.connection.protocol = self

    def gateway_ended(self) -> None:
        self.ended_by_gateway = True


def result(work: Deferred[Any]) -> Any:
    """Return what a Deferred has fired with; a failure as its exception, None if it has not fired."""
    found: list[Any] = []

    def keep(value: Any) -> Any:
        found.append(value)
        return value

    work.addBoth(keep)
    if not found:
        return None
    work.addErrback(lambda _: None)
    return getattr(found[0], "value", found[0])


class Pair:
    """A client, a gateway in `World`, and the connection between them.

    Args:
        world: with the gateway; None makes one.
        login: the client's credentials.
        limits: the client's.

    Attributes:
        reactor: the client's own.
        client: its side of the connection, once there is one; the same for ``gateway``.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        url: str = "ws://192.0.2.2:8080",
        login: Login | None = None,
        limits: Limits = CLIENT_LIMITS,
    ) -> None:
        self.world = world or World()
        self.reactor: Any = MemoryReactorClock()
        source: Callable[[], Awaitable[Login]] = _constant(login or Login())
        self.client: Any = None
        self.gateway: Any = None
        self.opener = Gateway(self.reactor, Route(url=GatewayURL.parse(url), login=source, limits=limits))
        self.local = LocalConnection()
        self.opened: Deferred[ClientTunnel] | None = None

    def open(self, target: Requested = TARGET) -> Any:
        """Ask for a tunnel; return it, or the `Problem`."""

        def local(_: ClientTunnel) -> LocalEnd:
            self.local.makeConnection(self.local.connection)
            return self.local

        self.opened = self.opener.open(target, local)
        self.accept()
        return result(self.opened)

    def accept(self) -> None:
        """Let the client's connection attempt succeed, and exchange what both sides send."""
        *_, factory, _timeout, _bind = self.reactor.tcpClients[-1]
        self.client = FakeTransport()
        self.client.protocol = factory.buildProtocol(self.client.getPeer())
        self.gateway = self.world.connect()
        self.client.protocol.makeConnection(self.client)
        self.exchange()

    def accept_and_send(self, response: bytes) -> None:
        """Let the connection attempt succeed, and play a server that responds with this to anything."""
        *_, factory, _timeout, _bind = self.reactor.tcpClients[-1]
        self.client = FakeTransport()
        self.client.protocol = factory.buildProtocol(self.client.getPeer())
        self.client.protocol.makeConnection(self.client)
        self.client.send(response)

    def exchange(self) -> None:
        """Carry bytes, and the ends of directions, until nothing moves any more."""
        moved = True
        while moved:
            self.reactor.advance(0)
            self.world.reactor.advance(0)
            moved = False
            for sender, receiver in ((self.client, self.gateway), (self.gateway, self.client)):
                data = sender.take()
                if data:
                    receiver.send(data)
                    moved = True

    def lose(self, reason: Exception | None = None) -> None:
        """End the connection, for both."""
        for side in (self.client, self.gateway):
            side.lose(reason)


def _constant(login: Login) -> Callable[[], Awaitable[Login]]:
    async def source() -> Login:
        return login

    return source
