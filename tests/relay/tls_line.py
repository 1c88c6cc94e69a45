"""A TLS connection over loopback for tests, whose server's side is taken over as that of a tunnel."""

import socket
import time
from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorFDSet
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.direct_transport import direct_transport
from portofcall.relay.interfaces import IStreamTransport
from portofcall.relay.readiness import Readiness
from portofcall.twisted_tls import TLSServerConnection
from tests.relay.tls_peers import KeyUpdatingPeer, client_connection, output, server_context
from tests.support import FakeWatch

DEADLINE = 10.0


@implementer(IReactorFDSet)
class TurnedReactor(Clock, FakeWatch):
    """A reactor that is turned by hand, with a clock.

    Attributes:
        waits: how often something waited until it may write.
    """

    def __init__(self) -> None:
        Clock.__init__(self)
        FakeWatch.__init__(self)
        self.waits = 0

    def addWriter(self, writer: Any) -> None:
        self.waits += 1
        super().addWriter(writer)

    def turn(self) -> None:
        """Let everybody read and write once."""
        for each, do in [(r, r.doRead) for r in self.readers] + [(w, w.doWrite) for w in self.writers]:
            why = do()
            if why is not None:
                self.removeReader(each)
                self.removeWriter(each)
                each.connectionLost(Failure(why))
        self.advance(0)


class Socket(Connection):
    """A connection with addresses."""

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 443)


class Server(Protocol):
    """Takes its connection over once it has received "go", and what came behind that with it.

    Attributes:
        received: what came after that.
        turns: how much of it each time.
        end: why the connection ended.
        then: called after each read.
    """

    direct: Any = None

    def __init__(self) -> None:
        self.received = b""
        self.turns: list[int] = []
        self.kinds: set[type] = set()
        self.end: Failure | None = None
        self.then: Callable[[], object] = lambda: None

    def dataReceived(self, data: Any) -> None:
        if self.direct is None:
            self.direct = direct_transport(
                cast(IStreamTransport, self.transport), self.factory.readiness, self.dataReceived
            )
            data = data[len(b"go") :]
            self.direct.resumeProducing()
        self.received += data
        if data:
            self.turns.append(len(data))
            self.kinds.add(type(data))
            self.then()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.direct is not None:
            self.direct.closed()
        self.end = reason


class Line:
    """A TLS connection over loopback, whose server's side was taken over.

    Args:
        version: of TLS.
        with_go: what the client sends together with "go".
        proxy: whether the PROXY protocol is in front.
        peer: a client that is not pyOpenSSL's.
    """

    def __init__(
        self,
        version: str = "1.3",
        *,
        kind: str = "ECDSA",
        with_go: bytes = b"",
        proxy: bool = False,
        peer: KeyUpdatingPeer | None = None,
    ) -> None:
        self.reactor = TurnedReactor()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.socket = socket.create_connection(listener.getsockname(), timeout=DEADLINE)
            ours, _ = listener.accept()
        self.socket.setblocking(False)
        self.server = Server()
        factory: Any = Factory()
        factory.buildProtocol = lambda _: self.server
        self.server.factory = factory
        factory.readiness = Readiness(self.reactor)
        context = server_context(version, kind)
        tls_factory: Any = TLSMemoryBIOFactory(Creator(context), False, factory, self.reactor)
        tls_factory.protocol = TLSServerConnection
        if proxy:
            tls_factory = HAProxyWrappingFactory(tls_factory)
            self.socket.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 5000 443\r\n")
        protocol = tls_factory.buildProtocol(None)
        self.connection = Socket(ours, protocol, self.reactor)
        self.connection.connected = 1
        self.connection.startReading()
        protocol.makeConnection(self.connection)
        self.peer = peer
        self.client = client_connection()
        self.plain = b""
        self.closed: object = None
        self.shaken = False
        if peer is not None:
            self.until(peer.shake_hands)
            peer.send(b"go")
        else:
            self.until(self._shake_hands)
            self.shaken = True
            self.client.send(b"go" + with_go)
        self.until(lambda: self.server.direct is not None)
        self.tls: Any = self.server.transport

    def _shake_hands(self) -> bool:
        try:
            self.client.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def until(self, holds: Callable[[], object]) -> None:
        """Turn the reactor, and have the client read, until this holds."""
        deadline = time.monotonic() + DEADLINE
        while self._read() or not holds():
            assert time.monotonic() < deadline, "it does not come to hold"
            self.reactor.turn()

    def flush(self) -> None:
        """Move bytes between the client's OpenSSL and its socket."""
        if self.peer is not None:
            self.put(self.peer.output())
            self.peer.take(self.get())
            return
        self.put(output(self.client))
        got = self.get()
        if got:
            self.client.bio_write(got)

    def put(self, data: bytes) -> None:
        """Send bytes to the gateway, which reads meanwhile if it has to."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                self.reactor.turn()

    def get(self) -> bytes:
        """Return what has come."""
        try:
            got = self.socket.recv(1 << 20)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            self.closed = "reset"
            return b""
        if not got:
            self.closed = self.closed or "fin"
        return got

    def send(self, data: bytes, record_bytes: int = 16 * KiB) -> None:
        """Send data inside TLS."""
        for start in range(0, len(data), record_bytes):
            self.client.send(data[start : start + record_bytes])
        self.flush()

    def receive(self, size: int) -> bytes:
        """Return so much data, when it has come."""
        self.until(lambda: len(self.plain) >= size)
        plain, self.plain = self.plain[:size], self.plain[size:]
        return plain

    def _read(self) -> bool:
        if self.socket.fileno() >= 0:
            self.flush()
        while self.shaken:
            try:
                self.plain += self.client.recv(1 << 16)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self.closed = "close_notify"
                break
            except SSL.Error as problem:
                self.shaken = False
                self.closed = problem.args[0][-1][-1]
        return False

    def drain(self) -> None:
        """Read until the client has seen the end."""
        self.until(lambda: self.closed)

    def ended(self) -> type:
        """Return why the server's connection ended, once it has."""
        self.until(lambda: self.server.end is not None)
        assert self.server.end is not None
        return cast(type, self.server.end.type)

    def close(self) -> None:
        self.shaken = False
        self.socket.close()
        if self.server.end is None:
            self.server.direct.abortConnection()
            self.until(lambda: self.server.end is not None)
        assert self.reactor.readers == []
        assert self.reactor.getDelayedCalls() == []


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """Makes connections of one context."""

    def __init__(self, context: SSL.Context) -> None:
        self.context = context

    def serverConnectionForTLS(self, _protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)
