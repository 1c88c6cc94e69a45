"""Stand-ins for the ends of a tunnel, so that its decisions can be watched without a socket."""

from typing import cast

from twisted.internet.interfaces import IProducer, IPushProducer
from zope.interface import implementer

from portofcall.interfaces import IClientEnd, IStreamTransport
from portofcall.tcp import BackendEnd


@implementer(IPushProducer)
class FakeSource:
    """Something that sends; remembers whether it was told to stop."""

    def __init__(self) -> None:
        self.paused = False
        self.pauses = 0

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
        self.log: list[str] = []

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
        self.log.append("close")

    def abortConnection(self) -> None:
        self.log.append("reset")


@implementer(IClientEnd)
class FakeClient(FakeTransport):
    """The client's end of a tunnel: a transport that can send Close frames."""

    def close(self, code: int, reason: str) -> None:
        self.log.append(f"{code} {reason}".strip())

    def drop(self) -> None:
        self.unregisterProducer()
        self.log.append("close")

    def abort(self) -> None:
        self.log.append("reset")


def open_backend(transport: FakeTransport) -> BackendEnd:
    """Make a backend end that is connected through ``transport``."""
    backend = BackendEnd()
    backend.makeConnection(cast(IStreamTransport, transport))
    return backend
