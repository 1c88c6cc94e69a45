"""Messages have the same effect whether `PlainFrames` or Autobahn parses them."""

import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from hypothesis import given
from hypothesis import strategies as st

from portofcall.limits.values import KiB, Limits, MiB
from portofcall.testing import WebSocketClient, World, pack_frame, upgrade_request
from portofcall.websocket.protocol import WebSocketProtocol
from portofcall.websocket.turns import UNITS_PER_TURN
from tests.support import chunks, turn

BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
GOODBYE = struct.pack("!H", 1000)


@contextmanager
def by_autobahn_alone() -> Iterator[None]:
    """Leave everything to Autobahn, as without NVX."""
    with patch.object(WebSocketProtocol, "masker", None):
        yield


BLOCK = bytes(index * 7 % 251 for index in range(66_000))
#: What a client may send, for some number: a message, or a control frame.
PIECES: dict[str, Callable[[int], bytes]] = {
    "binary": lambda size: pack_frame(BINARY, BLOCK[:size]),
    "large binary": lambda size: pack_frame(BINARY, BLOCK[: 65_400 + size]),
    "many binary": lambda count: pack_frame(BINARY, b"one") * count,
    "text": lambda size: pack_frame(TEXT, "ü".encode() * size),
    "many text": lambda count: pack_frame(TEXT, b"two") * count,
    "fragments": lambda size: (
        pack_frame(BINARY, b"first", fin=False)
        + pack_frame(CONTINUATION, BLOCK[:size], fin=False) * 3
        + pack_frame(CONTINUATION, b"last")
    ),
    "large fragment": lambda size: (
        pack_frame(BINARY, BLOCK[: 5000 + size], fin=False) + pack_frame(CONTINUATION, b"last")
    ),
    "ping": lambda size: pack_frame(PING, BLOCK[: min(size, 125)]),
    "pong": lambda size: pack_frame(PONG, b"pong"),
    "ping amid": lambda size: (
        pack_frame(BINARY, b"head", fin=False) + pack_frame(PING, b"amid") + pack_frame(CONTINUATION, b"tail")
    ),
}
ENDS = {
    "none": b"",
    "Close": pack_frame(CLOSE, GOODBYE),
    "bytes after Close": pack_frame(CLOSE, GOODBYE) + pack_frame(BINARY, b"too late"),
    "unmasked": pack_frame(BINARY, b"unmasked", masked=False),
    "not UTF-8": pack_frame(TEXT, b"\xff\xfe"),
    "continuation of nothing": pack_frame(CONTINUATION, b"of nothing"),
    "message within a message": pack_frame(BINARY, b"part", fin=False) + pack_frame(BINARY, b"another"),
    "reserved opcode": pack_frame(3, b"reserved"),
    "half a frame": pack_frame(BINARY, b"cut off")[:-3],
}


def outcome(
    data: bytes, cuts: list[int], drained: Sequence[int] = ()
) -> tuple[bytes, list[str], list[tuple[int, bytes]], list[str]]:
    """Return what the backend and the client got, and what was done to both connections.

    Args:
        data: what the client sends.
        cuts: where it is cut.
        drained: how much the backend reads after each chunk; all of it if there is none.
    """
    world = World(limits=Limits(high_water_bytes=1 * KiB if drained else 1 * MiB))
    client = WebSocketClient(world)
    client.backend.buffer_size = 100 if drained else 16 * MiB
    taken = b""
    for chunk, most in itertools.zip_longest(chunks(data, cuts), drained):
        if chunk is not None:
            client.send(chunk)
        client.backend.drain(most)
        world.reactor.advance(0)
    while client.backend.buffer:
        taken += client.backend.take()
        world.reactor.advance(0)
    taken += client.backend.take()
    world.reactor.advance(2)
    return taken, client.backend.log, client.received(), client.transport.log


@given(
    pieces=st.lists(st.tuples(st.sampled_from(list(PIECES)), st.integers(0, 300)), max_size=12),
    end=st.sampled_from(list(ENDS)),
    cuts=st.lists(st.integers(0, 1 << 20), max_size=12),
    drained=st.lists(st.integers(0, 2000), min_size=1, max_size=20),
)
def test_effect_is_the_same_whether_autobahn_parses_it_or_not(
    pieces: list[tuple[str, int]], end: str, cuts: list[int], drained: list[int]
) -> None:
    """The same bytes, replies and endings, under any chunking and any pauses."""
    data = b"".join([*(PIECES[kind](number) for kind, number in pieces), ENDS[end]])
    with by_autobahn_alone():
        expected = outcome(data, cuts)
    assert outcome(data, cuts) == expected
    assert outcome(data, []) == expected
    slowly = outcome(data, cuts, drained)
    if "reset" in expected[1]:
        assert expected[0].startswith(slowly[0]), "only what waited for the backend may be lost"
        assert slowly[1:] == expected[1:]
    else:
        assert slowly == expected


def end_of(client: WebSocketClient) -> Any:
    """Return the gateway's side of a client's connection."""
    return client.transport.protocol


def test_plain_messages_never_reach_autobahn() -> None:
    """From the first one on, and again after other frames."""
    client = WebSocketClient(World())
    with patch.object(WebSocketProtocol, "parse", side_effect=AssertionError):
        client.send(pack_frame(BINARY, b"one"))
    client.send(pack_frame(TEXT, b" two") + pack_frame(PING, b"?"))
    with patch.object(WebSocketProtocol, "parse", side_effect=AssertionError):
        client.send(pack_frame(BINARY, b" three"))
    assert client.backend.take() == b"one two three"


def test_plain_messages_do_not_reach_autobahn_behind_another_frame_of_the_same_read() -> None:
    """A ping among the frames of a large upload costs what a ping costs."""
    client = WebSocketClient(World())
    with patch.object(WebSocketProtocol, "processData", autospec=True) as parse:
        parse.side_effect = WebSocketServerProtocol.processData
        client.send(pack_frame(PING) + pack_frame(BINARY, b"x") * 500)
        assert parse.call_count == 2, "the ping's header and its payload"
    assert len(client.backend.take()) == 500


def test_autobahn_keeps_parsing_until_its_message_is_complete() -> None:
    """A message that it has begun is its own to the end."""
    client = WebSocketClient(World())
    assert end_of(client)._plain
    for part in (
        pack_frame(BINARY, b"part", fin=False),
        pack_frame(PING, b"amid"),
        pack_frame(CONTINUATION, b"tail")[:5],
    ):
        client.send(part)
        assert not end_of(client)._plain
    client.send(pack_frame(CONTINUATION, b"tail")[5:])
    assert end_of(client)._plain


def test_handshake_is_complete_for_autobahn_too() -> None:
    """Its own Deferred for that has fired."""
    assert end_of(WebSocketClient(World())).is_open.called


# Work per turn

#: Small frames, how many that is, and how many are parsed in one turn: each of Autobahn's counts as 8.
FLOODS = {
    "plain messages": (pack_frame(BINARY, b"x"), 1, UNITS_PER_TURN),
    "text messages": (pack_frame(TEXT, b"x"), 1, UNITS_PER_TURN // 8),
    "text between plain messages": (
        pack_frame(TEXT, b"x") + pack_frame(BINARY, b"x"),
        2,
        UNITS_PER_TURN // 8,
    ),
    "fragments": (
        pack_frame(BINARY, b"x", fin=False)
        + pack_frame(CONTINUATION, b"x", fin=False) * 1000
        + pack_frame(CONTINUATION, b"x"),
        1002,
        UNITS_PER_TURN // 8,
    ),
    "pings": (pack_frame(PING, b"x"), 1, UNITS_PER_TURN // 8),
}
#: What a connection may parse of each read in any case, in plain frames.
HELPING = 128


def patient_world() -> World:
    """Make a gateway that does not mind pings."""
    return World(limits=Limits(control_frames_per_second=1_000_000))


def receive(client: WebSocketClient, data: bytes) -> None:
    """Let the gateway read ``data``, in a turn of the reactor that goes on."""
    client.transport.send(data)


def frames_from(*clients: WebSocketClient) -> int:
    """Count the small frames that were parsed since the last time: by bytes at the backend, and by pongs."""
    return sum(len(client.backend.take()) + len(client.received()) for client in clients)


@pytest.mark.parametrize("kind", list(FLOODS))
def test_flood_of_small_frames_is_parsed_one_budget_at_a_time(kind: str) -> None:
    """One read of 64 KiB of them takes many turns of the reactor, and no more is read meanwhile."""
    unit, frames, most = FLOODS[kind]
    repeated = 64 * KiB // len(unit)
    world = patient_world()
    client = WebSocketClient(world)
    receive(client, unit * repeated)
    per_turn = [frames_from(client)]
    while client.transport.paused:
        turn(world.reactor)
        per_turn.append(frames_from(client))
    assert sum(per_turn) == repeated * frames
    assert max(per_turn) <= most + HELPING
    assert min(per_turn[:-2]) >= most // 2, "the budget is used"


@pytest.mark.parametrize("opcode", [TEXT, CONTINUATION])
def test_large_frames_have_a_budget_in_bytes(opcode: int) -> None:
    """Where a transport hands over more at once than a socket would: each 4 KiB count as a frame."""
    client = WebSocketClient(World())
    begin = b"" if opcode == TEXT else pack_frame(BINARY, b"", fin=False)
    receive(client, begin + pack_frame(opcode, b"x" * (2 * MiB)))
    most = UNITS_PER_TURN // 8 * 4 * KiB + 64 * KiB
    per_turn = [len(client.backend.take())]
    while client.transport.paused:
        turn(end_of(client).factory.reactor)
        per_turn.append(len(client.backend.take()))
    assert sum(per_turn) == 2 * MiB
    assert max(per_turn) <= most


def test_autobahn_gets_small_frames_4_kib_at_a_time() -> None:
    """At each frame it copies all that it has and has not parsed."""
    sizes = []

    def parse(end: Any) -> bool:
        sizes.append(len(end.data))
        return WebSocketServerProtocol.processData(end)

    client = WebSocketClient(World())
    with patch.object(WebSocketProtocol, "processData", parse):
        client.send(pack_frame(TEXT, b"x") * 2000)
    assert max(sizes) == 4 * KiB


@pytest.mark.parametrize("kind", ["plain messages", "text messages"])
def test_floods_on_many_connections_share_one_budget(kind: str) -> None:
    """What is parsed in a turn hardly depends on how many of them there are, and all get their share."""
    unit, _, most = FLOODS[kind]
    world = patient_world()
    clients = [WebSocketClient(world) for _ in range(20)]
    for client in clients:
        receive(client, unit * 2000)
    assert frames_from(*clients) <= most + len(clients) * HELPING
    for _ in range(10):
        turn(world.reactor)
        assert most // 2 <= frames_from(*clients) <= most + HELPING
    parsed = [client.backend.protocol.events.to_backend.passed_bytes for client in clients]
    assert min(parsed) >= max(parsed) // 3


def test_small_message_is_parsed_at_once_whatever_others_send() -> None:
    """Somebody who types does not wait behind a flood, with plain or with text messages."""
    world = patient_world()
    flooder, typist = WebSocketClient(world), WebSocketClient(world)
    receive(flooder, FLOODS["text messages"][0] * 30_000)
    for opcode in (BINARY, TEXT):
        receive(typist, pack_frame(opcode, b"key"))
        assert typist.backend.take() == b"key"
        turn(world.reactor)


def test_frames_that_were_held_back_before_the_upgrade_have_the_same_budget() -> None:
    """A client that sends them along with its request gains nothing, and loses nothing."""
    unit, _, most = FLOODS["text messages"]
    world = patient_world()
    transport = world.connect()
    transport.send(upgrade_request() + unit * 2000)
    backend = world.accept()
    per_turn = [len(backend.take())]
    while transport.paused:
        turn(world.reactor)
        per_turn.append(len(backend.take()))
    assert max(per_turn) <= most + HELPING
    assert sum(per_turn) == 2000


def test_socket_is_read_4_kib_at_a_time_while_autobahn_parses() -> None:
    """Except within a large frame, where parsing is cheap; and as before once plain messages can follow."""
    client = WebSocketClient(World())
    transport = end_of(client).transport
    read_sizes = []
    for part in (
        pack_frame(BINARY, b"plain"),
        pack_frame(TEXT, b"fragment", fin=False),
        pack_frame(CONTINUATION, bytes(10_000))[:5000],
        pack_frame(CONTINUATION, bytes(10_000))[5000:],
        pack_frame(CONTINUATION, b""),
        pack_frame(PING, b"ping"),
    ):
        client.send(part)
        read_sizes.append(transport.most_read_bytes)
    assert read_sizes == [0, 4 * KiB, 0, 0, 0, 0]


def test_consumer_that_pauses_stops_parsing_until_it_resumes() -> None:
    """What was read of a flood then waits unparsed, and no more is read; nothing of it is lost."""
    world = World(limits=Limits(high_water_bytes=1 * KiB))
    client = WebSocketClient(world)
    client.backend.buffer_size = 1 * KiB
    client.send(pack_frame(TEXT, b"x") * 9000)
    assert client.transport.paused
    waiting = end_of(client).events.to_backend.waiting_bytes
    assert waiting <= 1 * KiB + HELPING
    received = 0
    for _ in range(9000):
        client.backend.drain(500)
        world.reactor.advance(0)
        received += len(client.backend.delivered)
        client.backend.delivered = b""
        if not client.transport.paused and not client.backend.buffer:
            break
    assert received == 9000


@pytest.mark.parametrize("opcode", [BINARY, TEXT])
def test_client_that_is_gone_while_its_bytes_wait_has_closed_well_if_it_said_so(opcode: int) -> None:
    """All that it sent is delivered, then the backend gets FIN: a Close frame was the last of it."""
    world = World()
    client = WebSocketClient(world)
    receive(client, pack_frame(opcode, b"x") * 5000 + pack_frame(CLOSE, GOODBYE))
    assert end_of(client).events.to_backend.passed_bytes < 5000
    client.transport.lose()
    world.reactor.advance(0)
    assert len(client.backend.take()) == 5000
    assert client.backend.log[-1] == "fin"


def test_client_that_is_gone_while_its_bytes_wait_for_a_stuck_backend_is_noticed() -> None:
    """Without a Close frame the backend's connection is reset, as it is without bytes that wait."""
    world = World(limits=Limits(high_water_bytes=1 * KiB))
    client = WebSocketClient(world)
    receive(client, pack_frame(BINARY, b"x" * 100) * 2000)
    world.reactor.advance(0)
    assert client.transport.paused
    client.transport.lose()
    world.reactor.advance(0)
    assert client.backend.log[-1] == "reset"


# After a failure

FAILURES = {
    1002: pack_frame(3, b"reserved"),
    1007: pack_frame(TEXT, b"\xff"),
    1008: pack_frame(PING) * 1001,
    1009: pack_frame(BINARY, b"1", fin=False) + pack_frame(CONTINUATION, b"2", fin=False) * 1024,
}


@pytest.mark.parametrize("code", list(FAILURES))
@pytest.mark.parametrize("in_one_read", [True, False])
def test_nothing_is_parsed_after_a_failure(code: int, in_one_read: bool) -> None:
    """RFC 6455 §7.1.7: neither messages, nor pings, nor the reply to our Close frame."""
    client = WebSocketClient(World())
    after = pack_frame(TEXT, b"x") * 100 + pack_frame(PING, b"?") * 10 + pack_frame(CLOSE, GOODBYE)
    with patch.object(WebSocketProtocol, "processData", autospec=True) as parse:
        parse.side_effect = WebSocketServerProtocol.processData
        if in_one_read:
            client.send(FAILURES[code] + after)
        else:
            client.send(FAILURES[code])
        assert end_of(client).failed
        steps = parse.call_count
        client.send(after)
        assert parse.call_count == steps
    frames = client.received()
    assert [opcode for opcode, _ in frames if opcode == CLOSE] == [CLOSE]
    assert (frames[-1][0], struct.unpack("!H", frames[-1][1][:2])[0]) == (CLOSE, code)
    assert client.backend.log[-1] == "reset"


def test_failed_connection_is_read_for_2_seconds_and_closed_with_fin() -> None:
    """To close at once would reset it, and the client might not read why."""
    world = World()
    client = WebSocketClient(world)
    client.send(FAILURES[1002])
    before = ["nodelay=True", "keepalive=True", "fin"]
    assert client.transport.log == before
    assert not client.transport.paused
    world.reactor.advance(1.9)
    client.send(pack_frame(BINARY, b"more"))
    assert client.transport.log == before
    world.reactor.advance(0.1)
    assert client.transport.log == [*before, "close"]
    client.transport.lose()
    client.backend.lose()
    assert not world.reactor.calls


def test_failed_connection_that_the_client_closes_needs_no_timer() -> None:
    """Nothing of it is left behind."""
    world = World()
    client = WebSocketClient(world)
    client.send(FAILURES[1002])
    client.transport.lose()
    client.backend.lose()
    assert not world.reactor.calls


# Fragments


def test_fragments_of_1_kib_and_more_are_not_counted() -> None:
    """Chromium cuts what a page sends into frames of 128 KiB: 300 MiB are 2400 of them, and arrive."""
    client = WebSocketClient(World())
    for size, count in ((128 * KiB, 2400), (1 * KiB, 1100)):
        first, more, last = (
            pack_frame(opcode, bytes(size), fin=fin)
            for opcode, fin in ((BINARY, False), (CONTINUATION, False), (CONTINUATION, True))
        )
        received = 0
        for frame in (first, *[more] * (count - 2), last):
            client.send(frame)
            received += len(client.backend.take())
        assert received == count * size
    assert client.received() == []


def test_fragments_just_below_1_kib_are_counted() -> None:
    """Also among larger ones."""
    client = WebSocketClient(World(limits=Limits(max_fragments=3)))
    client.send(pack_frame(BINARY, bytes(1023), fin=False))
    for size in (1024, 1023, 5000, 0):
        client.send(pack_frame(CONTINUATION, bytes(size), fin=False))
    assert client.received() == []
    client.send(pack_frame(CONTINUATION, b"x"))
    assert client.close_frame() == (1009, "a message may have at most 3 frames of less than 1 KiB")
