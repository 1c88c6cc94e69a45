"""Connect a TCP socket with less work than Twisted's `connectTCP` takes.

That begins in another turn of the reactor, watches the socket for reading and writing, and connects twice. A
gateway opens a connection for each tunnel, most often to a target nearby.
"""

import errno
import os
import socket
from typing import Any, Final

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocol, IWriteDescriptor
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import ClientFactory
from twisted.internet.tcp import Connection
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.target import Address

_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}
_PENDING: Final = (errno.EINPROGRESS, errno.EALREADY)


def connects_sockets(reactor: Any) -> bool:
    """Return whether a reactor connects sockets as Twisted's own do, and so can have a `TCPConnector`."""
    return getattr(type(reactor), "connectTCP", None) is PosixReactorBase.connectTCP


@implementer(IWriteDescriptor)
class TCPConnector:
    """Connects one socket once, as the connector of a reactor does.

    Args:
        address: where to.
        port: the same.
        factory: is called as by a reactor, but with None in place of an address, and perhaps before `connect`
            returns.
        reactor: watches the socket; see `connects_sockets`.
    """

    def __init__(self, address: Address, port: int, factory: ClientFactory, reactor: Any) -> None:
        self._address = address
        self._port = port
        self._factory = factory
        self._reactor = reactor
        self._socket: socket.socket | None = None

    def connect(self) -> None:
        """Begin; may be called once."""
        self._factory.startedConnecting(self)  # type: ignore[arg-type]
        try:
            self._socket = socket.socket(_FAMILIES[self._address.version], socket.SOCK_STREAM)
        except OSError as problem:
            self._fail(error.ConnectBindError(problem.errno, problem.strerror))
            return
        self._socket.setblocking(False)
        where = (str(self._address), self._port)
        result = self._socket.connect_ex(where)
        if result == errno.EINPROGRESS:
            # A target on this host has answered by now, which saves a turn of the reactor.
            result = self._socket.connect_ex(where)
        if result in _PENDING:
            try:
                self._reactor.addWriter(self)
            except OSError as problem:
                self._fail(problem)
        else:
            self._end(result)

    def disconnect(self) -> None:
        """Give up, unless it is connected."""
        if self._socket is not None:
            self._reactor.removeWriter(self)
            self._close()

    def _end(self, number: int) -> None:
        """Report the outcome: an error of the operating system, or 0."""
        if number:
            self._fail(error.getConnectError((number, os.strerror(number))))
            return
        connected, self._socket = self._socket, None
        assert connected is not None
        protocol = self._release_factory().buildProtocol(None)
        _TCPConnection(connected, protocol, self._reactor).begin()

    def _fail(self, problem: Exception) -> None:
        self._close()
        self._release_factory().clientConnectionFailed(self, Failure(problem))

    def _release_factory(self) -> Any:
        """Return the factory, which keeps this, and is called no more than once."""
        factory = self._factory
        del self._factory
        return factory

    def _close(self) -> None:
        unconnected, self._socket = self._socket, None
        if unconnected is not None:
            unconnected.close()

    # The reactor calls these

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return -1 if self._socket is None else self._socket.fileno()

    def doWrite(self) -> None:
        """Go on: the socket is connected, or it has failed."""
        self._reactor.removeWriter(self)
        assert self._socket is not None
        self._end(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def connectionLost(self, reason: Failure) -> None:
        """Fail: the reactor has found an error, or is stopping."""
        if self._socket is not None:
            found = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._end(found or errno.ECONNABORTED)

    def logPrefix(self) -> str:
        """Return a name for Twisted's log."""
        return "portofcall"


class _TCPConnection(Connection):
    """The transport of a socket that has been connected."""

    logstr = "portofcall"
    _is_to_read = True

    def __init__(self, connected: socket.socket, protocol: IProtocol, reactor: Any) -> None:
        super().__init__(connected, protocol, reactor)

    def begin(self) -> None:
        """Connect the protocol, then start reading, unless it reads the socket itself or has paused that."""
        self.connected = 1
        self.protocol.makeConnection(self)
        if self._is_to_read:
            self.startReading()

    def stopReading(self) -> None:
        """Stop reading (`IReadDescriptor`)."""
        self._is_to_read = False
        super().stopReading()

    def getHost(self) -> IAddress:
        """Return the address that the socket is bound to (`ITransport`)."""
        return self._address_of(self.socket.getsockname())

    def getPeer(self) -> IAddress:
        """Return the address that it is connected to (`ITransport`)."""
        return self._address_of(self.socket.getpeername())

    def _address_of(self, name: Any) -> IAddress:
        kind: Any = IPv4Address if self.socket.family == socket.AF_INET else IPv6Address
        found: IAddress = kind("TCP", *name)
        return found
