"""Stand-ins for sockets, resolver and reactor, so that a whole gateway can be watched without any."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProducer, IPushProducer
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.admission import Admission
from portofcall.credentials import Credentials
from portofcall.dial import Dialer
from portofcall.egress import Policy
from portofcall.entrance import AccessRules
from portofcall.gateway import Gateway
from portofcall.interfaces import Buffer, IClientEnd, IStreamTransport
from portofcall.limits import Limits
from portofcall.readnow import Readiness
from portofcall.resolve import Address
from portofcall.tcp import BackendEnd


@implementer(IPushProducer)
class FakeSource:
    """Something that sends; remembers whether it was told to stop."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0
        self.reads_bulk = True

    def pauseProducing(self) -> None:
        assert not self.paused, "paused twice"
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        assert self.paused, "resumed while it ran"
        self.paused = False

    def stopProducing(self) -> None:
        raise AssertionError("a source is never stopped")


class FakeTransport(FakeSource):
    """A transport that behaves as Twisted's do: it buffers, pauses its producer, and drains when told to.

    Attributes:
        delivered: what has left the buffer.
        buffer_size: how much may be buffered before the producer is paused.
    """

    def __init__(self, *, buffer_size: int = 64 * 1024) -> None:
        super().__init__()
        self.buffer_size = buffer_size
        self.buffer = b""
        self.delivered = b""
        self.producer: IPushProducer | None = None
        self.producer_paused = False
        self.disconnecting = False
        self.local = "192.0.2.2"
        self.queued_bytes = 0
        self.log: list[str] = []

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        assert self.producer is None
        assert streaming
        self.producer = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.buffer += data
        if self.producer is not None and len(self.buffer) > self.buffer_size:
            self.producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        pieces = list(pieces)
        assert all(isinstance(piece, bytes) for piece in pieces), "Twisted takes nothing else here"
        self.write(b"".join(pieces))

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 40000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.local, 8080)

    def take(self) -> bytes:
        """Read everything that has been written since the last time."""
        while self.buffer:
            self.drain()
        taken, self.delivered = self.delivered, b""
        return taken

    def drain(self, most: int | None = None) -> None:
        """Let the peer read ``most`` bytes, or all."""
        count = len(self.buffer) if most is None else most
        self.delivered += self.buffer[:count]
        self.buffer = self.buffer[count:]
        if not self.buffer and self.producer is not None and self.producer_paused:
            self.producer_paused = False
            self.producer.resumeProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.log.append(f"nodelay={enabled}")

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.log.append(f"keepalive={enabled}")

    def loseWriteConnection(self) -> None:
        assert self.producer is None, "a transport with a producer never closes"
        self.log.append("fin")

    def loseConnection(self) -> None:
        assert self.producer is None, "a transport with a producer never closes"
        self.disconnecting = True
        self.log.append("close")

    def abortConnection(self) -> None:
        self.log.append("reset")


@implementer(IClientEnd)
class FakeClient(FakeTransport):
    """The client's end of a tunnel: a transport that can send Close frames."""

    def write(self, data: Buffer) -> None:
        super().write(bytes(data))

    def close(self, code: int, reason: str) -> None:
        self.log.append(f"{code} {reason}".strip())

    def drop(self) -> None:
        self.unregisterProducer()
        self.log.append("close")

    def abort(self) -> None:
        self.log.append("reset")


def open_backend(transport: FakeTransport) -> BackendEnd:
    """Make a backend end that is connected through ``transport``."""
    backend = BackendEnd(Readiness(None))
    backend.makeConnection(cast(IStreamTransport, transport))
    return backend


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
            monotonic=self.reactor.seconds,
        )
        self.site: Any = self.gateway.site()
        self.ticks = 0.0

    def dialer(self) -> Dialer:
        """Make a dialer for this world alone; its monotonic clock is `ticks`."""
        return Dialer(
            self.reactor,
            resolver=self.resolver,
            policy=self.gateway.policy,
            admission=Admission(self.limits, now=self.reactor.seconds),
            own=self.gateway.own,
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


def lose(transport: FakeTransport, reason: Exception | None = None) -> None:
    """Let the connection of ``transport`` end."""
    if transport.producer is not None:
        transport.producer.stopProducing()
    protocol = cast(Any, transport).protocol
    protocol.connectionLost(Failure(reason or ConnectionDone()))


Send = Callable[[bytes], None]
