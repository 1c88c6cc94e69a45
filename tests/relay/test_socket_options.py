"""The sockets of a tunnel send at once, and notice a machine that is gone."""

import socket
from typing import cast

from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock

from portofcall.relay.interfaces import IStreamTransport
from portofcall.relay.socket_options import set_options
from portofcall.testing import FakeTransport


def test_tcp_socket_is_probed_within_two_minutes() -> None:
    """60 seconds idle, then 4 probes, 15 seconds apart; and packets are not held back."""
    with socket.socket() as ours:
        connection = Connection(ours, Protocol(), MemoryReactorClock())
        set_options(cast(IStreamTransport, connection))
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 15
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4


def test_peer_that_does_not_read_has_no_time_limit() -> None:
    """TCP_USER_TIMEOUT would end it on Linux."""
    with socket.socket() as ours:
        set_options(cast(IStreamTransport, Connection(ours, Protocol(), MemoryReactorClock())))
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0


def test_unix_socket_is_left_alone() -> None:
    """It has none of these options."""
    ours, peer = socket.socketpair()
    with ours, peer:
        set_options(cast(IStreamTransport, Connection(ours, Protocol(), MemoryReactorClock())))
        assert not ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_transport_without_a_socket_sets_them_by_itself() -> None:
    """As those of tests do."""
    transport = FakeTransport()
    set_options(cast(IStreamTransport, transport))
    assert transport.log == ["nodelay=True", "keepalive=True"]
