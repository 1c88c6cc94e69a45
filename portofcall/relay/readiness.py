"""Which sockets are readable, and in which order they are read: those of small messages before those of bulk.

One descriptor in the reactor stands for all watched sockets: an epoll descriptor can itself be watched. The
sockets of bulk are in a second one, watched by the first. So those of small messages, say of somebody who
types, are found without polling all others, and wait for one read of bulk at most.
"""

import os
import select
from collections import deque
from collections.abc import Callable
from time import monotonic, thread_time
from typing import Any

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.busy_poll import BusyPoll, Events

#: The event of a socket that can be read; 0 where there is no epoll.
READABLE = select.EPOLLIN if hasattr(select, "epoll") else 0
#: The most that is read at a time, and beside small messages: these wait for a read and what follows from it.
_BUFFER_BYTES = 256 * KiB
_BESIDE_BYTES = 128 * KiB
#: For how many reads of bulk that lasts after a small message: about half a second of them.
_BESIDE_READS = 4096
#: After this the reactor gets its turn, however much there is to read.
_TURN_SECONDS = 1e-3
#: The most sockets to read before polling again, and of those of bulk.
_MOST_EVENTS = 16
_MOST_BULK_EVENTS = 1


@implementer(IReadDescriptor)
class Readiness:
    """Watches sockets, and reports when one is readable.

    Contract: between two reads of bulk every other socket that is readable is read. When there are so many of
    these that they take longer than that one read, reads of bulk follow each other for as long: neither kind
    gets less than half of the time if it can use it. Within each kind sockets take turns.

    Args:
        reactor: watches this object, if it can watch descriptors; see `available`.

    Attributes:
        available: whether sockets can be watched.
        buffer: holds the bytes of the latest read, until the next.
        most_bytes: the most to read at a time; 0 for all that the buffer holds.
    """

    def __init__(self, reactor: Any) -> None:
        self.available = hasattr(select, "epoll") and IReactorFDSet.providedBy(reactor)
        self.buffer = memoryview(bytearray(_BUFFER_BYTES if self.available else 0))
        self.most_bytes = 0
        self._beside_reads = 0
        self._reactor = reactor
        self._readable: dict[int, Callable[[int], None]] = {}
        self._epoll: select.epoll | None = None
        self._bulk_epoll: select.epoll | None = None
        self._bulk: set[int] = set()
        self._work: deque[Callable[[], None]] = deque()
        self._scheduled = False
        self._now = monotonic
        self._spent = thread_time  # not the time of other processes, for which bulk would be read as well
        self._poll_on = BusyPoll(self._poll, now=monotonic, pays=self.available and _processors() > 1)

    def watch(self, descriptor: int, readable: Callable[[int], None], *, bulk: bool = False) -> None:
        """Call ``readable``, which raises nothing, with epoll's event each time a socket is readable.

        Args:
            descriptor: of the socket.
            readable: reads it once.
            bulk: whether it is one of bulk; see `move`.

        Raises:
            OSError: there is no descriptor, or no memory of the kernel, left for that. Nothing has changed.
        """
        if self._epoll is None:
            self._epoll = select.epoll()
        self._epoll.register(descriptor, READABLE)
        if not self._readable:
            try:
                self._reactor.addReader(self)
            except OSError:
                self._epoll.unregister(descriptor)
                raise
        self._readable[descriptor] = readable
        if bulk:
            self.move(descriptor, bulk=True)

    def move(self, descriptor: int, *, bulk: bool) -> None:
        """Read a socket after those of small messages from now on, or with them.

        Without a descriptor, or memory of the kernel, for that it stays where it is.
        """
        if descriptor not in self._readable or bulk is (descriptor in self._bulk):
            return
        assert self._epoll is not None
        try:
            if self._bulk_epoll is None:
                self._bulk_epoll = _nested(self._epoll)
            old, new = self._epoll, self._bulk_epoll
            if not bulk:
                old, new = new, old
            new.register(descriptor, READABLE)
        except OSError:
            return
        old.unregister(descriptor)
        (self._bulk.add if bulk else self._bulk.remove)(descriptor)

    def forget(self, descriptor: int, *, closed: bool = False) -> None:
        """Stop watching a socket. A closed one is no longer in epoll."""
        del self._readable[descriptor]
        epoll = self._epoll
        if descriptor in self._bulk:
            self._bulk.remove(descriptor)
            epoll = self._bulk_epoll
        if epoll is not None and not closed:
            epoll.unregister(descriptor)
        if not self._readable:
            self._reactor.removeReader(self)

    def in_turn(self, work: Callable[[], None]) -> None:
        """Do work for bulk, after the small messages that have come; at once if nothing can be watched."""
        if not self.available:
            work()
            return
        self._work.append(work)
        self._schedule()

    def in_turn_beside(self, work: Callable[[], None]) -> None:
        """Do work for bulk at once, or `in_turn` while there are small messages: a turn is not free."""
        if self._beside_reads:
            self.in_turn(work)
        else:
            work()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._do_work)

    def _do_work(self) -> None:
        readable, work, now = self._readable, self._work, self._now
        self._scheduled = False
        ends = now() + _TURN_SECONDS
        try:
            while work and now() < ends:
                for descriptor, event in self._poll():
                    if descriptor in readable:
                        readable[descriptor](event)
                work.popleft()()
        finally:
            if work:
                self._schedule()

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
            if len(events) == 1 and self._bulk and events[0][0] not in readable:
                # Nothing but bulk: there is no time to share, and to ask for it is not free.
                self._read_bulk_alone()
            else:
                self._read_both(events)
            # With no socket left, only the reactor has something to wait for.
            events = self._poll_on() if readable and self._now() < turn_ends else ()

    def _read_both(self, events: Events) -> None:
        """Read sockets of small messages, then those of bulk for as long, and at least one."""
        readable, spent = self._readable, self._spent
        began = spent() if self._bulk else None
        bulk = False
        for descriptor, event in events:
            if descriptor in readable:
                readable[descriptor](event)
            else:
                bulk = True
        # Among so many events the one of bulk may be missing.
        if began is None or not (bulk or len(events) == _MOST_EVENTS):
            return
        self._beside_reads = _BESIDE_READS
        self.most_bytes = _BESIDE_BYTES
        ends = 2 * spent() - began
        while self._read_bulk() and spent() < ends:
            pass

    def _read_bulk_alone(self) -> None:
        if self._beside_reads:
            self._beside_reads -= 1
            if not self._beside_reads:
                self.most_bytes = 0
        self._read_bulk()

    def _read_bulk(self) -> bool:
        """Read one socket of bulk; return whether one was readable."""
        assert self._bulk_epoll is not None
        readable = self._readable
        events = self._bulk_epoll.poll(0, _MOST_BULK_EVENTS)
        for descriptor, event in events:
            if descriptor in readable:
                readable[descriptor](event)
        return bool(events)

    def _poll(self) -> Events:
        return self._epoll.poll(0, _MOST_EVENTS) if self._epoll else ()

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing: the reactor has stopped."""

    def logPrefix(self) -> str:
        """Return a name for Twisted's log."""
        return "portofcall"


def _nested(epoll: select.epoll) -> select.epoll:
    """Make an epoll that is watched by another. Raises `OSError`."""
    nested = select.epoll()
    try:
        epoll.register(nested.fileno(), READABLE)
    except OSError:
        nested.close()
        raise
    return nested


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))
