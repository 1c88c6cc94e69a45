"""Pings go to idle clients with marks, pongs return them, and neither fills the memory."""

import struct

import pytest

from portofcall.limits.values import KiB, Limits
from portofcall.testing import WebSocketClient, World, pack_frame

PING, PONG = 9, 10


@pytest.fixture
def world() -> World:
    """A gateway that pings every 20 seconds, and waits 10 for the pong."""
    return World(limits=Limits(ping_interval_seconds=20, ping_timeout_seconds=10))


def wait(world: World, seconds: int) -> None:
    """Let time pass, in small steps."""
    world.reactor.pump([0.5] * (2 * seconds))


def test_idle_client_gets_pings_and_lives_as_long_as_it_answers(world: World) -> None:
    """Each has the number of bytes before it as its payload, and is answered with that."""
    client = WebSocketClient(world)
    client.backend.send(b"12345")
    client.received()
    for _ in range(5):
        wait(world, 20)
        assert client.received() == [(PING, struct.pack("!Q", 5))]
        client.send(pack_frame(PONG, struct.pack("!Q", 5)))
    wait(world, 31)
    frames = client.received()
    assert [opcode for opcode, _ in frames] == [PING, 8]
    assert frames[-1][1][2:] == b"ping-timeout: the client answered no ping for 10 seconds"
    assert "fin" in client.backend.log


def test_unsolicited_pong_is_a_sign_of_life_but_returns_no_mark(world: World) -> None:
    """It may have been sent before anything was read (RFC 6455 §5.5.3)."""
    client = WebSocketClient(world)
    client.backend.send(b"12345")
    wait(world, 20)
    client.send(pack_frame(PONG, b"unsolicited"))
    client.received()
    wait(world, 600)
    assert {opcode for opcode, _ in client.received()} == {PING}


def test_client_that_does_not_read_gets_no_pings(world: World) -> None:
    """They would queue up behind what it has not read."""
    client = WebSocketClient(world)
    client.backend.send(bytes(65 * KiB))
    client.backend.send(b"in the chain")
    before = len(client.transport.buffer)
    wait(world, 3600)
    assert len(client.transport.buffer) == before
    assert client.received()[-1] == (2, b"in the chain")


def test_pongs_of_hours_may_arrive_at_once() -> None:
    """As from a client that was not read: they do not count as too many control frames; others do."""
    world = World(limits=Limits(ping_interval_seconds=1, ping_timeout_seconds=10_000))
    client = WebSocketClient(world)
    wait(world, 2000)
    pings = [payload for opcode, payload in client.received() if opcode == PING]
    assert len(pings) == 2000
    client.send(b"".join(pack_frame(PONG, payload) for payload in pings))
    world.reactor.pump([0] * 200)
    assert client.received() == []
    client.send(b"".join(pack_frame(PONG, bytes(8)) for _ in range(1001)))
    world.reactor.pump([0] * 200)
    assert client.close_frame()[0] == 1008
