"""Plain frames are taken apart in place; whatever is not plain is left as it came."""

import itertools
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portofcall.frames import UNMASKS_IN_PLACE, PlainFrames, binary_header

BINARY, TEXT, CLOSE, PING = 2, 1, 8, 9
KEY = b"\x9a\x0f\x01\xfe"


def pack(
    payload: bytes, *, opcode: int = BINARY, key: bytes = b"\x9a\x0f\x01\xfe", fin: bool = True
) -> bytes:
    """Pack a frame as a client sends it (RFC 6455 §5.2)."""
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    if size < 126:
        header = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        header = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        header = struct.pack("!BBQ", first, 0x80 | 127, size)
    return header + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def take(frames: PlainFrames, data: bytes) -> tuple[bytes, bytes | None]:
    """Take ``data`` apart, as the bytes that are found."""
    payload, rest = frames.take(memoryview(bytearray(data)))
    return bytes(payload), None if rest is None else bytes(rest)


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut ``data`` at these places, as far as they are in it."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(places)]


def test_c_that_unmasks_is_where_it_is_looked_for() -> None:
    """If Autobahn moves it, everything still works by Autobahn alone, but slowly: better to hear of it."""
    assert UNMASKS_IN_PLACE


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 64, 125, 126, 127, 4096, 65535, 65536, 300_000])
def test_whole_message_is_unmasked(size: int) -> None:
    """With each of the three sizes of header."""
    payload = bytes(index * 7 % 251 for index in range(size))
    assert take(PlainFrames(), pack(payload)) == (payload, None)


def test_many_messages_come_as_one_piece() -> None:
    """Of many small messages in one read there is one to write."""
    payloads = [bytes([number]) * number for number in range(200)]
    data = b"".join(pack(payload) for payload in payloads)
    assert take(PlainFrames(), data) == (b"".join(payloads), None)


@given(
    payloads=st.lists(st.binary(max_size=300), max_size=12),
    keys=st.lists(st.binary(min_size=4, max_size=4), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 5000), max_size=25),
)
@example(payloads=[b"x" * 130, b"yy"], keys=[b"abcd"] * 12, cuts=list(range(400)))
def test_same_bytes_under_any_chunking(payloads: list[bytes], keys: list[bytes], cuts: list[int]) -> None:
    """Headers may be cut anywhere, and payloads too."""
    data = b"".join(pack(payload, key=key) for payload, key in zip(payloads, keys, strict=False))
    frames = PlainFrames()
    received = b""
    for chunk in chunks(data, cuts):
        payload, rest = take(frames, chunk)
        assert rest is None
        received += payload
    assert received == b"".join(payloads)


NOT_PLAIN = {
    "text": pack(b"text", opcode=TEXT),
    "a first fragment": pack(b"part", fin=False),
    "a fragment": pack(b"part", opcode=0, fin=False),
    "a last fragment": pack(b"part", opcode=0),
    "a ping": pack(b"ping", opcode=PING),
    "a Close": pack(b"\x03\xe8", opcode=CLOSE),
    "a reserved bit": bytes([0xC2]) + pack(b"x")[1:],
    "no mask": binary_header(3) + b"abc",
    "a long length of a short payload": struct.pack("!BBH", 0x82, 0x80 | 126, 125) + b"mask" + bytes(125),
    "a longest length of a short payload": struct.pack("!BBQ", 0x82, 0x80 | 127, 65535) + b"mask",
    "a negative length": struct.pack("!BBQ", 0x82, 0x80 | 127, 1 << 63) + b"mask",
}


@pytest.mark.parametrize("what", list(NOT_PLAIN))
def test_what_is_not_plain_is_left_from_its_first_byte_on(what: str) -> None:
    """Also behind messages that are."""
    strange = NOT_PLAIN[what] + pack(b"after")
    assert take(PlainFrames(), strange) == (b"", strange)
    assert take(PlainFrames(), pack(b"one") + pack(b"two") + strange) == (b"onetwo", strange)


@pytest.mark.parametrize("what", list(NOT_PLAIN))
@pytest.mark.parametrize("cut", range(1, 10))
def test_what_is_not_plain_is_left_wherever_it_is_cut(what: str, cut: int) -> None:
    """Bytes that were kept because they could have begun a plain frame come back with the rest."""
    strange = NOT_PLAIN[what]
    frames = PlainFrames()
    payload, rest = take(frames, pack(b"one") + strange[:cut])
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
    assert pack(bytes(size))[: len(header)] == masked
