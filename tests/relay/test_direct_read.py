"""Sockets are read directly while they are open and without error; the rest is left to their transports."""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, cast
from unittest.mock import Mock

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from portofcall.limits.values import KiB
from portofcall.relay.direct_transport import direct_transport
from portofcall.relay.interfaces import IStreamTransport
from portofcall.relay.readiness import Readiness
from portofcall.testing import FakeTransport
from tests.support import FakeReactor

DEADLINE = 10.0


class Listener(Protocol):
    """Records what it receives, and how that ends.

    Attributes:
        then: called after each read.
    """

    def __init__(self, readiness: Readiness) -> None:
        self.readiness = readiness
        self.received = b""
        self.reads: list[int] = []
        self.kinds: set[type] = set()
        self.end: Any = None
        self.then: Callable[[], object] = lambda: None

    def connectionMade(self) -> None:
        self.direct = direct_transport(
            cast(IStreamTransport, self.transport), self.readiness, self.dataReceived
        )
        self.direct.resumeProducing()

    def dataReceived(self, data: bytes | memoryview) -> None:
        self.kinds.add(type(data))
        self.reads.append(len(data))
        self.received += data
        self.then()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.direct.closed()
        self.end = reason.type


class Line:
    """A TCP connection to ourselves: one end plain, the other one read at once."""

    def __init__(self, reactor: FakeReactor, readiness: Readiness) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(1)
            self.peer = socket.create_connection(listener.getsockname(), timeout=DEADLINE)
            ours, _ = listener.accept()
        self.reactor = reactor
        self.listener = Listener(readiness)
        self.connection = Connection(ours, self.listener, reactor)
        self.connection.connected = 1
        self.connection.startReading()
        self.listener.makeConnection(self.connection)

    def close(self) -> None:
        self.peer.close()
        if self.listener.end is None:
            self.listener.direct.abortConnection()
            self.reactor.turn()


class Station:
    """Lines that share one reactor and one readiness."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.readiness = Readiness(self.reactor)
        self.lines: list[Line] = []

    def line(self) -> Line:
        self.lines.append(Line(self.reactor, self.readiness))
        return self.lines[-1]

    def until(self, holds: Any) -> None:
        """Turn the reactor until this holds; loopback is quick, but not instant."""
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, "it does not come to hold"
            self.reactor.turn()


@pytest.fixture
def station() -> Iterator[Station]:
    """A place with no lines yet."""
    made = Station()
    yield made
    for line in made.lines:
        line.close()


def test_it_is_what_a_reactor_can_watch(station: Station) -> None:
    """All of the interface."""
    assert verifyObject(IReadDescriptor, station.readiness)


def test_bytes_are_received_without_the_transport(station: Station) -> None:
    """As a view of the shared buffer."""
    line = station.line()
    line.peer.sendall(b"hello")
    station.until(lambda: line.listener.received == b"hello")
    assert line.listener.kinds == {memoryview}
    assert station.reactor.readers == [station.readiness]


def test_many_sockets_are_read_in_one_turn(station: Station) -> None:
    """Each of them gets its own bytes."""
    lines = [station.line() for _ in range(20)]
    for number, line in enumerate(lines):
        line.peer.sendall(b"%d" % number)
    station.until(lambda: all(line.listener.received for line in lines))
    assert [line.listener.received for line in lines] == [b"%d" % number for number in range(20)]


@pytest.mark.parametrize("missing", ["epoll", "register"])
def test_socket_that_can_not_be_watched_leaves_nothing_behind(
    station: Station, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets the error, and the connection can be closed as any other."""
    line = station.line()
    line.listener.direct.pauseProducing()
    lost = OSError(errno.EMFILE, "no descriptors left")
    with monkeypatch.context() as patch:
        if missing == "epoll":
            station.readiness._epoll = None
            patch.setattr(select, "epoll", Mock(side_effect=lost))
        else:
            station.readiness._epoll = Mock(register=Mock(side_effect=lost))
        with pytest.raises(OSError, match="no descriptors left"):
            line.listener.direct.resumeProducing()
    assert station.reactor.readers == []
    line.listener.direct.abortConnection()
    station.reactor.turn()
    assert line.listener.end is ConnectionAborted


def test_paused_is_not_read(station: Station) -> None:
    """Until it is resumed; doing either twice has no further effect."""
    quiet, other = station.line(), station.line()
    quiet.listener.direct.pauseProducing()
    quiet.listener.direct.pauseProducing()
    quiet.peer.sendall(b"later")
    other.peer.sendall(b"now")
    station.until(lambda: other.listener.received == b"now")
    assert quiet.listener.received == b""
    quiet.listener.direct.resumeProducing()
    quiet.listener.direct.resumeProducing()
    station.until(lambda: quiet.listener.received == b"later")


def test_pause_in_the_middle_of_a_turn_holds_at_once(station: Station) -> None:
    """Another socket that was ready in the same turn is not read."""
    lines = one, two = station.line(), station.line()
    one.listener.then = two.listener.direct.pauseProducing
    two.listener.then = one.listener.direct.pauseProducing
    for line in lines:
        line.listener.direct.pauseProducing()
        line.peer.sendall(b"x")
    for line in lines:
        line.listener.direct.resumeProducing()
    station.until(lambda: one.listener.received or two.listener.received)
    for _ in range(10):
        station.reactor.turn()
    assert sorted(line.listener.received for line in lines) == [b"", b"x"]


def test_less_is_read_at_a_time_where_it_has_to_wait(station: Station) -> None:
    """256 KiB, or 64 KiB."""
    line = station.line()
    line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * KiB)
    for bulk, most in ((True, 256 * KiB), (False, 64 * KiB)):
        line.listener.reads.clear()
        line.listener.received = b""
        line.listener.direct.reads_bulk = bulk
        line.peer.setblocking(True)
        line.peer.sendall(bytes(400 * KiB))
        station.until(lambda: len(line.listener.received) == 400 * KiB)
        assert max(line.listener.reads) <= most
    assert max(line.listener.reads) == 64 * KiB


def test_an_end_can_have_less_read_at_a_time(station: Station) -> None:
    """Whatever the consumer allows: parsing may be slower than reading."""
    line = station.line()
    line.listener.direct.most_read_bytes = 4 * KiB
    line.peer.sendall(bytes(20 * KiB))
    station.until(lambda: len(line.listener.received) == 20 * KiB)
    assert max(line.listener.reads) == 4 * KiB


def test_socket_with_much_to_read_is_one_of_bulk_until_several_reads_were_small(station: Station) -> None:
    """A pause in between changes nothing."""
    line = station.line()
    bulk, descriptor = station.readiness._bulk, line.connection.fileno()
    line.peer.sendall(bytes(15 * KiB))
    station.until(lambda: len(line.listener.received) == 15 * KiB)
    assert bulk == set()
    line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * KiB)
    line.peer.sendall(bytes(400 * KiB))
    station.until(lambda: len(line.listener.received) == 415 * KiB)
    line.listener.direct.pauseProducing()
    line.listener.direct.resumeProducing()
    line.listener.reads.clear()
    kinds = []
    for number in range(6):
        line.peer.sendall(b"x")
        station.until(lambda number=number: len(line.listener.reads) > number)
        kinds.append(bulk == {descriptor})
    assert kinds[0]
    assert kinds == sorted(kinds, reverse=True)
    assert not kinds[-1]


def test_end_is_the_transports_to_find(station: Station) -> None:
    """What came before it has been received."""
    line = station.line()
    line.peer.sendall(b"last words")
    line.peer.close()
    station.until(lambda: line.listener.end is not None)
    assert line.listener.received == b"last words"
    assert line.listener.end is ConnectionDone
    assert station.reactor.readers == []


def test_reset_is_told_from_an_end(station: Station) -> None:
    """A backend that crashed did not finish."""
    line = station.line()
    line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.peer.close()
    station.until(lambda: line.listener.end is not None)
    assert line.listener.end is ConnectionLost


def test_reset_that_only_reading_shows_is_told_from_an_end(station: Station) -> None:
    """It may come between the event and the read."""
    line = station.line()
    line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.peer.close()
    readable = station.readiness._readable[line.connection.fileno()]
    readable(1)
    station.until(lambda: line.listener.end is not None)
    assert line.listener.end is ConnectionLost


def test_event_with_nothing_to_read_is_passed_over(station: Station) -> None:
    """An event for an earlier socket with the same number."""
    line = station.line()
    station.readiness._readable[line.connection.fileno()](1)
    assert line.listener.end is None
    line.peer.sendall(b"x")
    station.until(lambda: line.listener.received == b"x")


def test_error_of_a_receiver_ends_its_connection_only(station: Station) -> None:
    """It is logged, and others go on."""
    logged: list[Any] = []
    observer = cast(ILogObserver, logged.append)
    globalLogPublisher.addObserver(observer)
    try:
        broken, other = station.line(), station.line()
        broken.listener.then = lambda: 1 // 0
        broken.peer.sendall(b"x")
        station.until(lambda: broken.listener.end is not None)
        other.peer.sendall(b"y")
        station.until(lambda: other.listener.received == b"y")
    finally:
        globalLogPublisher.removeObserver(observer)
    assert broken.listener.end is ZeroDivisionError
    assert any("could not process" in str(event.get("log_format")) for event in logged)


def test_abort_stops_reading_at_once(station: Station) -> None:
    """What arrives after it is not received."""
    line = station.line()
    line.peer.sendall(b"too late")
    line.listener.direct.abortConnection()
    station.until(lambda: line.listener.end is not None)
    assert line.listener.received == b""
    assert line.listener.end is ConnectionAborted


def test_reactor_watches_nothing_when_there_is_nothing_to_watch(station: Station) -> None:
    """Whatever happened before; and everything works again afterwards."""
    assert station.reactor.readers == []
    for _ in range(3):
        line = station.line()
        assert station.reactor.readers == [station.readiness]
        line.peer.sendall(b"x")
        station.until(lambda line=line: line.listener.received == b"x")
        line.close()
        assert station.reactor.readers == []


def test_turn_ends_however_much_there_is_to_read(station: Station) -> None:
    """Timers and other connections of the reactor wait a millisecond, and what is read in that."""
    line = station.line()
    seconds = 0.0

    def read_on() -> None:
        nonlocal seconds
        seconds += 0.4e-3
        line.peer.sendall(b"x")

    station.readiness._now = lambda: seconds
    line.listener.then = read_on
    line.peer.sendall(b"x")
    station.until(lambda: line.listener.reads)
    assert len(line.listener.reads) <= 3


def test_transport_without_a_socket_reads_by_itself() -> None:
    """Such as a fake."""
    transport: Any = FakeTransport()
    readiness = Readiness(FakeReactor())
    made = direct_transport(transport, readiness, lambda data: None)
    made.pauseProducing()
    assert transport.paused
    made.resumeProducing()
    assert not transport.paused
    made.write(memoryview(b"bytes"))
    made.writeSequence((b"of ", memoryview(b"its own")))
    assert transport.buffer == b"bytesof its own"


def test_reactor_that_can_watch_nothing_is_not_asked_to() -> None:
    """Such as IOCP, and those of tests."""
    assert not Readiness(object()).available
