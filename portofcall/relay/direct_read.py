"""Read sockets as soon as they are readable, many in one turn of the reactor, into one buffer.

Each read by a transport costs a dozen calls and the allocation of a buffer. Here one descriptor in the
reactor stands for all watched sockets (an epoll descriptor can itself be watched), and they share one buffer.
"""

import os
import select
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProducer, IReactorFDSet, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.busy_poll import BusyPoll, Events
from portofcall.relay.direct_write import direct_write
from portofcall.relay.interfaces import IEndTransport, IStreamTransport

_READABLE = select.EPOLLIN if hasattr(select, "epoll") else 0
#: The same where both directions have ended, without an error.
_LAST_READ = _READABLE | select.EPOLLHUP if hasattr(select, "epoll") else 0
#: The most that is read at a time: while all of it can be passed on at once, and while it has to wait.
_BULK_READ_BYTES = 256 * KiB
_READ_BYTES = 64 * KiB
#: After this the reactor gets its turn, however much there is to read.
_TURN_SECONDS = 1e-3
#: The most sockets to read before polling again.
_MOST_EVENTS = 16

Received = Callable[[memoryview], None]


@implementer(IReadDescriptor)
class Readiness:
    """Watches sockets, and reports when one is readable.

    Args:
        reactor: watches this object, if it can watch descriptors; see `available`.

    Attributes:
        available: whether sockets can be watched.
        buffer: holds the bytes of the latest read, until the next.
    """

    def __init__(self, reactor: Any) -> None:
        self.available = hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor)
        self.buffer = memoryview(bytearray(_BULK_READ_BYTES if self.available else 0))
        self._reactor = reactor
        self._readable: dict[int, Callable[[int], None]] = {}
        self._epoll: select.epoll | None = None
        self._now = monotonic
        self._poll_on = BusyPoll(self._poll, now=monotonic, pays=self.available and _processors() > 1)

    def watch(self, descriptor: int, readable: Callable[[int], None]) -> None:
        """Call ``readable``, which raises nothing, with epoll's event each time a socket is readable.

        Raises:
            OSError: there is no descriptor, or no memory of the kernel, left for that. Nothing has changed.
        """
        if self._epoll is None:
            self._epoll = select.epoll()
        self._epoll.register(descriptor, _READABLE)
        if not self._readable:
            self._reactor.addReader(self)
        self._readable[descriptor] = readable

    def forget(self, descriptor: int, *, closed: bool = False) -> None:
        """Stop watching a socket. A closed one is no longer in epoll."""
        del self._readable[descriptor]
        if self._epoll is not None and not closed:
            self._epoll.unregister(descriptor)
        if not self._readable:
            self._reactor.removeReader(self)

    # The reactor calls these

    def fileno(self) -> int:
        """Return the descriptor for the reactor to watch."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def doRead(self) -> None:
        """Read every readable socket."""
        readable = self._readable
        turn_ends = self._now() + _TURN_SECONDS
        events = self._poll()
        while events:
            for descriptor, event in events:
                if descriptor in readable:
                    readable[descriptor](event)
            events = self._poll_on() if self._now() < turn_ends else ()

    def _poll(self) -> Events:
        assert self._epoll is not None
        return self._epoll.poll(0, _MOST_EVENTS)

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing: the reactor has stopped."""

    def logPrefix(self) -> str:
        """Return a name for Twisted's log."""
        return "portofcall"


class DirectRead:
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
        "_recv_into", "_transport", "_watched", "delivery", "most_read_bytes", "reads_bulk", "write",
        "writeSequence",
    )  # fmt: skip

    _log = Logger()

    def __init__(
        self, transport: IEndTransport, connection: Connection, readiness: Readiness, received: Received
    ) -> None:
        self.reads_bulk = True
        self.most_read_bytes = 0
        self.write = transport.write
        self.writeSequence = transport.writeSequence
        self.delivery = transport.delivery
        self._transport = transport
        self._connection = connection
        self._readiness = readiness
        self._buffer = readiness.buffer
        self._received = received
        handle = connection.getHandle()
        self._recv_into = handle.recv_into
        self._descriptor: int = handle.fileno()
        self._watched = False
        self._left_to_transport = False
        connection.stopReading()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    # What each tunnel uses, as `__getattr__` is slow.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Take a producer (`IConsumer`)."""
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Release the producer (`IConsumer`)."""
        self._transport.unregisterProducer()

    def loseWriteConnection(self) -> None:
        """End what is sent, and go on reading (`ITCPTransport`)."""
        self._transport.loseWriteConnection()

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
            self._readiness.watch(self._descriptor, self._readable)
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

    def _readable(self, event: int) -> None:
        if event not in (_READABLE, _LAST_READ):
            # An error.
            self._leave_to_transport()
            self._transport.resumeProducing()
            return
        try:
            most = self.most_read_bytes or (0 if self.reads_bulk else _READ_BYTES)
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
            self._connection.readConnectionLost(Failure(CONNECTION_DONE))
            return
        try:
            self._received(self._buffer[:size])
        except Exception:  # noqa: BLE001 - as in the reactor, it ends this connection only
            failure = Failure()
            self._log.failure("could not process received bytes", failure)
            self._connection.connectionLost(failure)

    def _leave_to_transport(self) -> None:
        self._left_to_transport = True
        self._unwatch()

    def _unwatch(self, *, closed: bool = False) -> None:
        if self._watched:
            self._watched = False
            self._readiness.forget(self._descriptor, closed=closed)


def direct_transport(transport: IStreamTransport, readiness: Readiness, received: Received) -> IEndTransport:
    """Wrap a transport so that it sends and reads directly where possible.

    Args:
        transport: connected; its protocol gets whatever the transport still reads itself. If data is queued
            in it, write before registering a producer, or later direct writes may overtake it.
        readiness: of the same reactor.
        received: gets the bytes that are read directly. `resumeProducing` starts reading.

    Returns:
        The transport with a `DirectRead` around it for a plain socket with nothing (TLS, the PROXY protocol)
        in between, and in any case one that copies the bytes that it keeps.
    """
    sending = direct_write(transport)
    if readiness.available and isinstance(transport, Connection) and not transport.TLS:
        return cast(IEndTransport, DirectRead(sending, transport, readiness, received))
    return sending


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))
