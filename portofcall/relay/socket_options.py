"""The options of the sockets of a tunnel."""

import socket
from typing import Any

from portofcall.relay.delivery import connection_of, is_tcp
from portofcall.relay.interfaces import IStreamTransport

#: An idle peer is probed after this many seconds, then at this interval, so many times. One whose machine is
#: gone is noticed within two minutes. Not every system has all of these.
_KEEPALIVE = [
    (getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
]


def set_options(transport: IStreamTransport) -> None:
    """Have packets sent at once (TCP_NODELAY), and an idle peer that is gone noticed (SO_KEEPALIVE).

    There is no TCP_USER_TIMEOUT: on Linux it also ends a peer that is alive and does not read.

    Args:
        transport: connected. A UNIX socket has no such options, and needs none.
    """
    connection = connection_of(transport)
    if connection is not None and not is_tcp(connection):
        return
    below: Any = transport if connection is None else connection
    below.setTcpNoDelay(True)
    below.setTcpKeepAlive(True)
    if connection is not None:
        handle = connection.getHandle()
        for option, value in _KEEPALIVE:
            handle.setsockopt(socket.IPPROTO_TCP, option, value)
