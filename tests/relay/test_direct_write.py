"""Direct writes arrive like queued ones: in order, once, no faster than they are read."""

import socket
from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.direct_write import DirectWrite, direct_write
from portofcall.relay.interfaces import IStreamTransport
from portofcall.twisted_internals import has_sent_fin
from tests.support import FakeSource


class Wire:
    """A socket whose peer reads now and then, and the transport that owns it.

    Args:
        takes: how much each `send` takes, one after the other; 0 means that it would block, None that the
            connection is gone. When they are used up it takes everything.
    """

    def __init__(self, takes: list[int | None]) -> None:
        self.sent = b""
        self.sends = 0
        self._takes = takes
        self.transport = Queue(self)

    offset = _tempDataLen = 0
    connected = True
    disconnecting = False

    @property
    def dataBuffer(self) -> bytes:
        return self.transport.queued

    def getHandle(self) -> "Wire":
        return self

    def sendmsg(self, pieces: Sequence[bytes]) -> int:
        return self.send(b"".join(pieces))

    def send(self, data: bytes) -> int:
        self.sends += 1
        take = self._takes.pop(0) if self._takes else len(data)
        if take is None:
            raise ConnectionResetError
        if not take:
            raise BlockingIOError
        self.sent += data[:take]
        return min(take, len(data))


class Queue:
    """A transport that treats a pull producer as Twisted's do: it asks for more once all has been sent."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.queued = b""
        self.producer: Any = None
        self.closed = False
        self.ending = self.ended = False

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        self.queued += data

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert not streaming
        self.producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        assert self.producer is None
        self.closed = True

    def loseWriteConnection(self) -> None:
        assert self.producer is None
        self.ending = True

    def turn(self, most: int) -> None:
        """Let the reactor send."""
        self.ended = self.ending and len(self.queued) <= most
        if self.queued:
            self._wire.sent += self.queued[:most]
            self.queued = self.queued[most:]
            if not self.queued and self.producer is not None:
                self.producer.resumeProducing()


@implementer(IHalfCloseableProtocol)
class HalfClosed(Protocol):
    """Counts how often the end of what it sends was sent."""

    ends = 0

    def writeConnectionLost(self) -> None:
        self.ends += 1

    def readConnectionLost(self) -> None:
        raise NotImplementedError


def make(takes: list[int | None]) -> tuple[Any, Wire, FakeSource]:
    """Make one with a producer."""
    wire = Wire(takes)
    now: Any = DirectWrite(wire.transport, wire)  # type: ignore[arg-type]
    source = FakeSource()
    now.registerProducer(source, True)
    return now, wire, source


def test_socket_that_takes_it_gets_it_at_once() -> None:
    """Nothing is queued, and no turn of the reactor is needed."""
    now, wire, _ = make([])
    now.write(b"one ")
    now.writeSequence((b"two ", b"three"))
    assert wire.sent == b"one two three"
    assert wire.sends == 2
    assert wire.transport.queued == b""


def test_rest_is_queued_and_nothing_overtakes_it() -> None:
    """Until the transport has sent it."""
    now, wire, _ = make([3])
    now.write(b"12345")
    now.write(b"67")
    assert (wire.sent, wire.transport.queued, wire.sends) == (b"123", b"4567", 1)
    wire.transport.turn(2)
    now.write(b"8")
    assert wire.sends == 1
    wire.transport.turn(99)
    now.write(b"9")
    assert wire.sent == b"123456789"
    assert wire.sends == 2


@pytest.mark.parametrize("take", [0, None])
def test_socket_that_takes_nothing_leaves_it_to_the_transport(take: int | None) -> None:
    """The transport finds out whether the socket is busy or broken."""
    now, wire, _ = make([take])
    now.write(b"12345")
    assert (wire.sent, wire.transport.queued) == (b"", b"12345")


def test_what_was_queued_before_goes_first() -> None:
    """The responses to earlier requests, for example."""
    wire = Wire([])
    wire.transport.write(b"before, ")
    now: Any = DirectWrite(wire.transport, wire)  # type: ignore[arg-type]
    now.write(b"first, ")
    now.registerProducer(FakeSource(), True)
    now.write(b"second")
    assert wire.sent == b""
    wire.transport.turn(99)
    assert wire.sent == b"before, first, second"


def test_needs_no_producer_to_send_at_once() -> None:
    """The response to the handshake, for example; what the socket does not take is queued as always."""
    wire = Wire([7, 3])
    now: Any = DirectWrite(wire.transport, wire)  # type: ignore[arg-type]
    now.write(b"first, ")
    now.write(b"second, ")
    now.registerProducer(FakeSource(), True)
    now.write(b"third")
    assert wire.sent == b"first, sec"
    wire.transport.turn(99)
    assert wire.sent == b"first, second, third"


def test_producer_is_paused_past_64_kib_and_resumed_after_the_drain() -> None:
    """As the transport itself would."""
    now, wire, source = make([0])
    now.write(bytes(64 * KiB))
    assert not source.paused
    now.write(b"x")
    assert source.paused
    wire.transport.turn(64 * KiB)
    assert source.paused
    wire.transport.turn(1)
    assert not source.paused


def test_producer_is_resumed_when_it_is_its_turn() -> None:
    """It may then write much; not if more waits again by then, and not if it is gone."""
    wire = Wire([0, 2])
    turns: list[Any] = []
    now: Any = DirectWrite(wire.transport, wire, turns.append)  # type: ignore[arg-type]
    source = FakeSource()
    now.registerProducer(source, True)
    now.write(bytes(64 * KiB + 1))
    wire.transport.turn(99 * KiB)
    assert source.paused
    now.write(bytes(64 * KiB + 3))
    turns.pop()()
    assert source.paused
    wire.transport.turn(99 * KiB)
    turns.pop()()
    assert not source.paused
    assert turns == []
    wire._takes.append(0)
    now.write(bytes(64 * KiB + 1))
    wire.transport.turn(99 * KiB)
    now.unregisterProducer()
    turns.pop()()
    assert source.paused


def test_after_the_producer_is_gone_everything_is_queued_behind_the_first_rest() -> None:
    """It would not be noticed that all has been sent; and it can close."""
    now, wire, _ = make([None])
    now.unregisterProducer()
    now.write(b"rest, ")
    now.write(b"and more")
    assert wire.sent == b""
    wire.transport.turn(99)
    now.write(b", still queued")
    assert wire.sent == b"rest, and more"
    wire.transport.turn(99)
    assert wire.sent == b"rest, and more, still queued"
    now.loseConnection()
    assert wire.transport.closed


def test_after_the_producer_is_gone_a_write_that_is_taken_goes_at_once() -> None:
    """A Close frame, for example, which is the last of it."""
    now, wire, _ = make([])
    now.unregisterProducer()
    now.write(b"goodbye")
    assert wire.sent == b"goodbye"


def test_end_of_the_stream_is_sent_at_once_if_nothing_is_queued() -> None:
    """It takes no turn of the reactor, which is not even asked to watch the socket; and it is sent once."""
    ours, peer = socket.socketpair()
    with peer:
        reactor = MemoryReactorClock()
        connection = Connection(ours, HalfClosed(), reactor)
        connection.connected = 1
        now = direct_write(cast(IStreamTransport, connection))
        now.registerProducer(FakeSource(), True)
        now.write(b"all")
        now.unregisterProducer()
        now.loseWriteConnection()
        assert (peer.recv(10), peer.recv(10)) == (b"all", b"")
        assert has_sent_fin(connection)
        assert cast(HalfClosed, connection.protocol).ends == 1
        assert reactor.getWriters() == []
        connection.connectionLost(Failure(ConnectionDone()))


def test_end_of_the_stream_waits_for_the_producer() -> None:
    """It might have more to send."""
    now, wire, _ = make([])
    wire.transport.producer = None
    now.loseWriteConnection()
    assert (wire.transport.ending, wire.transport.ended) == (True, False)


def test_end_of_the_stream_follows_what_is_queued() -> None:
    """However long that takes."""
    now, wire, _ = make([0])
    now.write(b"queued")
    now.unregisterProducer()
    now.loseWriteConnection()
    wire.transport.turn(3)
    assert not wire.transport.ended
    wire.transport.turn(3)
    assert (wire.sent, wire.transport.ended) == (b"queued", True)


def test_end_of_the_stream_is_not_sent_on_a_lost_connection() -> None:
    """Its transport would have the reactor watch a descriptor that is closed."""
    now, wire, _ = make([])
    now.unregisterProducer()
    wire.connected = False
    now.loseWriteConnection()
    assert not wire.transport.ending


def test_end_of_the_stream_is_not_hurried_while_the_connection_closes() -> None:
    """The transport closes it as soon as it has sent everything, and that is its own business."""
    now, wire, _ = make([])
    now.unregisterProducer()
    wire.disconnecting = True
    now.loseWriteConnection()
    assert (wire.transport.ending, wire.transport.ended) == (True, False)


def test_lost_connection_stops_the_producer() -> None:
    """Once."""
    now, wire, _ = make([])
    stopped: list[None] = []

    class Stoppable(FakeSource):
        def stopProducing(self) -> None:
            stopped.append(None)

    now.unregisterProducer()
    now.registerProducer(Stoppable(), True)
    wire.transport.producer.stopProducing()
    now.unregisterProducer()
    assert len(stopped) == 1


def test_one_push_producer_is_taken() -> None:
    """Anything else is a programming error."""
    now, _, source = make([])
    with pytest.raises(RuntimeError):
        now.registerProducer(source, True)


@given(
    takes=st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=40),
    pieces=st.lists(st.binary(min_size=1, max_size=30), max_size=40),
    turns=st.lists(st.integers(0, 40), max_size=40),
)
def test_same_bytes_arrive_as_through_the_transport_alone(
    takes: list[int | None], pieces: list[bytes], turns: list[int]
) -> None:
    """Under any partial sends and any turns of the reactor, from a buffer that is overwritten afterwards."""
    now, wire, _ = make(list(takes))
    for number, piece in enumerate(pieces):
        buffer = bytearray(piece)
        view = memoryview(buffer)
        if number % 2:
            now.writeSequence((piece[:2], view[2:]))
        else:
            now.write(view)
        buffer[:] = bytes(len(buffer))
        if number < len(turns):
            wire.transport.turn(turns[number])
    wire.transport.turn(1 << 30)
    assert wire.sent == b"".join(pieces)


class FakeTLS(TLSMemoryBIOProtocol):
    """Twisted's TLS around a connection, which records what is done to it."""

    def __init__(self, below: Connection) -> None:
        self.transport = below
        self.done: list[str] = []
        self._appSendBuffer: list[bytes] = []

    def loseConnection(self) -> None:
        self.done.append("close_notify")


class OwnTLS(FakeTLS):
    """TLS that has a half-close of its own."""

    def loseWriteConnection(self) -> None:
        self.done.append("half-close")


class Below(Connection):
    """The connection below TLS: it records what is done to it."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__(handle, Protocol(), MemoryReactorClock())
        self.done: list[str] = []

    def loseWriteConnection(self) -> None:
        self.done.append("fin")

    def loseConnection(self, _connDone: object = None) -> None:
        self.done.append("close")


@pytest.mark.parametrize(("kind", "half_close"), [(FakeTLS, "close_notify"), (OwnTLS, "half-close")])
def test_stream_over_tls_is_not_ended_with_fin(kind: type[FakeTLS], half_close: str) -> None:
    """A stream without close_notify was cut short (RFC 8446 §6.1)."""
    with socket.socket() as handle:
        below = Below(handle)
        tls = kind(below)
        transport = direct_write(cast(IStreamTransport, tls))
        transport.loseWriteConnection()
        assert (tls.done, below.done) == ([half_close], [])


def test_connection_over_tls_is_closed_without_waiting_for_the_peer() -> None:
    """Twisted would wait for its close_notify, for ever if it has to."""
    with socket.socket() as handle:
        below = Below(handle)
        tls = FakeTLS(below)
        direct_write(cast(IStreamTransport, tls)).loseConnection()
        assert (tls.done, below.done) == (["close_notify"], ["close"])
