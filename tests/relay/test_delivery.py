"""What a peer has acknowledged is known for each kind of socket, and until its connection has ended."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from portofcall.limits.values import KiB
from portofcall.relay.delivery import Delivery, Progress
from portofcall.relay.interfaces import IStreamTransport
from portofcall.testing import FakeTransport

DEADLINE = 10.0
#: More than the queues of both kernels hold.
MUCH = 16 * 1024 * KiB


class Ended(Protocol):
    """Records how its connection ended."""

    end: Any = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = reason.type


class Pair:
    """Two connected sockets: ours in a transport of Twisted's, the peer's in the test's hands."""

    def __init__(self, ours: socket.socket, peer: socket.socket, protocol: Protocol | None = None) -> None:
        self.peer = peer
        peer.settimeout(DEADLINE)
        self.reactor = MemoryReactorClock()
        self.protocol = protocol or Ended()
        self.connection = Connection(ours, self.protocol, self.reactor)
        self.connection.connected = 1
        self.protocol.makeConnection(self.connection)
        self.delivery = Delivery(cast(IStreamTransport, self.connection))

    def write(self, size: int) -> None:
        """Write so many bytes, of which the kernel takes what it takes at once."""
        self.connection.write(bytes(size))
        self.connection.doWrite()

    def close(self) -> None:
        self.peer.close()
        self.connection.connectionLost(Failure(ConnectionDone()))


def tcp_sockets() -> tuple[socket.socket, socket.socket]:
    """Return two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        return listener.accept()[0], peer


@pytest.fixture
def tcp() -> Iterator[Pair]:
    """A TCP connection."""
    pair = Pair(*tcp_sockets())
    yield pair
    pair.close()


@pytest.fixture
def unix() -> Iterator[Pair]:
    """A connection over a UNIX socket."""
    pair = Pair(*socket.socketpair())
    yield pair
    pair.close()


def until(holds: Callable[[], object]) -> None:
    """Wait until this holds; loopback is quick, but not instant."""
    deadline = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def reset(peer: socket.socket) -> None:
    """Reset the connection (SO_LINGER with 0 seconds)."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def test_kernel_that_has_acknowledged_everything_leaves_nothing(tcp: Pair) -> None:
    """Although the peer has not read it: its kernel has it."""
    tcp.write(1000)
    until(lambda: tcp.delivery.progress.acknowledged == 1000)
    assert tcp.delivery.unacknowledged_bytes == 0


def test_what_waits_in_the_transport_and_in_the_kernel_is_unacknowledged(tcp: Pair) -> None:
    """To the byte: what the peer has got, and what it has not, is all that was written."""
    tcp.write(MUCH)
    until(lambda: tcp.delivery.progress.acknowledged)
    last = None
    while last != (last := (tcp.delivery.progress.acknowledged, tcp.delivery.unacknowledged_bytes)):
        time.sleep(0.05)
    assert sum(cast(tuple[int, int], last)) == MUCH
    assert last[1] > 1024 * KiB


def test_refilled_queue_shows_progress_by_its_count(tcp: Pair) -> None:
    """Its length may be the same as before."""
    tcp.write(MUCH)
    before = tcp.delivery.progress.acknowledged
    tcp.peer.recv(4096 * KiB)
    until(lambda: tcp.delivery.progress.acknowledged != before)


def test_bytes_from_the_peer_are_counted(tcp: Pair) -> None:
    """Whether or not they are read."""
    tcp.peer.sendall(b"12345")
    until(lambda: tcp.delivery.progress.received == 5)


def test_fin_does_not_count_as_unacknowledged(tcp: Pair) -> None:
    """The kernel counts it as a byte."""
    tcp.connection.loseWriteConnection()
    tcp.connection.doWrite()
    assert tcp.peer.recv(1) == b""
    assert tcp.delivery.unacknowledged_bytes == 0


def test_end_of_the_connection_keeps_the_count(tcp: Pair) -> None:
    """It is the last moment at which the kernel can be asked."""
    tcp.write(MUCH)
    time.sleep(0.05)
    before = tcp.delivery.unacknowledged_bytes
    reset(tcp.peer)
    until(lambda: tcp.delivery.progress.reset)
    tcp.connection.connectionLost(Failure(ConnectionLost()))
    assert cast(Ended, tcp.protocol).end is ConnectionLost
    assert tcp.delivery.unacknowledged_bytes == before
    assert tcp.delivery.progress == Progress()
    assert "connectionLost" not in vars(tcp.connection), "nothing of it is kept alive"


def test_silence_of_the_peers_kernel_is_measured(tcp: Pair) -> None:
    """In seconds; an acknowledgement ends it."""
    tcp.write(1)
    until(lambda: tcp.delivery.progress.silent_seconds > 0.02)
    tcp.write(1)
    until(lambda: tcp.delivery.progress.silent_seconds < 0.02)


def test_time_without_data_is_measured(tcp: Pair) -> None:
    """From the last data in either direction."""

    def idle() -> float:
        seconds = tcp.delivery.progress.idle_seconds
        assert seconds is not None
        return seconds

    tcp.write(1)
    until(lambda: idle() >= 0.03)
    tcp.peer.sendall(b"x")
    until(lambda: idle() < 0.03)
    until(lambda: idle() >= 0.03)
    tcp.write(1)
    assert idle() < 0.03


def test_unix_socket_is_empty_once_it_has_been_read(unix: Pair) -> None:
    """Before that, its queue is measured in kernel memory: more than the bytes."""
    unix.write(1000)
    assert unix.delivery.unacknowledged_bytes >= 1000
    unread = unix.delivery.progress
    unix.peer.recv(1000)
    assert unix.delivery.unacknowledged_bytes == 0
    assert unix.delivery.progress != unread


def test_time_without_data_is_unknown_for_a_unix_socket(unix: Pair) -> None:
    """The kernel does not keep it."""
    unix.write(1)
    assert unix.delivery.progress.idle_seconds is None


def test_unix_socket_that_is_closed_unread_has_delivered_nothing_for_sure(unix: Pair) -> None:
    """Its queue is emptied at that moment, so that the count is as high as it may have been."""
    unix.write(1000)
    unix.peer.close()
    with pytest.raises(ConnectionResetError):
        unix.connection.getHandle().recv(1)
    unix.connection.connectionLost(Failure(ConnectionLost()))
    assert unix.delivery.unacknowledged_bytes >= 1000


def test_unix_socket_that_is_closed_after_it_was_read_has_delivered_everything(unix: Pair) -> None:
    """A clean end is exact."""
    unix.write(1000)
    unix.peer.recv(1000)
    unix.peer.close()
    unix.connection.connectionLost(Failure(ConnectionDone()))
    assert unix.delivery.unacknowledged_bytes == 0


def test_ciphertext_is_counted_over_tls() -> None:
    """More than was written, wherever it waits."""
    factory = TLSMemoryBIOFactory(CertificateOptions(), True, Factory.forProtocol(Ended))
    tls = cast(Any, factory.buildProtocol(None))
    pair = Pair(*tcp_sockets(), protocol=tls)
    delivery = Delivery(tls)
    tls.write(bytes(1000))
    assert delivery.unacknowledged_bytes >= 1000, "before the handshake it waits as it is"
    assert delivery.trailer_bytes > 0
    pair.connection.connectionLost(Failure(ConnectionLost()))
    assert delivery.unacknowledged_bytes >= 1000
    pair.peer.close()


def test_nothing_is_known_of_a_transport_without_a_socket() -> None:
    """It counts as acknowledged."""
    delivery = Delivery(cast(IStreamTransport, FakeTransport()))
    assert delivery.unacknowledged_bytes == 0
    assert delivery.progress == Progress()


def test_reset_is_not_the_end_of_both_directions(tcp: Pair) -> None:
    """The connection is over in both cases, but only a reset is a failure."""
    tcp.peer.shutdown(socket.SHUT_WR)
    tcp.connection.getHandle().shutdown(socket.SHUT_WR)
    until(lambda: tcp.delivery.progress.reset)
    assert not tcp.delivery.failed


def test_reset_is_known_although_nothing_is_read(tcp: Pair) -> None:
    """The kernel reports the error once, but it stays known."""
    assert not tcp.delivery.failed
    tcp.peer.shutdown(socket.SHUT_WR)
    reset(tcp.peer)
    until(lambda: tcp.delivery.failed)
    assert tcp.delivery.failed
    assert tcp.delivery.progress.reset
