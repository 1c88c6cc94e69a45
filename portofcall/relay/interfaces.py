"""What the parts of a tunnel are to each other."""

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure

#: Bytes: those of a `memoryview` are good until the call that they are given to returns.
Buffer = bytes | memoryview


class IStreamTransport(ITCPTransport, IPushProducer, IConsumer):
    """What Twisted's transports over TCP and TLS are all of."""


class ISource(IPushProducer):
    """Where the bytes of one direction of a tunnel come from.

    Attributes:
        reads_bulk: set by whoever takes the bytes: whether all that can be read at a time can go on at once.
            Otherwise they wait in memory, and less at a time is better.
    """

    reads_bulk: bool


class ISink(IConsumer):
    """Where the bytes of one direction of a tunnel go. It copies what it keeps of what is written.

    Attributes:
        queued_bytes: how much of what was written may still wait in it; 0 if it does not know.
    """

    queued_bytes: int

    def write(data: Buffer) -> None:  # noqa: N805 - an interface's method
        """Send ``data``."""


class IEndTransport(IStreamTransport, ISource, ISink):
    """A transport as the ends of tunnels use it."""

    def write(data: Buffer) -> None:  # noqa: N805
        """Send ``data``."""

    def writeSequence(data: Iterable[Buffer]) -> None:  # noqa: N805
        """Send the pieces as one."""

    def closed() -> None:
        """Take note that the connection is over."""


class IClientEnd(ISource, ISink):
    """The WebSocket end of a tunnel, as the tunnel sees it.

    As `ISink` it takes bytes for the client and sends them as messages; as `ISource` it stops and starts
    reading what the client sends. It reports to a `ClientEvents`.
    """

    def close(code: int, reason: str) -> None:  # noqa: N805
        """Send a Close frame behind all that was written (RFC 6455 §7.1.2)."""

    def drop() -> None:
        """Close the connection once all that was written is out."""

    def abort() -> None:
        """Reset the connection now."""


class ClientEvents(Protocol):
    """What a client's end reports."""

    @property
    def client_sent(self) -> Callable[[Buffer], None]:
        """The client sent these bytes, which may be overwritten once this returns."""

    def client_closed(self) -> None:
        """The client sent a Close frame. Its end answers that by itself."""

    def client_failed(self, what: str) -> None:
        """The client broke the protocol. Its end has sent the Close frame for that."""

    def client_lost(self) -> None:
        """The client's connection is gone. Reported once, last."""


class BackendEvents(Protocol):
    """What a backend's end reports."""

    @property
    def backend_sent(self) -> Callable[[Buffer], None]:
        """The backend sent these bytes, which may be overwritten once this returns."""

    def backend_ended(self) -> None:
        """The backend will send no more (FIN). It may still read."""

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone, whoever ended it. Reported once, last."""
