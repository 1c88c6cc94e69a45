"""Read sockets as soon as they can be read, many of them in one turn of the reactor, into one buffer.

A transport that reads costs a dozen calls for each of its reads, and a buffer that is allocated for it. Here
one descriptor stands in the reactor for all sockets that are watched (an epoll may be watched as they are),
and what is read lies in a buffer that all of them share.
"""

import os
import select
from collections.abc import Callable
from time import monotonic
from typing import Any, cast

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.busy_poll import BusyPoll, Events
from portofcall.relay.direct_write import direct_write
from portofcall.relay.interfaces import IEndTransport, IStreamTransport

_READABLE = select.EPOLLIN if hasattr(select, "epoll") else 0
#: How much is read at a time, at most: while all of it goes on at once, and while it has to wait.
_BULK_READ_BYTES = 256 * KiB
_READ_BYTES = 64 * KiB
#: After this the reactor has its turn again, however much there is to read.
_TURN_SECONDS = 1e-3
#: How many sockets are read before others are asked for again.
_MOST_EVENTS = 256

Received = Callable[[memoryview], None]


@implementer(IReadDescriptor)
class Readiness:
    """Watches sockets, and says when one can be read.

    Args:
        reactor: watches this. One that can't watch descriptors is never asked to; see `available`.

    Attributes:
        available: whether sockets can be watched here.
        buffer: what is read lies here, until something else is.
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
        """Call ``readable``, which raises nothing, with epoll's event each time a socket can be read."""
        if self._epoll is None:
            self._epoll = select.epoll()
        if not self._readable:
            self._reactor.addReader(self)
        self._readable[descriptor] = readable
        self._epoll.register(descriptor, _READABLE)

    def forget(self, descriptor: int, *, closed: bool = False) -> None:
        """Watch a socket no more. One that is closed is gone from epoll already."""
        del self._readable[descriptor]
        if self._epoll is not None and not closed:
            self._epoll.unregister(descriptor)
        if not self._readable:
            self._reactor.removeReader(self)

    # The reactor calls these

    def fileno(self) -> int:
        """Tell what the reactor has to watch."""
        return -1 if self._epoll is None else self._epoll.fileno()

    def doRead(self) -> None:
        """Let everybody read whose socket can be read."""
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
        """Do nothing: the reactor has stopped for good."""

    def logPrefix(self) -> str:
        """Name this for Twisted's log."""
        return "portofcall"


class DirectRead:
    """Stands before a transport, and reads its socket while that is open and well.

    What it can't read it leaves to the transport, which finds out why, and has the last word.

    Args:
        transport: takes everything else.
        connection: Twisted's transport, with nothing between it and its protocol.
        readiness: says when to read.
        received: takes what was read, each time. It lies in a buffer that is overwritten afterwards.

    Attributes:
        reads_bulk: whether to read as much as there is; otherwise less at a time, as nobody waits for it.
    """

    _log = Logger()

    def __init__(
        self, transport: IEndTransport, connection: Connection, readiness: Readiness, received: Received
    ) -> None:
        self.reads_bulk = True
        self.write = transport.write
        self.writeSequence = transport.writeSequence
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

    def pauseProducing(self) -> None:
        """Read no more for now (`IPushProducer`)."""
        if self._left_to_transport:
            self._transport.pauseProducing()
        else:
            self._unwatch()

    def resumeProducing(self) -> None:
        """Read (`IPushProducer`)."""
        if self._left_to_transport:
            self._transport.resumeProducing()
        elif not self._watched and self._connection.connected and not self._connection.disconnecting:
            self._watched = True
            self._readiness.watch(self._descriptor, self._readable)

    def loseConnection(self) -> None:
        """Close once all that was written is out (`ITransport`); till then the transport reads."""
        self._leave_to_transport()
        self._transport.loseConnection()

    def abortConnection(self) -> None:
        """Reset the connection now (`IAbortConnection`)."""
        self._leave_to_transport()
        self._transport.abortConnection()

    def closed(self) -> None:
        """Take note that the transport has closed its socket."""
        self._left_to_transport = True
        self._unwatch(closed=True)

    def _readable(self, event: int) -> None:
        if event != _READABLE:
            # An error, or the end of both directions.
            self._leave_to_transport()
            self._transport.resumeProducing()
            return
        try:
            size = self._recv_into(self._buffer, 0 if self.reads_bulk else _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            # To ask the socket again would tell the transport that the connection was closed well.
            self._connection.connectionLost(Failure(ConnectionLost("Connection lost")))
            return
        if not size:
            self._leave_to_transport()
            self._transport.resumeProducing()
            return
        try:
            self._received(self._buffer[:size])
        except Exception:  # noqa: BLE001 - as the reactor: whatever it is, it ends this connection only
            failure = Failure()
            self._log.failure("could not take what was received", failure)
            self._connection.connectionLost(failure)

    def _leave_to_transport(self) -> None:
        self._left_to_transport = True
        self._unwatch()

    def _unwatch(self, *, closed: bool = False) -> None:
        if self._watched:
            self._watched = False
            self._readiness.forget(self._descriptor, closed=closed)


def direct_transport(transport: IStreamTransport, readiness: Readiness, received: Received) -> IEndTransport:
    """Make a transport that sends at once and is read at once, as far as it can be.

    Args:
        transport: connected; its protocol takes what it reads, wherever it reads by itself. What is queued in
            it already has to be followed by a write before a producer is registered.
        readiness: of the same reactor.
        received: takes what is read at once. `resumeProducing` begins to read.

    Returns:
        The same, with what is before it if it is a plain socket's, and nothing (TLS, the PROXY protocol) is
        in between; in any case one that copies what it has to keep.
    """
    sending = direct_write(transport)
    if readiness.available and isinstance(transport, Connection) and not transport.TLS:
        return cast(IEndTransport, DirectRead(sending, transport, readiness, received))
    return sending


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
