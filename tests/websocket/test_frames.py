"""Plain frames are parsed in place; any other frame is left unchanged."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portofcall.websocket.frames import PlainFrames, binary_header
from portofcall.websocket.nvx import MASKER
from tests.e2e.wsclient import BINARY, CLOSE, CONTINUATION, PING, TEXT, pack
from tests.support import chunks

KEY = b"\x9a\x0f\x01\xfe"


def plain(payload: bytes, *, key: bytes = KEY) -> bytes:
    """Pack a plain frame, as a client sends it."""
    return pack(BINARY, payload, key=key)


def plain_frames() -> PlainFrames:
    """Make a parser, with Autobahn's C."""
    assert MASKER is not None
    return PlainFrames(MASKER)


def take(frames: PlainFrames, data: bytes) -> tuple[bytes, bytes | None]:
    """Parse ``data``; return payloads and rest as bytes."""
    payload, rest, _ = frames.take(memoryview(bytearray(data)), 1000)
    return bytes(payload), None if rest is None else bytes(rest)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 64, 125, 126, 127, 4096, 65535, 65536, 300_000])
def test_whole_message_is_unmasked(size: int) -> None:
    """With each of the three header sizes."""
    payload = bytes(index * 7 % 251 for index in range(size))
    assert take(plain_frames(), plain(payload)) == (payload, None)


def test_many_messages_come_as_one_piece() -> None:
    """Many small messages in one read become one write."""
    payloads = [bytes([number]) * number for number in range(200)]
    data = b"".join(plain(payload) for payload in payloads)
    assert take(plain_frames(), data) == (b"".join(payloads), None)


@given(
    payloads=st.lists(st.binary(max_size=300), max_size=12),
    keys=st.lists(st.binary(min_size=4, max_size=4), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 5000), max_size=25),
)
@example(payloads=[b"x" * 130, b"yy"], keys=[b"abcd"] * 12, cuts=list(range(400)))
def test_same_bytes_under_any_chunking(payloads: list[bytes], keys: list[bytes], cuts: list[int]) -> None:
    """Headers may be cut anywhere, and payloads too."""
    data = b"".join(plain(payload, key=key) for payload, key in zip(payloads, keys, strict=False))
    frames = plain_frames()
    received = b""
    for chunk in chunks(data, cuts):
        payload, rest = take(frames, chunk)
        assert rest is None
        received += payload
    assert received == b"".join(payloads)


NOT_PLAIN = {
    "text": pack(TEXT, b"text"),
    "a first fragment": pack(BINARY, b"part", fin=False),
    "a fragment": pack(CONTINUATION, b"part", fin=False),
    "a last fragment": pack(CONTINUATION, b"part"),
    "a ping": pack(PING, b"ping"),
    "a Close": pack(CLOSE, b"\x03\xe8"),
    "a reserved bit": bytes([0xC2]) + plain(b"x")[1:],
    "no mask": binary_header(3) + b"abc",
    "a long length of a short payload": struct.pack("!BBH", 0x82, 0x80 | 126, 125) + b"mask" + bytes(125),
    "a longest length of a short payload": struct.pack("!BBQ", 0x82, 0x80 | 127, 65535) + b"mask",
    "a negative length": struct.pack("!BBQ", 0x82, 0x80 | 127, 1 << 63) + b"mask",
}


@pytest.mark.parametrize("what", list(NOT_PLAIN))
def test_other_frames_are_left_from_their_first_byte_on(what: str) -> None:
    """Also after plain ones."""
    strange = NOT_PLAIN[what] + plain(b"after")
    assert take(plain_frames(), strange) == (b"", strange)
    assert take(plain_frames(), plain(b"one") + plain(b"two") + strange) == (b"onetwo", strange)


@pytest.mark.parametrize("what", list(NOT_PLAIN))
@pytest.mark.parametrize("cut", range(1, 10))
def test_other_frames_are_left_wherever_they_are_cut(what: str, cut: int) -> None:
    """Bytes that were kept as the possible start of a plain frame come back with the rest."""
    strange = NOT_PLAIN[what]
    frames = plain_frames()
    payload, rest = take(frames, plain(b"one") + strange[:cut])
    assert payload == b"one"
    if rest is None:
        assert take(frames, strange[cut:]) == (b"", strange)
    else:
        assert rest == strange[:cut]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_headers_that_are_sent_are_minimal(size: int) -> None:
    """RFC 6455 §5.2: the shortest length that fits, no mask, the whole message in one frame."""
    header = binary_header(size)
    masked = bytes([header[0], header[1] | 0x80]) + header[2:]
    assert plain(bytes(size))[: len(header)] == masked
