"""Plain messages and all the others end up the same, whoever takes them apart."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portofcall.testing import WebSocketClient, World, pack_frame, upgrade_request
from portofcall.websocket import protocol as conversation
from tests.support import chunks

BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
GOODBYE = struct.pack("!H", 1000)


@contextmanager
def by_autobahn_alone() -> Iterator[None]:
    """Leave everything to Autobahn, as where its C is missing."""
    with patch.object(conversation, "_UNMASKS_PLAIN", False):
        yield


PIECES = st.one_of(
    st.binary(max_size=300).map(lambda data: pack_frame(BINARY, data)),
    st.binary(min_size=65530, max_size=65540).map(lambda data: pack_frame(BINARY, data)),
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
    """What comes of a client that sends this: to the backend, to the client, and to both connections."""
    world = World()
    client = WebSocketClient(world)
    for chunk in chunks(data, cuts):
        client.send(chunk)
    return client.backend.take(), client.backend.log, client.received(), client.transport.log


@settings(deadline=None)
@given(pieces=st.lists(PIECES, max_size=12), end=ENDS, cuts=st.lists(st.integers(0, 1 << 20), max_size=12))
def test_same_comes_of_it_whether_autobahn_takes_it_apart_or_not(
    pieces: list[bytes], end: bytes, cuts: list[int]
) -> None:
    """The same bytes, answers and endings, under any chunking."""
    data = b"".join([*pieces, end])
    with by_autobahn_alone():
        expected = outcome(data, cuts)
    received = outcome(data, cuts)
    assert received == expected
    assert outcome(data, [])[0] == received[0]


def end_of(client: WebSocketClient) -> Any:
    """Return the gateway's side of a client's connection."""
    return client.transport.protocol  # type: ignore[attr-defined]


def test_plain_messages_never_reach_autobahn() -> None:
    """From the first one on; and again after anything else."""
    client = WebSocketClient(World())
    with patch.object(conversation.WebSocketProtocol, "_dataReceived", side_effect=AssertionError):
        client.send(pack_frame(BINARY, b"one"))
    client.send(pack_frame(TEXT, b" two") + pack_frame(PING, b"?"))
    with patch.object(conversation.WebSocketProtocol, "_dataReceived", side_effect=AssertionError):
        client.send(pack_frame(BINARY, b" three"))
    assert client.backend.take() == b"one two three"


def test_autobahn_has_the_word_until_its_message_is_complete() -> None:
    """What it holds a part of it must see the end of."""
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


def test_what_autobahn_tells_by_private_attributes_is_there() -> None:
    """An upgrade that moves them costs speed, not bytes: it shows here."""
    end = end_of(WebSocketClient(World()))
    assert {"data", "inside_message", "current_frame", "state", "failedByMe"} <= vars(end).keys()
    assert conversation._SHAKES_HANDS
    assert end.is_open.called, "the handshake is complete for Autobahn, too"


def test_where_autobahn_tells_nothing_it_has_the_word() -> None:
    """The bytes arrive all the same."""
    client = WebSocketClient(World())
    client.send(pack_frame(TEXT, b"one"))
    del end_of(client).current_frame
    assert not end_of(client)._is_between_messages()


@pytest.mark.parametrize("offered", [None, "binary"])
def test_handshake_is_the_same_when_autobahn_parses_it(offered: str | None) -> None:
    """The way that is left if Autobahn has no other any more."""
    answers = []
    for shakes_hands in (True, False):
        with patch.object(conversation, "_SHAKES_HANDS", shakes_hands):
            client = WebSocketClient(World(), upgrade_request(Sec_WebSocket_Protocol=offered))
            client.send(pack_frame(BINARY, b"bytes"))
            assert client.backend.take() == b"bytes"
            answers.append((client.answer.status, client.answer.headers))
    assert answers[0] == answers[1]
    assert answers[0][0] == 101
