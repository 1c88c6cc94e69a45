"""A connection that waits for its client counts and has a deadline, in every state."""

import pytest
from twisted.internet.task import Clock

from portofcall.limits.fair_eviction import FairEviction
from portofcall.web.connection_state import ConnectionState, State

WAITING_FOR_THE_CLIENT = [State.WAITING, State.DROPPING, State.CLOSING]


class Connections:
    """Connections with a common clock and room for ``most``; notes what happens to them."""

    def __init__(self, most: int = 10) -> None:
        self.clock = Clock()
        self.room = FairEviction[ConnectionState](most)
        self.late: list[str] = []
        self.reset: list[str] = []

    def add(self, name: str, *, client: str = "client") -> ConnectionState:
        """Make a connection that waits, with a deadline in 10 seconds."""
        connection = ConnectionState(
            self.clock,
            self.room,
            client=client,
            reset=lambda: self.reset.append(name),
        )
        self.wait(connection, name)
        return connection

    def wait(self, connection: ConnectionState, name: str) -> None:
        """Give it a deadline in 10 seconds."""
        connection.become(State.WAITING, 10, lambda: self.late.append(name))


@pytest.mark.parametrize("state", State)
def test_connection_counts_while_it_waits_for_its_client(state: State) -> None:
    """And not while it is served, or when it is gone."""
    connections = Connections()
    connection = connections.add("a")
    connection.become(state)
    assert connection.now is state
    assert len(connections.room) == (state in WAITING_FOR_THE_CLIENT)
    connection.become(State.GONE)
    assert len(connections.room) == 0


def test_last_deadline_counts() -> None:
    """A state has one deadline, and it fires once."""
    connections = Connections()
    connection = connections.add("a")
    connections.clock.advance(9)
    connections.wait(connection, "a")
    connections.clock.advance(9)
    assert connections.late == []
    connections.clock.advance(1)
    assert connections.late == ["a"]
    connection.become(State.ANSWERING)
    assert connections.clock.getDelayedCalls() == []


def test_connection_that_does_not_close_is_reset() -> None:
    """And counts until it is lost."""
    connections = Connections()
    connection = connections.add("a")
    connection.become(State.CLOSING, 5)
    connections.clock.advance(5)
    assert (connections.reset, connections.late) == (["a"], [])
    assert len(connections.room) == 1
    connection.become(State.GONE)
    assert len(connections.room) == 0


def test_aborted_connection_counts_until_it_is_lost() -> None:
    """A reset may take a moment."""
    connections = Connections()
    connection = connections.add("a")
    connection.abort()
    assert (connections.reset, len(connections.room)) == (["a"], 1)
    connection.become(State.GONE)
    assert len(connections.room) == 0


def test_evicted_connection_is_reset_and_gone() -> None:
    """Without a deadline or a place."""
    connections = Connections(most=1)
    first = connections.add("a")
    connections.add("b")
    assert (connections.reset, first.now, len(connections.room)) == (["a"], State.GONE, 1)
    connections.clock.advance(60)
    assert connections.late == ["b"]


def test_connection_that_waits_for_something_else_is_not_younger() -> None:
    """To begin a request does not protect the oldest connection from being evicted."""
    connections = Connections(most=2)
    oldest = connections.add("oldest")
    connections.add("younger")
    oldest.become(State.WAITING, 10)
    oldest.become(State.DROPPING, 2)
    connections.add("new")
    assert connections.reset == ["oldest"]
