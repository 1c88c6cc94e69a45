"""A transport in memory: one connection of the gateway, with the peer's side of it in the test's hands."""

from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProducer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IPushProducer)
class FakeTransport:
    """A connection in memory. Like Twisted's transports it buffers, and pauses its producer while it is full.

    The gateway sees a transport. The test plays the peer: `send`, `fin` and `lose` act on the gateway; `take`
    and `drain` read what the gateway wrote.

    Args:
        local_host: the gateway's address on this connection, as `getHost` returns it.
        buffer_size: see below.

    Attributes:
        protocol: the gateway's protocol on this connection.
        buffer: what the gateway wrote and the peer has not read.
        buffer_size: how many bytes may be buffered before the producer is paused.
        delivered: what the peer has read, since the last `take`.
        paused: whether the gateway has stopped reading from the peer.
        producer: the registered producer, or None.
        producer_paused: whether it is paused, because the buffer was full and has not been drained.
        disconnecting: whether the gateway has asked for the connection to be closed.
        log: what the gateway did to the connection, in order: ``nodelay=True``, ``keepalive=True``, ``fin``
            (`loseWriteConnection`), ``close`` (`loseConnection`), ``reset`` (`abortConnection`).
    """

    def __init__(self, *, local_host: str = "192.0.2.2", buffer_size: int = 64 * 1024) -> None:
        self.protocol: Any = None
        self.buffer = b""
        self.delivered = b""
        self.paused = False
        self.producer: IPushProducer | None = None
        self.disconnecting = False
        self.log: list[str] = []
        self._local_host = local_host
        self.buffer_size = buffer_size
        self.producer_paused = False

    # The peer's side

    def send(self, data: bytes) -> None:
        """Send ``data`` to the gateway."""
        self.protocol.dataReceived(data)

    def take(self) -> bytes:
        """Read everything, and return what was read since the last call."""
        while self.buffer:
            self.drain()
        taken, self.delivered = self.delivered, b""
        return taken

    def drain(self, most: int | None = None) -> None:
        """Read at most ``most`` bytes; None means all."""
        count = len(self.buffer) if most is None else most
        self.delivered += self.buffer[:count]
        self.buffer = self.buffer[count:]
        if not self.buffer and self.producer is not None and self.producer_paused:
            self.producer_paused = False
            self.producer.resumeProducing()

    def fin(self) -> None:
        """Send FIN; where the gateway's protocol can end one direction, as a backend's can, still read."""
        protocol = IHalfCloseableProtocol(self.protocol, None)
        if protocol is None:
            self.lose()
        else:
            protocol.readConnectionLost()

    def lose(self, reason: Exception | None = None) -> None:
        """End the connection: ``reason`` is an error of `twisted.internet.error`; None means a clean end."""
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    # The gateway's side

    def write(self, data: bytes) -> None:
        """Buffer ``data`` (`ITransport`)."""
        assert isinstance(data, bytes)
        self.buffer += data
        if self.producer is not None and len(self.buffer) > self.buffer_size:
            self.producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        """Buffer the pieces as one (`ITransport`)."""
        pieces = list(pieces)
        assert all(isinstance(piece, bytes) for piece in pieces), "Twisted takes nothing else here"
        self.write(b"".join(pieces))

    def pauseProducing(self) -> None:
        """Set `paused` (`IPushProducer`)."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Clear `paused` (`IPushProducer`)."""
        self.paused = False

    def stopProducing(self) -> None:
        """Fail: the gateway pauses a transport or closes it (`IPushProducer`)."""
        raise AssertionError("a transport is closed, not stopped")

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Pause ``producer`` while the buffer is full (`IConsumer`)."""
        assert self.producer is None
        assert streaming
        self.producer = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        """Forget the producer (`IConsumer`)."""
        self.producer = None

    def getPeer(self) -> IPv4Address:
        """Return an address for documentation (RFC 5737), port 40000."""
        return IPv4Address("TCP", "192.0.2.1", 40000)

    def getHost(self) -> IPv4Address:
        """Return ``local_host``, port 8080."""
        return IPv4Address("TCP", self._local_host, 8080)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Add ``nodelay=…`` to `log`."""
        self.log.append(f"nodelay={enabled}")

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Add ``keepalive=…`` to `log`."""
        self.log.append(f"keepalive={enabled}")

    def loseWriteConnection(self) -> None:
        """Add ``fin`` to `log`."""
        assert self.producer is None, "a transport with a producer never closes"
        self.log.append("fin")

    def loseConnection(self) -> None:
        """Add ``close`` to `log`."""
        assert self.producer is None, "a transport with a producer never closes"
        self.disconnecting = True
        self.log.append("close")

    def abortConnection(self) -> None:
        """Add ``reset`` to `log`."""
        self.log.append("reset")
