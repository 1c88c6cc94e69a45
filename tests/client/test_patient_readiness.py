"""Which turns of the reactor a patient reader takes, with real sockets."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from twisted.internet.epollreactor import EPollReactor

from portofcall.client.patient_readiness import PatientReadiness, SingleTunnelReadiness


class Sockets:
    """Sockets that a reader watches, each with its peer; what is read is noted in order."""

    def __init__(self, kind: type[PatientReadiness]) -> None:
        self.reactor = EPollReactor()
        self.readiness = kind(self.reactor)
        self.read: list[bytes] = []
        self.stack = ExitStack()

    def add(self, *, becomes_bulk: bool = False) -> socket.socket:
        """Watch one more; return its peer."""
        peer, watched = (self.stack.enter_context(each) for each in socket.socketpair())

        def readable(_event: int) -> None:
            self.read.append(watched.recv(1))
            if becomes_bulk:
                self.readiness.move(watched.fileno(), bulk=True)

        self.readiness.watch(watched.fileno(), readable)
        return peer

    def close(self) -> None:
        """Close everything."""
        for descriptor in list(self.readiness._readable):
            self.readiness.forget(descriptor)
        self.reactor.removeAll()
        self.reactor._poller.close()
        self.stack.close()


@pytest.fixture(params=[PatientReadiness, SingleTunnelReadiness])
def sockets(request: pytest.FixtureRequest) -> Iterator[Sockets]:
    """Sockets for each kind of reader."""
    made = Sockets(request.param)
    yield made
    made.close()


def test_bulk_is_read_beside_small_messages(sockets: Sockets) -> None:
    """A socket that becomes one of bulk is still read, and so are the others."""
    bulk, small = sockets.add(becomes_bulk=True), sockets.add()
    bulk.send(b"BBBB")
    small.send(b"ss")
    for _ in range(8):
        sockets.reactor.doIteration(0)
    assert sorted(sockets.read) == [b"B"] * 4 + [b"s"] * 2


def test_an_idle_reader_leaves_the_waiting_to_the_reactor(
    sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once nothing has come for a moment it does nothing at all before the next event."""
    peer = sockets.add()
    peer.send(b"x")
    sockets.reactor.doIteration(0)
    assert sockets.read == [b"x"]
    turns: list[int] = []
    monkeypatch.setattr(sockets.readiness, "doRead", lambda: turns.append(1))
    sockets.reactor.doIteration(0.01)
    assert turns == []
