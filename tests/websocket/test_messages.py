"""With portofcall.v1 each direction of a tunnel ends by itself, through a whole gateway in memory."""

import struct
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.python.failure import Failure

from portofcall.limits.values import KiB, Limits
from portofcall.testing import WebSocketClient, World, pack_frame, upgrade_request
from portofcall.websocket.half_close import EOF, MAX_TEXT_BYTES
from tests.support import chunks

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
EOF_FRAME = pack_frame(TEXT, EOF)
CLOSE_1000 = (CLOSE, struct.pack("!H", 1000))


def connect(world: World | None = None, **headers: Any) -> WebSocketClient:
    """Open a tunnel with portofcall.v1."""
    raw = upgrade_request(Sec_WebSocket_Protocol="binary, portofcall.v1", **headers)
    return WebSocketClient(world or World(), raw)


def end_of(client: WebSocketClient) -> Any:
    """Return the gateway's end of the connection."""
    return cast(Any, client.transport.protocol)


def test_half_close_is_preferred() -> None:
    """The response names it, regardless of the order of the offer."""
    assert connect().response.headers["sec-websocket-protocol"] == "portofcall.v1"


def test_eof_from_the_client_is_fin_and_the_answer_comes_after_it() -> None:
    """The backend answers once it has seen the end, and as late as it likes."""
    world = World()
    client = connect(world)
    client.send(pack_frame(BINARY, b"question"))
    assert "fin" not in client.backend.log
    client.send_eof()
    assert client.backend.take() == b"question"
    assert client.backend.log[-1] == "fin"
    world.reactor.pump([1] * 15)
    client.backend.send(b"answer")
    assert client.received() == [(BINARY, b"answer")]
    client.backend.fin()
    assert client.received() == [(TEXT, EOF), CLOSE_1000]


def test_fin_from_the_backend_is_eof_and_the_client_goes_on() -> None:
    """Everything that the backend sent comes before eof."""
    world = World()
    client = connect(world)
    client.backend.send(b"enough")
    client.backend.fin()
    assert client.received() == [(BINARY, b"enough"), (TEXT, EOF)]
    world.reactor.pump([1] * 15)
    client.send(pack_frame(BINARY, b"more"))
    assert client.backend.take() == b"more"
    assert "fin" not in client.backend.log
    client.send_eof()
    assert client.backend.log[-2:] == ["fin", "close"]
    assert client.received() == [CLOSE_1000]
    client.send(pack_frame(*CLOSE_1000))
    assert client.transport.log[-1] == "close"


def test_eof_waits_for_what_a_slow_backend_has_not_read() -> None:
    """FIN comes after everything, in order, and the client is paused meanwhile."""
    client = connect(World(limits=Limits(high_water_bytes=64 * KiB)))
    sent = bytes(range(256)) * (4 * 256)
    for start in range(0, len(sent), 32 * KiB):
        client.send(pack_frame(BINARY, sent[start : start + 32 * KiB]))
    assert client.transport.paused
    client.send_eof()
    received = b""
    while "fin" not in client.backend.log:
        received += client.backend.take()
        client.send(b"")
    assert received + client.backend.take() == sent


def test_eof_waits_for_what_a_slow_client_has_not_read() -> None:
    """The gateway's eof comes after everything that the backend sent."""
    client = connect()
    sent = bytes(range(256)) * (2 * 256)
    for start in range(0, len(sent), 32 * KiB):
        client.backend.send(sent[start : start + 32 * KiB])
    client.backend.fin()
    frames: list[tuple[int, bytes]] = []
    while not frames or frames[-1][0] != TEXT:
        frames += client.received()
    assert b"".join(payload for opcode, payload in frames if opcode == BINARY) == sent
    assert frames[-1] == (TEXT, EOF)
    client.send(pack_frame(BINARY, b"still here"))
    assert client.backend.take() == b"still here"


@pytest.mark.parametrize("data", [b"", b"early"])
def test_eof_while_dialling_is_fin_once_the_backend_is_there(data: bytes) -> None:
    """Also when it comes with the upgrade request, and with nothing before it."""
    world = World()
    raw = upgrade_request(Sec_WebSocket_Protocol="portofcall.v1") + pack_frame(BINARY, data) + EOF_FRAME
    transport = world.connect()
    transport.send(raw)
    world.reactor.advance(0)
    assert world.given_up == []
    backend = world.accept()
    assert backend.take() == data
    assert backend.log[-1] == "fin"


def test_dial_that_fails_after_eof_is_reported() -> None:
    """With the Close code of the error, as without eof."""
    world = World()
    transport = world.connect()
    transport.send(upgrade_request(Sec_WebSocket_Protocol="portofcall.v1") + EOF_FRAME)
    world.reactor.advance(0)
    transport.take()
    world.refuse(ConnectionRefusedError())
    assert struct.unpack("!H", transport.take()[2:4]) == (4502,)


def test_close_frame_ends_both_directions_and_is_answered_at_once() -> None:
    """What was sent is delivered with FIN; what the backend still says is discarded."""
    client = connect()
    client.send(pack_frame(BINARY, b"bye") + pack_frame(CLOSE, struct.pack("!H", 4321)))
    assert client.received() == [(CLOSE, struct.pack("!H", 4321))]
    assert client.backend.take() == b"bye"
    assert client.backend.log[-1] == "fin"
    client.backend.send(b"too late")
    client.backend.fin()
    assert client.received() == []


def test_close_1000_waits_until_the_backend_has_read_everything() -> None:
    """After both eofs it says that all data has arrived."""
    client = connect()
    client.send(pack_frame(BINARY, bytes(70 * KiB)))
    client.send(pack_frame(BINARY, b"the end") + EOF_FRAME)
    client.backend.fin()
    assert client.received() == [(TEXT, EOF)]
    assert client.backend.take()
    assert client.received() == [CLOSE_1000]


def test_backend_that_closes_over_what_it_has_not_read_is_1011() -> None:
    """Not every byte arrived, and the client learns it."""
    client = connect()
    client.send(pack_frame(BINARY, bytes(70 * KiB)))
    client.send(pack_frame(BINARY, b"the end") + EOF_FRAME)
    client.backend.fin()
    client.backend.protocol.connectionLost(Failure(ConnectionDone()))
    eof, (opcode, reason) = client.received()
    assert eof == (TEXT, EOF)
    assert (opcode, reason[2:].partition(b":")[0]) == (CLOSE, b"backend-reset")


@pytest.mark.parametrize(
    "frames",
    [
        pack_frame(TEXT, EOF[:5], fin=False) + pack_frame(CONTINUATION, EOF[5:]),
        pack_frame(TEXT, b"", fin=False) + pack_frame(PONG) + pack_frame(CONTINUATION, EOF),
        b"".join(
            [pack_frame(TEXT, EOF[:1], fin=False)]
            + [pack_frame(CONTINUATION, EOF[at : at + 1], fin=False) for at in range(1, len(EOF))]
            + [pack_frame(CONTINUATION)]
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_eof_may_come_in_fragments_and_in_pieces(frames: bytes, size: int) -> None:
    """As any message may (RFC 6455 §5.4)."""
    client = connect()
    for start in range(0, len(frames), size):
        client.send(frames[start : start + size])
    assert client.backend.log[-1] == "fin"


@pytest.mark.parametrize(
    "text", [b"", b"hello", b'{"type":"EOF"}', b'{"type":"eof","x":1}', b"x" * (MAX_TEXT_BYTES + 1)]
)
@pytest.mark.parametrize("size", [1, 1000])
def test_any_other_text_is_1003(text: bytes, size: int) -> None:
    """Nothing of it reaches the backend, which is reset; what came before does."""
    client = connect()
    frames = pack_frame(BINARY, b"before") + pack_frame(TEXT, text) + pack_frame(BINARY, b"after")
    for start in range(0, len(frames), size):
        client.send(frames[start : start + size])
    code, reason = client.close_frame()
    assert (code, reason.partition(":")[0]) == (1003, "unknown-message")
    assert client.backend.take() == b"before"
    assert client.backend.log[-1] == "reset"


def test_long_text_fails_before_its_payload_has_come() -> None:
    """The header announces more than eof has, so nothing of it is kept."""
    client = connect()
    client.send(pack_frame(TEXT, bytes(1 << 20))[:14])
    assert client.close_frame()[0] == 1003


def test_text_in_small_fragments_fails_when_it_is_too_long() -> None:
    """No more than 128 bytes of it are kept."""
    client = connect()
    client.send(pack_frame(TEXT, b" " * 64, fin=False) + pack_frame(CONTINUATION, b" " * 64, fin=False))
    assert client.received() == []
    client.send(pack_frame(CONTINUATION, b" ", fin=False))
    assert client.close_frame()[0] == 1003


def test_endless_empty_fragments_of_a_text_fail() -> None:
    """They are counted as in any message."""
    client = connect(World(limits=Limits(max_fragments=10)))
    client.send(pack_frame(TEXT, fin=False) + pack_frame(CONTINUATION, fin=False) * 10)
    assert client.close_frame()[0] == 1009


def test_text_that_is_not_utf8_is_1007() -> None:
    """RFC 6455 §8.1."""
    client = connect()
    client.send(pack_frame(TEXT, b'{"type":"eof\xff"}'))
    assert client.close_frame()[0] == 1007


@pytest.mark.parametrize(
    "message",
    [
        pack_frame(BINARY, b"more"),
        pack_frame(BINARY),
        pack_frame(BINARY, fin=False),
        pack_frame(TEXT, b"text"),
        EOF_FRAME,
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_any_message_after_eof_is_1002(message: bytes, together: bool) -> None:
    """The backend gets nothing of it, and is reset."""
    client = connect()
    if together:
        client.send(EOF_FRAME + message)
    else:
        client.send_eof()
        client.send(message)
    code, reason = client.close_frame()
    assert (code, reason.partition(":")[0]) == (1002, "after-eof")
    assert client.backend.take() == b""
    assert client.backend.log[-1] == "reset"


def test_control_frames_go_on_after_eof() -> None:
    """A ping is answered, and a Close frame ends the tunnel."""
    client = connect()
    client.send_eof()
    client.send(pack_frame(PING, b"still there?") + pack_frame(PONG))
    assert client.received() == [(PONG, b"still there?")]
    client.send(pack_frame(*CLOSE_1000))
    assert client.received() == [CLOSE_1000]


def test_text_is_data_without_half_close() -> None:
    """With ``binary``, or without a subprotocol, nothing has changed."""
    for offered in (None, "binary"):
        client = WebSocketClient(World(), upgrade_request(Sec_WebSocket_Protocol=offered))
        client.send(EOF_FRAME + EOF_FRAME)
        assert client.backend.take() == EOF + EOF
        assert "fin" not in client.backend.log


def test_binary_messages_never_reach_autobahn() -> None:
    """Data is as fast as without half-close; only what follows eof is not."""
    client = connect()
    end = end_of(client)
    seen: list[bool] = []
    end.onMessageBegin = seen.append
    for _ in range(3):
        client.send(pack_frame(BINARY, b"plain") * 3)
    assert seen == []
    assert client.backend.take() == b"plain" * 9


def test_heartbeats_go_on_while_one_direction_is_open() -> None:
    """A client that is only waiting is pinged, and one that is gone is noticed."""
    world = World(limits=Limits(ping_interval_seconds=20, ping_timeout_seconds=20))
    client = connect(world)
    client.send_eof()
    for _ in range(3):
        world.reactor.advance(20)
        ((opcode, mark),) = client.received()
        assert opcode == PING
        client.send(pack_frame(PONG, mark))
    world.reactor.advance(20)
    world.reactor.advance(20)
    assert client.close_frame() == (1011, "ping-timeout: the client answered no ping for 20 seconds")


@given(
    up=st.binary(max_size=3000),
    down=st.binary(max_size=3000),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    size=st.integers(1, 500),
    client_first=st.booleans(),
)
@settings(max_examples=40)
def test_every_byte_arrives_whichever_side_ends_first(
    up: bytes, down: bytes, cuts: list[int], size: int, client_first: bool
) -> None:
    """However it is cut into messages and segments."""
    client = connect()
    raw = b"".join(pack_frame(BINARY, piece) for piece in chunks(up, cuts)) + EOF_FRAME
    received: list[tuple[int, bytes]] = []
    for first in (client_first, not client_first):
        if first:
            for start in range(0, len(raw), size):
                client.send(raw[start : start + size])
        else:
            for piece in chunks(down, cuts):
                client.backend.send(piece)
            client.backend.fin()
        received += client.received()
    assert client.backend.take() == up
    assert "fin" in client.backend.log
    assert b"".join(payload for opcode, payload in received if opcode == BINARY) == down
    assert [frame for frame in received if frame[0] != BINARY] == [(TEXT, EOF), CLOSE_1000]
