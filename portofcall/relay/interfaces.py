"""Interfaces between a tunnel and its ends."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from portofcall.relay.delivery import Delivery, Progress

#: Bytes. A `memoryview` is valid only until the call that it is passed to returns.
Buffer = bytes | memoryview


class IStreamTransport(ITCPTransport, IPushProducer, IConsumer):
    """What every Twisted TCP or TLS transport provides."""


class ISource(IPushProducer):
    """Where the bytes of one direction of a tunnel come from.

    Attributes:
        reads_bulk: set by the consumer: whether to read as much at a time as there is. While bytes have to
            wait in memory, less is better.
    """

    reads_bulk: bool


class ISink(IConsumer):
    """Where the bytes of one direction of a tunnel go. It copies the bytes that it keeps.

    Attributes:
        queued_bytes: how many of the bytes written may still wait in it; 0 if that is unknown.
    """

    queued_bytes: int

    def write(data: Buffer) -> None:  # noqa: N805 - an interface's method
        """Send ``data``."""


class IEndTransport(IStreamTransport, ISource, ISink):
    """A transport as the ends of tunnels use it.

    Attributes:
        delivery: what has become of the bytes that were written.
        most_read_bytes: set by its end: the most to read at a time, regardless of `reads_bulk`; 0: no limit.
    """

    delivery: "Delivery"
    most_read_bytes: int

    def write(data: Buffer) -> None:  # noqa: N805
        """Send ``data``."""

    def writeSequence(data: Iterable[Buffer]) -> None:  # noqa: N805
        """Send the pieces as one."""

    def closed() -> None:
        """Note that the connection is over."""


class IClientEnd(ISource, ISink):
    """The WebSocket end of a tunnel, as seen by the tunnel.

    As `ISink` it takes bytes for the client and sends them as messages; as `ISource` it pauses and resumes
    reading from the client. It reports to a `ClientEvents`.

    Attributes:
        unacknowledged_bytes: an upper bound of how much of what was written the client has not acknowledged;
            0 once that is no more than what ends the connection.
        progress: what the client has done so far.
        half_closes: whether each direction ends by itself, with eof (the subprotocol portofcall.v1).
        control_frames: how many pings and pongs have come from it.
        answered_mark: the mark of the last ping that it has answered; 0 at first.
        close_code: the code of the Close frame that it was sent; 1005 for one without, 1006 if none was sent.
    """

    unacknowledged_bytes: int
    progress: "Progress"
    half_closes: bool
    control_frames: int
    answered_mark: int
    close_code: int

    def ping(mark: int) -> None:  # noqa: N805
        """Send a ping with this mark, below 2**64, unless the client does not read."""

    def send_eof() -> None:
        """Send eof after everything that was written; only if it `half_closes`."""

    def close(code: int, reason: str) -> None:  # noqa: N805
        """Send a Close frame after everything that was written (RFC 6455 §7.1.2)."""

    def reply() -> None:
        """Answer the client's Close frame, with its own code, after everything that was written."""

    def finish() -> None:
        """Send FIN after everything that was written. What the client still sends is read and discarded."""

    def drop() -> None:
        """Close the connection after everything that was written."""

    def abort() -> None:
        """Reset the connection now."""


class ClientEvents(Protocol):
    """Events of a client's end."""

    @property
    def client_sent(self) -> Callable[[Buffer], None]:
        """The client sent these bytes; they may be overwritten once this returns."""

    def client_ended(self) -> None:
        """The client sent eof: it will send no more, and still receives."""

    def client_closed(self) -> None:
        """The client sent a Close frame, which is to be answered with `IClientEnd.reply` or ``close``."""

    def client_failed(self, what: str) -> None:
        """The client broke the protocol. Its end has sent the Close frame, and sends FIN by itself."""

    def client_lost(self) -> None:
        """The client's connection is gone. Reported once, last."""


class BackendEvents(Protocol):
    """Events of a backend's end."""

    @property
    def backend_sent(self) -> Callable[[Buffer], None]:
        """The backend sent these bytes; they may be overwritten once this returns."""

    def backend_ended(self) -> None:
        """The backend will send no more (FIN). It may still read."""

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone, whichever side ended it. Reported once, last."""
