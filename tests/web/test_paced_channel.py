"""Pipelined requests take turns with everything else, and wait for a client that does not read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.limits.values import KiB, Limits, Rate
from portofcall.testing import FakeTransport, World, upgrade_request
from tests.support import chunks, turn

GET = b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n"
#: One whose response is so short that a hundred of them fit into a buffer.
GET_NOTHING = GET.replace(b"/", b"/nothing", 1)
LONG_GET_NOTHING = GET_NOTHING.replace(b"\r\n\r\n", b"\r\nX: ").ljust(1020, b"x") + b"\r\n\r\n"
#: One of a kilobyte.
LONG_GET = GET.replace(b"\r\n\r\n", b"\r\nX: ").ljust(1020, b"x") + b"\r\n\r\n"
PING = b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nContent-Length: 36\r\n\r\n"
PING += b'{"host": "93.184.215.14", "port": 1}'


def statuses(data: bytes) -> list[int]:
    """Return the statuses of the responses in ``data``."""
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+) ", data)]


def flood(world: World, size: int = 64 * KiB) -> FakeTransport:
    """Connect a client that sends many requests in one segment."""
    transport = world.connect()
    transport.send((GET * (size // len(GET) + 1))[:size])
    return transport


def test_one_request_of_a_connection_is_served_a_turn() -> None:
    """However many have come in one read."""
    world = World()
    transport = flood(world)
    for _ in range(10):
        assert statuses(transport.take()) == [200]
        turn(world.reactor)


def test_others_have_their_turn_between_two_requests() -> None:
    """Each connection gets one response before one gets its second."""
    world = World()
    transports = [world.connect() for _ in range(5)]
    for transport in transports:
        transport.send(GET * 100)
    for _ in range(3):
        assert [statuses(transport.take()) for transport in transports] == [[200]] * 5
        turn(world.reactor)


def test_client_that_is_far_ahead_is_not_read() -> None:
    """What it has sent waits in its own kernel, not in the gateway; at last it is read again."""
    world = World()
    transport = world.connect()
    transport.send(LONG_GET * 40)
    paused = []
    for _ in range(40):
        paused.append(transport.paused)
        turn(world.reactor)
    assert paused == [True] * 23 + [False] * 17
    assert statuses(transport.take()) == [200] * 40


def test_client_that_is_not_read_is_read_for_the_rest_of_its_request() -> None:
    """A large head and a part of its body may come behind a request that is being served."""
    world = World()
    transport = world.connect()
    head = b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nContent-Length: 4096\r\nX: "
    head = head.ljust(15 * KiB, b"x") + b"\r\n\r\n"
    transport.send(GET + head + b"[" * 3000)
    assert transport.paused
    world.reactor.advance(0)
    assert not transport.paused
    transport.send(b"[" * 1096)
    world.reactor.advance(0)
    assert statuses(transport.take()) == [200, 400]


def test_client_that_is_not_read_is_read_after_a_refusal() -> None:
    """To close over what it has sent would lose the response."""
    world = World()
    transport = world.connect()
    transport.send(GET + b"nonsense\r\n" + b"x" * 20 * KiB)
    assert transport.paused
    world.reactor.advance(0)
    assert statuses(transport.take()) == [200, 400]
    assert not transport.paused


def test_data_that_comes_although_it_is_not_read_is_served_in_order() -> None:
    """TLS delivers all of a read, paused or not."""
    world = World()
    transport = world.connect()
    for _ in range(40):
        transport.send(LONG_GET)
    assert transport.paused
    world.reactor.advance(0)
    assert statuses(transport.take()) == [200] * 40
    assert not transport.paused


def test_client_that_does_not_read_gets_no_more_responses() -> None:
    """And is not read, until it has read what there is."""
    world = World()
    transport = world.connect()
    transport.buffer_size = 2000
    transport.send(GET * 2000)
    world.reactor.advance(0)
    written = len(transport.buffer)
    assert written < 2 * transport.buffer_size
    assert transport.paused
    world.reactor.advance(1)
    assert len(transport.buffer) == written
    transport.drain(written - 1)
    world.reactor.advance(0)
    assert len(transport.buffer) == 1
    transport.drain()
    world.reactor.advance(0)
    assert len(transport.buffer) > 1000


def test_client_that_never_reads_is_closed_in_time() -> None:
    """Its responses do not hold the connection."""
    world = World()
    transport = world.connect()
    transport.buffer_size = 2000
    transport.send(GET * 2000)
    world.reactor.advance(0)
    world.reactor.pump([1.0] * 67)
    assert transport.log == ["close", "reset"]


def test_connection_has_at_most_a_hundred_requests() -> None:
    """The last response says so; what follows is read and dropped, so that all responses arrive."""
    world = World()
    transport = world.connect()
    transport.send(GET_NOTHING * 150)
    world.reactor.advance(0)
    data = transport.take()
    assert statuses(data) == [404] * 100
    assert data.count(b"Connection: close") == 1
    assert b"Connection: close" in data[data.rindex(b"HTTP/1.1 404 ") :]
    assert (transport.log, transport.paused) == ([], False)
    transport.send(GET * 50)
    world.reactor.advance(2.1)
    assert (transport.take(), transport.log) == (b"", ["close"])


def test_last_response_arrives_however_much_comes_behind_its_request() -> None:
    """All of it is read and dropped: to close over it would be a reset."""
    world = World()
    transport = world.connect()
    transport.send(LONG_GET_NOTHING * 150)
    world.reactor.advance(0)
    assert statuses(transport.take()) == [404] * 100
    assert not transport.paused


def test_what_comes_behind_the_last_request_is_read_even_if_the_client_does_not_read() -> None:
    """It may read later, when it has sent everything."""
    world = World()
    transport = world.connect()
    transport.buffer_size = 1
    transport.send(GET * 99 + PING)
    for _ in range(99):
        world.reactor.advance(0)
        transport.drain()
    transport.send(bytes(20 * KiB))
    assert transport.paused
    world.accept()
    assert statuses(transport.buffer) == [200]
    assert not transport.paused


def test_request_that_takes_its_time_holds_up_only_its_own_connection() -> None:
    """The next request of it is served after the response."""
    world = World()
    slow = world.connect()
    slow.send(PING)
    slow.send(GET * 3)
    other = flood(world, 4 * KiB)
    world.reactor.advance(0)
    assert slow.take() == b""
    assert len(statuses(other.take())) > 50
    world.accept()
    world.reactor.advance(0)
    assert statuses(slow.take()) == [200] * 4


def test_upgrade_behind_other_requests_gets_all_frames_behind_it() -> None:
    """The tunnel gets what was read ahead."""
    world = World()
    transport = world.connect()
    frame = b"\x82\x85\0\0\0\0hello"
    transport.send(GET * 2 + upgrade_request() + frame)
    transport.send(frame)
    world.reactor.advance(0)
    assert statuses(transport.take()) == [200, 200, 101]
    transport.send(frame)
    assert world.accept().take() == b"hello" * 3


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_client_that_leaves_ahead_of_its_responses_leaves_nothing(size: int) -> None:
    """No call is left in the reactor."""
    world = World()
    transport = flood(world, 8 * KiB)
    for _ in range(size % 5):
        turn(world.reactor)
    transport.lose()
    turn(world.reactor)
    assert world.reactor.getDelayedCalls() == []


REQUESTS = {
    GET: 200,
    b"GET /x HTTP/1.1\r\nHost: gateway\r\n\r\n": 404,
    b"\r\nPOST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: 5\r\n\r\n12345": 405,
    b"POST /api/ping HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n": 400,
}


@given(
    st.lists(st.sampled_from(sorted(REQUESTS)), max_size=20),
    st.lists(st.integers(0, 3000), max_size=8),
    st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_every_request_is_answered_once_in_order(
    requests: list[bytes], cuts: list[int], passes: list[bool]
) -> None:
    """However they are cut, and whenever turns of the reactor pass."""
    world = World()
    transport = world.connect()
    for piece, passes_one in zip(chunks(b"".join(requests), cuts), passes, strict=False):
        transport.send(piece)
        if passes_one:
            turn(world.reactor)
    world.reactor.advance(0)
    assert statuses(transport.take()) == [REQUESTS[request] for request in requests]
    assert not transport.paused


def test_many_connections_share_each_turn() -> None:
    """A thousand requests at the same moment hold up nobody: eight pieces are parsed in a turn, for all."""
    world = World(limits=Limits(request_rate=Rate(0, 1), max_waiting=0))
    transports = [world.connect() for _ in range(50)]
    for transport in transports:
        transport.send(GET)
    served = []
    for _ in range(8):
        served.append(sum(bool(transport.take()) for transport in transports))
        turn(world.reactor)
    assert served == [8] * 6 + [2, 0]
    assert not any(transport.paused for transport in transports)


def test_connection_that_waits_for_its_turn_can_leave() -> None:
    """The others go on."""
    world = World()
    transports = [world.connect() for _ in range(20)]
    for transport in transports:
        transport.send(GET)
    for transport in transports[8:12]:
        transport.lose()
        assert transport.protocol.clearLineBuffer() == b"", "what it sent is forgotten"
    world.reactor.advance(0)
    assert [statuses(transport.take()) for transport in transports[12:]] == [[200]] * 8
    assert transports[8].take() == b""


def test_connection_that_fails_in_its_turn_is_the_only_one(
    logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is reset, and the error is in the log."""
    world = World()
    broken, sound = world.connect(), world.connect()
    for transport in (broken, sound):
        transport.send(GET * 2)
        transport.take()

    def fail(line: bytes) -> None:
        raise ZeroDivisionError(line)

    monkeypatch.setattr(broken.protocol, "lineReceived", fail)
    world.reactor.advance(0)
    assert broken.log == ["reset"]
    assert statuses(sound.take()) == [200]
    assert any("could not take what was received" in line for line in logged)
