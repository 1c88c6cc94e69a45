"""Send to the socket at once, and leave only the rest to the reactor.

A transport's ``write`` queues: it has the reactor watch the socket, and sends when that is writable. For a
socket that is writable already, as it mostly is, that costs two system calls and a turn of the reactor per
message.
"""

from collections.abc import Callable, Sequence
from typing import cast

from twisted.internet.interfaces import IProducer, IPullProducer, IPushProducer, ITCPTransport
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.delivery import Delivery, connection_of
from portofcall.relay.interfaces import Buffer, IEndTransport, IStreamTransport
from portofcall.relay.wrapped_transport import WrappedTransport
from portofcall.twisted_internals import queued_bytes, send_fin
from portofcall.twisted_tls import unchanged_below

#: How much may wait in the transport before its producer is paused; the same as in Twisted's transports.
_BUFFER_BYTES = 64 * KiB

#: Does some work, now or when it is its turn.
InTurn = Callable[[Callable[[], None]], None]


def _at_once(work: Callable[[], None]) -> None:
    """Do it now."""
    work()


def direct_write(transport: IStreamTransport, in_turn: InTurn = _at_once) -> IEndTransport:
    """Wrap a transport so that it sends at once.

    Args:
        transport: connected.
        in_turn: when to resume a paused producer, which may then write much.

    Returns:
        The transport with a `DirectWrite` around it for a plain socket; otherwise (TLS, a wrapper that
        changes what is written, or no socket at all) with a `_QueuedWrite`.
    """
    below = unchanged_below(transport)
    wrapped = _QueuedWrite(transport) if below is None else DirectWrite(transport, below, in_turn)
    return cast(IEndTransport, wrapped)


def end_stream(transport: IStreamTransport) -> None:
    """End what is sent, after everything that was written.

    Over TLS that is close_notify (RFC 8446 §6.1), which Twisted calls `loseConnection`. It has no other
    half-close: FIN would cut the stream short.
    """
    if _is_twisteds_tls(transport):
        transport.loseConnection()
    else:
        cast(ITCPTransport, transport).loseWriteConnection()


def close_stream(transport: IStreamTransport, connection: Connection | None) -> None:
    """Close after everything that was written, and over TLS do not wait for the peer's close_notify.

    Args:
        transport: of any kind.
        connection: below it, if there is one.
    """
    transport.loseConnection()
    if connection is not None and _is_twisteds_tls(transport):
        connection.loseConnection()


def _is_twisteds_tls(transport: IStreamTransport) -> bool:
    """Return whether this is TLS whose class leaves the half-close to the connection below."""
    is_tls = isinstance(transport, TLSMemoryBIOProtocol)
    return is_tls and not hasattr(type(transport), "loseWriteConnection")


class _QueuedWrite(WrappedTransport):
    """Wraps a transport that keeps what is written: it gets a copy.

    Attributes: see `IEndTransport`.
    """

    __slots__ = (
        "delivery", "most_read_bytes", "queued_bytes", "reads_bulk",
    )  # fmt: skip

    def __init__(self, transport: IStreamTransport, delivery: Delivery | None = None) -> None:
        super().__init__(transport)
        self.queued_bytes = 0
        self.reads_bulk = True
        self.most_read_bytes = 0
        self.delivery = delivery or Delivery(transport)

    def write(self, data: Buffer) -> None:
        """Send ``data`` (`ITransport`)."""
        self._transport.write(bytes(data))

    def writeSequence(self, pieces: Sequence[Buffer]) -> None:
        """Send the pieces as one (`ITransport`)."""
        self._transport.write(b"".join(pieces))

    def loseWriteConnection(self) -> None:
        """End what is sent, after everything that was written, and go on reading (`ITCPTransport`)."""
        end_stream(self._transport)

    def loseConnection(self) -> None:
        """Close after everything that was written (`ITransport`); see `close_stream`."""
        close_stream(self._transport, connection_of(self._transport))

    def closed(self) -> None:
        """Do nothing: the transport reads, and notices by itself."""


class DirectWrite(_QueuedWrite):
    """Wraps a plain socket's transport: `write` goes to the socket while nothing is queued.

    It notices when the queue is empty by being the transport's pull producer, which is asked for more each
    time everything has been sent. Its own producer, a push producer, sees no difference from the transport.

    Once that producer is unregistered, an empty queue is no longer noticed: after the first write that the
    socket does not take at once, all others are queued.
    """

    __slots__ = (
        "_connection", "_direct", "_in_turn", "_paused", "_producer", "_send", "_sendmsg",
    )  # fmt: skip

    def __init__(
        self,
        transport: IStreamTransport,
        connection: Connection,
        in_turn: InTurn = _at_once,
        delivery: Delivery | None = None,
    ) -> None:
        super().__init__(transport, delivery)
        self._in_turn = in_turn
        handle = connection.getHandle()
        self._connection = connection
        self._send = handle.send
        self._sendmsg = handle.sendmsg
        self._producer: IPushProducer | None = None
        self._paused = False
        # What is queued already must not be overtaken.
        self.queued_bytes = queued_bytes(connection)
        self._direct = not self.queued_bytes

    def write(self, data: Buffer) -> None:
        """Send as much of ``data`` as the socket takes, and queue the rest (`ITransport`)."""
        if self._direct and not self.queued_bytes:
            try:
                sent = self._send(data)
            except OSError:
                # Not now, or never again: the transport finds out which.
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
        self._queue(data)

    def writeSequence(self, pieces: Sequence[Buffer]) -> None:
        """Send the pieces as one, without joining them if the socket takes them all (`ITransport`)."""
        sent = 0
        if self._direct and not self.queued_bytes:
            try:
                sent = self._sendmsg(pieces)
            except OSError:
                # As in write.
                sent = 0
            size = 0
            for piece in pieces:
                size += len(piece)
            if sent == size:
                return
        self._queue(b"".join(pieces)[sent:])

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Take a push producer (`IConsumer`)."""
        if not streaming or self._producer is not None:
            raise RuntimeError("takes one producer, and a push producer")
        self._producer = cast(IPushProducer, producer)
        queued_bytes = self.queued_bytes
        # This calls `_drained` at once, although bytes may be queued.
        self._transport.registerProducer(_Drained(self), False)
        self.queued_bytes = queued_bytes
        self._direct = True

    def unregisterProducer(self) -> None:
        """Release the producer, so that the transport can close (`IConsumer`)."""
        if self._producer is not None:
            self._producer = None
            self._transport.unregisterProducer()

    def loseWriteConnection(self) -> None:
        """End what is sent, now if nothing is queued; on a lost connection do nothing (`ITCPTransport`)."""
        connection = self._connection
        if not connection.connected:
            return
        if self._direct and not (self.queued_bytes or self._producer or connection.disconnecting):
            send_fin(connection)
        else:
            super().loseWriteConnection()

    def _queue(self, data: Buffer) -> None:
        self.queued_bytes += len(data)
        super().write(data)
        if self.queued_bytes > _BUFFER_BYTES and self._producer is not None and not self._paused:
            self._paused = True
            self._producer.pauseProducing()

    def _drained(self) -> None:
        self.queued_bytes = 0
        if self._paused:
            self._in_turn(self._resume)

    def _resume(self) -> None:
        if self._paused and not self.queued_bytes and self._producer is not None:
            self._paused = False
            self._producer.resumeProducing()

    def _stopped(self) -> None:
        self._direct = False
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()


@implementer(IPullProducer)
class _Drained:
    """Reports to a `DirectWrite` that its transport has sent everything, or is gone."""

    __slots__ = (
        "resumeProducing", "stopProducing",
    )  # fmt: skip

    def __init__(self, owner: DirectWrite) -> None:
        self.resumeProducing = owner._drained
        self.stopProducing = owner._stopped
