"""A TCP socket is connected at once where it can be, and otherwise when the reactor says so."""

import errno
import gc
import socket
import weakref
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectBindError, ConnectError, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IConnector
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from portofcall.egress.tcp_connector import TCPConnector, connects_sockets
from tests.support import FakeReactor


class SlowSocket(socket.socket):
    """One whose peer is far away: it is not connected at once."""

    begun = False

    def connect_ex(self, address: Any) -> int:
        if self.begun:
            return errno.EALREADY
        self.begun = True
        super().connect_ex(address)
        return errno.EINPROGRESS


class Recorder(Protocol):
    """Keeps what it gets."""

    received = b""
    reads = True

    def connectionMade(self) -> None:
        if not self.reads:
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class Attempt(ClientFactory):
    """One attempt, to a listener on this host.

    Attributes:
        problem: why it failed.
        made: the protocol once it is connected.
    """

    noisy = False
    protocol = Recorder

    def __init__(self, listener: socket.socket) -> None:
        self.reactor = FakeReactor()
        self.problem: Exception | None = None
        self.made: Any = None
        self.connector = TCPConnector(ip_address("127.0.0.1"), listener.getsockname()[1], self, self.reactor)
        self.connector.connect()

    def startedConnecting(self, connector: IConnector) -> None:
        self.started: object = connector

    def buildProtocol(self, addr: object) -> Any:
        self.made = self.protocol()
        return self.made

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        assert self.problem is None
        assert isinstance(reason.value, Exception)
        self.problem = reason.value

    def answer(self) -> None:
        """Let the reactor notice what has become of the socket."""
        (writer,) = self.reactor.writers
        writer.doWrite()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def closed() -> Iterator[socket.socket]:
    """A socket that has a port and does not listen."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield closed


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are not connected at once."""
    monkeypatch.setattr(socket, "socket", SlowSocket)


def test_target_on_this_host_is_connected_without_a_turn(listener: socket.socket) -> None:
    """The protocol has its transport, with both addresses, and the reactor has nothing to watch for that."""
    attempt = Attempt(listener)
    assert attempt.started is attempt.connector
    peer, _ = listener.accept()
    with peer:
        transport = attempt.made.transport
        assert transport.getPeer() == IPv4Address("TCP", *listener.getsockname())
        assert transport.getHost() == IPv4Address("TCP", *peer.getpeername())
        assert transport.connected
        assert attempt.reactor.writers == []
        peer.sendall(b"hello")
        attempt.reactor.turn()
        assert attempt.made.received == b"hello"
        transport.connectionLost(Failure(ConnectionLost()))


@pytest.mark.usefixtures("slow")
def test_target_that_takes_its_time_is_connected_when_the_reactor_says_so(listener: socket.socket) -> None:
    """Until then the socket is watched for writing, and nothing is built."""
    attempt = Attempt(listener)
    assert not attempt.made
    attempt.answer()
    assert attempt.made.transport.connected
    assert attempt.reactor.writers == []
    attempt.made.transport.connectionLost(Failure(ConnectionLost()))


def test_protocol_that_pauses_its_transport_is_not_read(listener: socket.socket) -> None:
    """One that reads the socket itself costs no registration with the reactor."""

    class Paused(Recorder):
        reads = False

    class PausedAttempt(Attempt):
        protocol = Paused

    attempt = PausedAttempt(listener)
    assert attempt.reactor.readers == []
    attempt.made.transport.resumeProducing()
    assert attempt.reactor.readers == [attempt.made.transport]
    attempt.made.transport.connectionLost(Failure(ConnectionLost()))


def test_refusal_is_reported_without_a_turn(closed: socket.socket) -> None:
    """As the error of Twisted's for it."""
    attempt = Attempt(closed)
    assert isinstance(attempt.problem, ConnectionRefusedError)
    assert attempt.reactor.writers == []


@pytest.mark.usefixtures("slow")
def test_refusal_that_comes_later_is_reported_then(closed: socket.socket) -> None:
    """The same error."""
    attempt = Attempt(closed)
    attempt.answer()
    assert isinstance(attempt.problem, ConnectionRefusedError)
    assert attempt.reactor.writers == []


@pytest.mark.usefixtures("slow")
def test_error_that_a_reactor_finds_is_that_of_the_socket(closed: socket.socket) -> None:
    """Some reactors do not ask a socket with an error to write: they report it as lost."""
    attempt = Attempt(closed)
    attempt.connector.connectionLost(Failure(ConnectionLost()))
    assert isinstance(attempt.problem, ConnectionRefusedError)


@pytest.mark.usefixtures("slow")
def test_reactor_that_stops_fails_the_attempt(listener: socket.socket) -> None:
    """There is no error of the socket then."""
    attempt = Attempt(listener)
    attempt.connector.connectionLost(Failure(ConnectionLost()))
    assert isinstance(attempt.problem, ConnectError)
    assert attempt.made is None


@pytest.mark.usefixtures("slow")
def test_attempt_that_is_given_up_closes_its_socket(listener: socket.socket) -> None:
    """Nothing is reported, then or later, and nothing is watched."""
    attempt = Attempt(listener)
    assert attempt.connector.fileno() >= 0
    attempt.connector.disconnect()
    assert attempt.connector.fileno() == -1
    assert attempt.reactor.writers == []
    attempt.connector.disconnect()
    attempt.connector.connectionLost(Failure(ConnectionLost()))
    assert attempt.made is attempt.problem is None


def test_missing_descriptor_fails_the_attempt(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the operating system's words."""

    def fail(*_arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", fail)
    attempt = Attempt(listener)
    assert isinstance(attempt.problem, ConnectBindError)
    assert attempt.problem.args == ("Too many open files",)


@pytest.mark.usefixtures("slow")
def test_socket_that_can_not_be_watched_fails_the_attempt(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel has a limit on those, too."""

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FakeReactor, "addWriter", fail)
    attempt = Attempt(listener)
    assert isinstance(attempt.problem, OSError)
    assert attempt.connector.fileno() == -1


def test_connector_does_not_keep_the_attempt_alive(listener: socket.socket) -> None:
    """There is no cycle for the garbage collector to find."""
    attempt = Attempt(listener)
    attempt.made.transport.connectionLost(Failure(ConnectionLost()))
    gone = weakref.ref(attempt)
    gc.disable()
    try:
        del attempt
        assert gone() is None
    finally:
        gc.enable()


def test_only_reactors_with_twisted_sockets_are_connected_for() -> None:
    """Others connect in a way of their own: in memory, say, or through a proxy."""

    class Proxied(SelectReactor):
        def connectTCP(self, *_arguments: Any, **_options: Any) -> Any:
            raise NotImplementedError

    assert connects_sockets(SelectReactor.__new__(SelectReactor))
    assert not connects_sockets(Proxied.__new__(Proxied))
    assert not connects_sockets(MemoryReactorClock())
    assert not connects_sockets(object())
