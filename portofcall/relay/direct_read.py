"""Read plain sockets as soon as they are readable, all of them into one buffer.

Each read by a transport costs a dozen calls and the allocation of a buffer.
"""

import select
from collections.abc import Callable

from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.limits.values import KiB
from portofcall.relay.interfaces import IEndTransport
from portofcall.relay.readiness import READABLE, Readiness
from portofcall.relay.wrapped_transport import WrappedTransport

#: The same where both directions have ended, without an error.
_LAST_READ = READABLE | select.EPOLLHUP if hasattr(select, "epoll") else 0
#: The most that is read at a time while it has to wait. Otherwise it is what the buffer holds.
_READ_BYTES = 64 * KiB
#: A read of so much makes a socket one of bulk, and this many smaller ones in a row end that.
_BULK_READ_BYTES = 16 * KiB
_SMALL_READS = 4

Received = Callable[[memoryview], None]


def _discard(data: memoryview) -> None:
    """Do nothing: the connection is over."""


class DirectRead(WrappedTransport):
    """Wraps a transport, and reads its socket while that is open and without error.

    Most errors are left to the transport, which handles them as usual.

    Args:
        transport: gets all other calls.
        connection: Twisted's transport, with nothing between it and its protocol.
        readiness: reports when to read.
        received: gets the bytes of each read, in a buffer that is overwritten afterwards.

    Attributes:
        reads_bulk: whether to read as much at a time as there is; see `ISource`.
    """

    __slots__ = (
        "_buffer", "_connection", "_descriptor", "_left_to_transport", "_readiness", "_received",
        "_recv_into", "_small_reads", "_watched", "delivery", "most_read_bytes", "reads_bulk",
        "write", "writeSequence",
    )  # fmt: skip

    _log = Logger()

    def __init__(
        self, transport: IEndTransport, connection: Connection, readiness: Readiness, received: Received
    ) -> None:
        super().__init__(transport)
        self.reads_bulk = True
        self.most_read_bytes = 0
        self.write = transport.write
        self.writeSequence = transport.writeSequence
        self.delivery = transport.delivery
        self._connection = connection
        self._readiness = readiness
        self._buffer = readiness.buffer
        self._received = received
        handle = connection.getHandle()
        self._recv_into = handle.recv_into
        self._descriptor: int = handle.fileno()
        self._watched = False
        self._small_reads = 0  # that are left until it is no longer a socket of bulk
        self._left_to_transport = False
        connection.stopReading()

    @property
    def queued_bytes(self) -> int:
        """How many of the bytes written still wait."""
        return int(self._transport.queued_bytes)

    def pauseProducing(self) -> None:
        """Stop reading (`IPushProducer`)."""
        if self._left_to_transport:
            self._transport.pauseProducing()
        else:
            self._unwatch()

    def resumeProducing(self) -> None:
        """Start reading (`IPushProducer`)."""
        if self._left_to_transport:
            self._transport.resumeProducing()
        elif not self._watched and self._connection.connected and not self._connection.disconnecting:
            self._readiness.watch(self._descriptor, self._readable, bulk=self._small_reads > 0)
            self._watched = True

    def loseConnection(self) -> None:
        """Close after everything that was written (`ITransport`); until then the transport reads."""
        self._leave_to_transport()
        self._transport.loseConnection()

    def abortConnection(self) -> None:
        """Reset the connection now (`IAbortConnection`)."""
        self._leave_to_transport()
        self._transport.abortConnection()

    def closed(self) -> None:
        """Note that the transport has closed its socket."""
        self._left_to_transport = True
        self._unwatch(closed=True)
        # Or the two would keep each other alive.
        self._received = _discard

    def _readable(self, event: int) -> None:
        if event not in (READABLE, _LAST_READ):
            # An error.
            self._leave_to_transport()
            self._transport.resumeProducing()
            return
        try:
            most = self.most_read_bytes or (self._readiness.most_bytes if self.reads_bulk else _READ_BYTES)
            size = self._recv_into(self._buffer, most)
        except BlockingIOError:
            return
        except OSError:
            # A second read by the transport would look like a clean end.
            self._connection.connectionLost(Failure(ConnectionLost("Connection lost")))
            return
        if not size:
            # As the reactor does when the transport has read it.
            self._leave_to_transport()
            self._connection.readConnectionLost(connectionDone)
            return
        if size >= _BULK_READ_BYTES or self._small_reads:
            self._classify(size)
        try:
            self._received(self._buffer[:size])
        except Exception:  # noqa: BLE001 - as in the reactor, it ends this connection only
            self._fail()

    def _fail(self) -> None:
        """End the connection, as what it has received could not be processed."""
        failure = Failure()
        self._log.failure("could not process received bytes", failure)
        self._connection.connectionLost(failure)

    def _classify(self, size: int) -> None:
        """Note a read of this size, if it was of bulk or others were."""
        was = self._small_reads
        self._small_reads = _SMALL_READS if size >= _BULK_READ_BYTES else was - 1
        if not (was and self._small_reads):
            self._readiness.move(self._descriptor, bulk=not was)

    def _leave_to_transport(self) -> None:
        self._left_to_transport = True
        self._unwatch()

    def _unwatch(self, *, closed: bool = False) -> None:
        if self._watched:
            self._watched = False
            self._readiness.forget(self._descriptor, closed=closed)
