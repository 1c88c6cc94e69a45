"""Messages have the same effect whether `PlainFrames` or Autobahn parses them."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from portofcall.testing import WebSocketClient, World, pack_frame
from portofcall.websocket.protocol import WebSocketProtocol
from tests.support import chunks

BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
GOODBYE = struct.pack("!H", 1000)


@contextmanager
def by_autobahn_alone() -> Iterator[None]:
    """Leave everything to Autobahn, as without NVX."""
    with patch.object(WebSocketProtocol, "masker", None):
        yield


#: So that the size decides which form of length is used; random bytes of this size take Hypothesis long.
LARGE = bytes(number % 251 for number in range(65540))
PIECES = st.one_of(
    st.binary(max_size=300).map(lambda data: pack_frame(BINARY, data)),
    st.integers(65530, 65540).map(lambda size: pack_frame(BINARY, LARGE[:size])),
    st.text(max_size=50).map(lambda text: pack_frame(TEXT, text.encode())),
    st.lists(st.binary(max_size=40), min_size=1, max_size=4).map(
        lambda parts: (
            pack_frame(BINARY, b"first", fin=False)
            + b"".join(pack_frame(CONTINUATION, part, fin=False) for part in parts)
            + pack_frame(CONTINUATION, b"last")
        )
    ),
    st.binary(max_size=125).map(lambda data: pack_frame(PING, data)),
    st.just(pack_frame(PONG, b"pong")),
    st.just(
        pack_frame(BINARY, b"head", fin=False) + pack_frame(PING, b"amid") + pack_frame(CONTINUATION, b"tail")
    ),
)
ENDS = st.sampled_from(
    [
        b"",
        pack_frame(CLOSE, GOODBYE),
        pack_frame(CLOSE, GOODBYE) + pack_frame(BINARY, b"too late"),
        pack_frame(BINARY, b"unmasked", masked=False),
        pack_frame(TEXT, b"\xff\xfe"),
        pack_frame(CONTINUATION, b"of nothing"),
        pack_frame(BINARY, b"part", fin=False) + pack_frame(BINARY, b"another message"),
        pack_frame(3, b"reserved"),
        pack_frame(BINARY, b"cut off")[:-3],
    ]
)


def outcome(data: bytes, cuts: list[int]) -> tuple[bytes, list[str], list[tuple[int, bytes]], list[str]]:
    """Return what the backend and the client got, and what was done to both connections."""
    world = World()
    client = WebSocketClient(world)
    for chunk in chunks(data, cuts):
        client.send(chunk)
    return client.backend.take(), client.backend.log, client.received(), client.transport.log


@given(pieces=st.lists(PIECES, max_size=12), end=ENDS, cuts=st.lists(st.integers(0, 1 << 20), max_size=12))
def test_effect_is_the_same_whether_autobahn_parses_it_or_not(
    pieces: list[bytes], end: bytes, cuts: list[int]
) -> None:
    """The same bytes, replies and endings, under any chunking. A failure drops what is still queued."""
    data = b"".join([*pieces, end])
    sent, backend_log, *seen_by_client = outcome(data, cuts)
    with by_autobahn_alone():
        expected, *expected_rest = outcome(data, cuts)
    assert [backend_log, *seen_by_client] == expected_rest
    for other in (expected, outcome(data, [])[0]):
        # Compared first, because pytest would take minutes to show where megabytes differ.
        same = sent == other
        assert same or ("reset" in backend_log and (sent.startswith(other) or other.startswith(sent)))


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
