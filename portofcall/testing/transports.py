"""Transports in memory: they buffer, pause their producers, and drain when told to."""

from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProducer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.relay.interfaces import Buffer, IClientEnd


@implementer(IPushProducer)
class FakeSource:
    """Something that sends; remembers whether it was told to stop."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0
        self.reads_bulk = True

    def pauseProducing(self) -> None:
        """Stop sending, until resumed (`IPushProducer`)."""
        assert not self.paused, "paused twice"
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        """Send again (`IPushProducer`)."""
        assert self.paused, "resumed while it ran"
        self.paused = False

    def stopProducing(self) -> None:
        """Fail: a tunnel never stops a source (`IPushProducer`)."""
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
        """Stop sending, until resumed (`IPushProducer`)."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Send again (`IPushProducer`)."""
        self.paused = False

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Take the producer that is paused while the buffer is full (`IConsumer`)."""
        assert self.producer is None
        assert streaming
        self.producer = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        """Let the producer go (`IConsumer`)."""
        self.producer = None

    def write(self, data: bytes) -> None:
        """Buffer ``data``."""
        assert isinstance(data, bytes)
        self.buffer += data
        if self.producer is not None and len(self.buffer) > self.buffer_size:
            self.producer_paused = True
            self.producer.pauseProducing()

    def writeSequence(self, pieces: Iterable[bytes]) -> None:
        """Buffer the pieces as one."""
        pieces = list(pieces)
        assert all(isinstance(piece, bytes) for piece in pieces), "Twisted takes nothing else here"
        self.write(b"".join(pieces))

    def getPeer(self) -> IPv4Address:
        """Return an address for documentation (RFC 5737)."""
        return IPv4Address("TCP", "192.0.2.1", 40000)

    def getHost(self) -> IPv4Address:
        """Return `local`, port 8080."""
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
        """Note the call in `log`."""
        self.log.append(f"nodelay={enabled}")

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Note the call in `log`."""
        self.log.append(f"keepalive={enabled}")

    def loseWriteConnection(self) -> None:
        """Note ``fin`` in `log`."""
        assert self.producer is None, "a transport with a producer never closes"
        self.log.append("fin")

    def loseConnection(self) -> None:
        """Note ``close`` in `log`."""
        assert self.producer is None, "a transport with a producer never closes"
        self.disconnecting = True
        self.log.append("close")

    def abortConnection(self) -> None:
        """Note ``reset`` in `log`."""
        self.log.append("reset")


@implementer(IClientEnd)
class FakeClient(FakeTransport):
    """The client's end of a tunnel: a transport that can send Close frames."""

    def write(self, data: Buffer) -> None:
        """Buffer ``data``."""
        super().write(bytes(data))

    def close(self, code: int, reason: str) -> None:
        """Note code and reason in `log`."""
        self.log.append(f"{code} {reason}".strip())

    def drop(self) -> None:
        """Note ``close`` in `log`."""
        self.unregisterProducer()
        self.log.append("close")

    def abort(self) -> None:
        """Note ``reset`` in `log`."""
        self.log.append("reset")


def lose(transport: FakeTransport, reason: Exception | None = None) -> None:
    """Let the connection of ``transport`` end."""
    if transport.producer is not None:
        transport.producer.stopProducing()
    protocol = cast(Any, transport).protocol
    protocol.connectionLost(Failure(reason or ConnectionDone()))
