"""Plain frames from the client's side are those that the gateway's side takes, and the other way round."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.testing import pack_frame
from portofcall.websocket.client_frames import SMALL_BYTES, UnmaskedFrames, mask, small_message
from portofcall.websocket.frames import InPlaceMasker, PlainFrames, binary_header
from portofcall.websocket.nvx import MASKER
from tests.support import chunks

SIZES = st.sampled_from([0, 1, 5, 125, 126, 127, 1000, 65535, 65536, 70000])


@pytest.mark.parametrize("masker", [MASKER, None])
@pytest.mark.parametrize("size", [126, 127, 65535, 65536, 100_000])
def test_the_gateway_understands_masked_messages(masker: InPlaceMasker | None, size: int) -> None:
    """In C and in Python, with each length of the header."""
    assert MASKER is not None
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    masked = memoryview(bytearray(payload))
    header = mask(masked, masker)
    found, rest, frames = PlainFrames(MASKER).take(memoryview(bytearray(header + masked)), 10)
    assert (bytes(found), rest, frames) == (payload, None, 1)


@pytest.mark.parametrize("size", range(SMALL_BYTES))
def test_the_gateway_understands_small_messages(size: int) -> None:
    """Of each size that has a short header."""
    assert MASKER is not None
    payload = bytes(range(1, size + 1))
    found, rest, frames = PlainFrames(MASKER).take(memoryview(bytearray(small_message(payload))), 10)
    assert (bytes(found), rest, frames) == (payload, None, 1)


def test_keys_differ() -> None:
    """A key that can be guessed would let a server choose what proxies see (RFC 6455 §10.3)."""
    headers = {mask(memoryview(bytearray(SMALL_BYTES)), MASKER) for _ in range(50)}
    messages = {small_message(bytes(4)) for _ in range(50)}
    assert len(headers) == len(messages) == 50


@given(st.lists(SIZES, max_size=6), st.lists(st.integers(0, 1 << 20), max_size=8))
def test_unmasked_messages_under_any_chunking(sizes: list[int], cuts: list[int]) -> None:
    """All payloads come out in order, however the stream is cut."""
    payloads = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    stream = b"".join(binary_header(len(payload)) + payload for payload in payloads)
    frames, found, counted = UnmaskedFrames(), b"", 0
    for chunk in chunks(stream, cuts):
        payload, rest, units = frames.take(memoryview(bytearray(chunk)), 100)
        assert rest is None
        found += payload
        counted += units
    assert found == b"".join(payloads)
    assert len(sizes) <= counted <= len(sizes) + len(cuts) * 2


def test_the_rest_begins_with_the_frame_that_is_one_too_many() -> None:
    """Work is bounded."""
    stream = b"".join(binary_header(1) + b"x" for _ in range(5))
    payload, rest, units = UnmaskedFrames().take(memoryview(bytearray(stream)), 3)
    assert (bytes(payload), bytes(rest or b""), units) == (b"xxx", stream[9:], 3)


@pytest.mark.parametrize(
    "frame",
    [
        pack_frame(1, b"text", masked=False),
        pack_frame(9, b"ping", masked=False),
        pack_frame(2, b"part", fin=False, masked=False),
        pack_frame(2, b"masked"),
        pack_frame(2, b"x" * 200),
        b"\x82\x7e" + struct.pack("!H", 5) + b"short",
        b"\x82\x7f" + struct.pack("!Q", 1 << 63),
    ],
)
def test_any_other_frame_is_left_to_autobahn(frame: bytes) -> None:
    """Text, control frames, fragments, masked frames, and lengths in the wrong form."""
    payload, rest, units = UnmaskedFrames().take(memoryview(bytearray(binary_header(2) + b"ok" + frame)), 10)
    assert (bytes(payload), bytes(rest or b""), units) == (b"ok", frame, 1)
