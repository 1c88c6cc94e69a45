"""How much of what was written to a connection its peer has acknowledged, as Linux counts it.

A write that succeeded is in a queue of the kernel, no more. The peer's kernel has it once it acknowledges it:
``SIOCOUTQ`` is the length of the queue of what is not acknowledged, ``TCP_INFO`` has the count of what is.
Only a count shows progress, because the queue's length stands still while it is refilled.

A UNIX socket has no such count, and its queue is measured in kernel memory: only an empty one, which has been
read, is exact.
"""

import fcntl
import socket
import struct
import sys
import termios
from typing import Any, NamedTuple

from twisted.internet.error import ConnectionDone
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from portofcall.relay.interfaces import IStreamTransport
from portofcall.twisted_internals import has_sent_fin, queued_bytes
from portofcall.twisted_tls import unencrypted_bytes

_LINUX = sys.platform == "linux"
#: Of ``struct tcp_info``: tcpi_state, tcpi_last_data_sent, tcpi_last_data_recv, tcpi_last_ack_recv,
#: tcpi_bytes_acked, tcpi_bytes_received.
_TCP_INFO = struct.Struct("=B43xI4xII60xQQ")
_TCP_CLOSE = 7
#: As a number, where `socket.socket` looks up a member of an enumeration.
_family = socket.SocketType.family.__get__
#: More than TLS adds to a Close frame, with the alert that ends its stream (RFC 8446 §6.1).
_TLS_TRAILER_BYTES = 128


def is_tcp(connection: Connection) -> bool:
    """Return whether a connection is one over TCP, not over a UNIX socket."""
    return _family(connection.getHandle()) in (socket.AF_INET, socket.AF_INET6)


class Progress(NamedTuple):
    """What a peer has done so far. Any change of a value is progress.

    Attributes:
        acknowledged: what it has acknowledged.
        received: what has come from it; stands still where that is not known.
        silent_seconds: how long ago its kernel acknowledged anything, new or not; 0 if that is not known.
        reset: whether the connection has been reset, so that nothing will be acknowledged any more.
        idle_seconds: how long ago data was sent to it, or came from it, whichever is later; None if that is
            not known. It goes on by itself, and is no progress.
    """

    acknowledged: object = None
    received: int = 0
    silent_seconds: float = 0.0
    reset: bool = False
    idle_seconds: float | None = None


def connection_of(transport: IStreamTransport) -> Any:
    """Return the connection with a socket that a transport wraps, or None."""
    below: Any = transport
    while isinstance(below, ProtocolWrapper):
        below = below.transport
    return below if isinstance(below, Connection) else None


class Delivery:
    """Watches what becomes of the bytes that are written to a transport.

    Args:
        transport: connected; what it wraps is looked through. Of one that has no socket nothing is known, and
            everything counts as acknowledged.

    Attributes:
        trailer_bytes: how much TLS may add to what ends the connection.
        is_exact: whether counts are those of the bytes that were written.
    """

    __slots__ = (
        "_connection", "_failed", "_is_tcp", "_lost_bytes", "_tls", "is_exact", "trailer_bytes",
    )  # fmt: skip

    def __init__(self, transport: IStreamTransport) -> None:
        self.trailer_bytes = 0
        self._connection: Any = None
        self._tls: list[TLSMemoryBIOProtocol] = []
        self._lost_bytes = 0
        self._failed = False
        below: Any = transport
        while isinstance(below, ProtocolWrapper):
            if isinstance(below, TLSMemoryBIOProtocol):
                self._tls.append(below)
                self.trailer_bytes = _TLS_TRAILER_BYTES
            below = below.transport
        self._is_tcp = True
        connection = connection_of(transport)
        if _LINUX and connection is not None:
            self._connection = connection
            self._is_tcp = is_tcp(connection)
            # The last look is possible just before the socket is closed, which nothing else reports.
            connection.connectionLost = self._lose
        self.is_exact = self._is_tcp and not self._tls

    @property
    def unacknowledged_bytes(self) -> int:
        """How much of what was written is not acknowledged: exact over plain TCP, an upper bound elsewhere.

        After the end of the connection, how much was not.
        """
        connection = self._connection
        if connection is None:
            return self._lost_bytes
        waiting = queued_bytes(connection)
        for tls in self._tls:
            waiting += unencrypted_bytes(tls)
        queued: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        if queued and self._is_tcp and has_sent_fin(connection):
            queued -= 1  # FIN
        return waiting + queued

    @property
    def progress(self) -> Progress:
        """What the peer has done so far."""
        connection = self._connection
        if connection is None:
            return Progress()
        if not self._is_tcp:
            return Progress(acknowledged=self.unacknowledged_bytes)
        info = connection.getHandle().getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        state, sent_milliseconds, received_milliseconds, ack_milliseconds, acknowledged, received = (
            _TCP_INFO.unpack(info)
        )
        return Progress(
            acknowledged,
            received,
            ack_milliseconds / 1000,
            state == _TCP_CLOSE,
            min(sent_milliseconds, received_milliseconds) / 1000,
        )

    @property
    def failed(self) -> bool:
        """Whether the connection was reset, or timed out; its transport may not notice if it does not read.

        The kernel reports it only once (SO_ERROR).
        """
        connection = self._connection
        if connection is not None and not self._failed:
            handle = connection.getHandle()
            self._failed = handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        return self._failed

    def _lose(self, reason: Failure) -> None:
        connection = self._connection
        if connection is not None:
            self._lost_bytes = self.unacknowledged_bytes
            if not self._is_tcp and reason.check(ConnectionDone) is None:
                # A UNIX socket's queue is emptied when the peer closes its end without reading it.
                handle = connection.getHandle()
                self._lost_bytes += handle.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            self._connection = None
            self._tls.clear()
            del connection.connectionLost
            connection.connectionLost(reason)
