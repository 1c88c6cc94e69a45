"""Plain binary messages from the client's side: a masked header to send, and an incremental parser.

The mirror image of `portofcall.websocket.frames`: a client masks what it sends, and a server does not (RFC
6455 §5.1).
"""

import os
import sys
from collections.abc import Iterator
from itertools import chain, repeat
from struct import Struct, iter_unpack
from typing import cast

from portofcall.relay.interfaces import Buffer
from portofcall.websocket.frames import FIN_BINARY, InPlaceMasker

_MASKED = 0x80
_MEDIUM_LENGTH, _LONG_LENGTH = 126, 127
_MEDIUM, _LONG = Struct("!BBH").pack, Struct("!BBQ").pack
_from_bytes = int.from_bytes
#: A message of less has a short header.
SMALL_BYTES = _MEDIUM_LENGTH
_KEY_BYTES = 4
#: Random keys, 1024 from each call of the system.
_KEYS: Iterator[tuple[bytes]] = chain.from_iterable(
    cast(Iterator[tuple[bytes]], iter_unpack("4s", os.urandom(4096))) for _ in repeat(None)
)
_SHORT_HEADERS = [bytes((FIN_BINARY, _MASKED | size)) for size in range(_MEDIUM_LENGTH)]
#: A key times this is the key repeated, in at least so many bytes; and by how many bits that is too long.
_REPEATED = [_from_bytes(b"\0\0\0\1" * (size // _KEY_BYTES + 1)) for size in range(SMALL_BYTES)]
_SHIFTS = [8 * (_KEY_BYTES - size % _KEY_BYTES) for size in range(SMALL_BYTES)]
#: For a length that does not fit into 7 bits: the header's size, the length itself, and its least value.
_EXTENDED = {
    _MEDIUM_LENGTH: (4, Struct("!H").unpack_from, 126),
    _LONG_LENGTH: (10, Struct("!Q").unpack_from, 65536),
}
_MOST_LENGTH = (1 << 63) - 1


def small_message(payload: Buffer) -> bytes:
    """Return a whole masked binary message.

    Args:
        payload: of less than 126 bytes.
    """
    size = len(payload)
    (key,) = next(_KEYS)
    pad = _from_bytes(key) * _REPEATED[size] >> _SHIFTS[size]
    return _SHORT_HEADERS[size] + key + (_from_bytes(payload) ^ pad).to_bytes(size)


def mask(payload: memoryview, masker: InPlaceMasker | None) -> bytes:
    """Mask the payload of a binary message in place.

    Args:
        payload: of 126 bytes or more; writable, and overwritten.
        masker: does it in C; None does it with Python's integers, several times slower.

    Returns:
        The header to send before it, with the key, which is unpredictable (RFC 6455 §5.3).
    """
    size = len(payload)
    (key,) = next(_KEYS)
    if masker is not None:
        state = masker.new(masker.address(memoryview(key)))
        masker.process(state, masker.address(payload), size)
        masker.free(state)
    else:
        pad = int.from_bytes((key * (size // _KEY_BYTES + 1))[:size], sys.byteorder)
        payload[:] = (int.from_bytes(payload, sys.byteorder) ^ pad).to_bytes(size, sys.byteorder)
    if size < 65536:
        return _MEDIUM(FIN_BINARY, _MASKED | _MEDIUM_LENGTH, size) + key
    return _LONG(FIN_BINARY, _MASKED | _LONG_LENGTH, size) + key


class UnmaskedFrames:
    """Parse plain unmasked frames incrementally, keeping a partial header for the next call.

    Attributes:
        between: whether the next byte is the first of a frame.
    """

    __slots__ = ("_head", "_left", "between")

    def __init__(self) -> None:
        self.between = True
        self._head = b""  # a header that is not complete
        self._left = 0  # bytes of the payload that are still to come

    def take(self, data: memoryview, most: int) -> tuple[memoryview, memoryview | None, int]:
        """Find the payloads of plain frames.

        Args:
            data: the bytes that were read, writable. They are overwritten: payloads of several frames are
                moved together.
            most: how many headers are parsed at most.

        Returns:
            As `portofcall.websocket.frames.PlainFrames.take`: the payloads as one piece of ``data``; the
            rest; and how many headers were parsed.
        """
        size = len(data)
        if self._head:
            data = memoryview(bytearray(self._head) + data)
            self._head = b""
            size = len(data)
        frames = start = end = 0  # data[start:end] is the payload so far
        at = min(self._left, size)
        end = at
        self._left -= at
        while at < size:
            if frames == most:
                break
            header, length = _parse(data, at, size)
            if not header:
                break
            frames += 1
            if header > size - at:
                self._head = bytes(data[at:])
                self.between = False
                return data[start:end], None, frames
            at += header
            piece = min(length, size - at)
            self._left = length - piece
            if start == end:
                start = at
                end = at + piece
            elif end - start < piece:
                # The smaller piece is moved: a large message follows the end of another.
                moved = at - (end - start)
                data[moved:at] = data[start:end]
                start, end = moved, at + piece
            else:
                data[end : end + piece] = data[at : at + piece]
                end += piece
            at += piece
        self.between = not self._left
        return data[start:end], data[at:] if at < size else None, frames


def _parse(data: memoryview, at: int, size: int) -> tuple[int, int]:
    """Parse the header of the frame at ``at``; return its size and the payload's.

    The header's size is 0 if the frame is not plain, and more than is left if the header is not complete.
    """
    if data[at] != FIN_BINARY:
        return 0, 0
    if at + 1 == size:
        return 2, 0
    length = data[at + 1]
    if length < _MEDIUM_LENGTH:
        return 2, length
    if length > _LONG_LENGTH:
        return 0, 0
    header, integer, least = _EXTENDED[length]
    if at + header > size:
        return header, 0
    (length,) = integer(data, at + 2)
    return (header, length) if least <= length <= _MOST_LENGTH else (0, 0)
