"""Plain binary messages: the header that a server sends, and an incremental parser for a client's.

A plain message is what tunnels mostly carry: binary, in one frame, masked (RFC 6455 §5.2). Everything else
(text, fragments, control frames, and anything invalid) is left to a complete implementation of the protocol.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

#: The first byte of a binary message in one frame.
FIN_BINARY = 0x80 | 2
_MASKED = 0x80
_MEDIUM_LENGTH, _LONG_LENGTH = 126, 127
_SHORT_HEADER, _MEDIUM_HEADER, _LONG_HEADER = 6, 8, 14
_MEDIUM, _LONG = Struct("!BBH").pack, Struct("!BBQ").pack
#: For a length that does not fit into 7 bits: the header's size, the length itself, and its valid range.
_EXTENDED = {
    _MEDIUM_LENGTH: (_MEDIUM_HEADER, Struct("!H").unpack_from, 126, 65535),
    _LONG_LENGTH: (_LONG_HEADER, Struct("!Q").unpack_from, 65536, (1 << 63) - 1),
}

_SHORT_HEADERS = [bytes((FIN_BINARY, size)) for size in range(_MEDIUM_LENGTH)]


def binary_header(size: int) -> bytes:
    """Pack the header of a whole binary message, unmasked, as a server sends it (RFC 6455 §5.2)."""
    if size < _MEDIUM_LENGTH:
        return _SHORT_HEADERS[size]
    if size < 65536:
        return _MEDIUM(FIN_BINARY, _MEDIUM_LENGTH, size)
    return _LONG(FIN_BINARY, _LONG_LENGTH, size)


class InPlaceMasker(NamedTuple):
    """C that applies masking keys in place (RFC 6455 §5.3).

    Attributes:
        address: returns the address of a buffer.
        owned: wraps a masker so that it is freed with the wrapper: ``owned(masker, free)``.
        new: makes a masker from the address of a key.
        process: applies it to the next bytes: ``process(masker, address, size)``.
        free: frees a masker.
    """

    address: Callable[[memoryview], Any]
    owned: Callable[[Any, Callable[[Any], None]], Any]
    new: Callable[[Any], Any]
    process: Callable[[Any, Any, int], None]
    free: Callable[[Any], None]


class PlainFrames:
    """Parse plain binary frames incrementally, keeping a partial frame for the next call.

    Args:
        masker: unmasks payloads.
    """

    __slots__ = ("_address", "_free", "_head", "_left", "_masker", "_new", "_owned", "_process")

    def __init__(self, masker: InPlaceMasker) -> None:
        self._address, self._owned, self._new, self._process, self._free = masker
        self._head = b""  # a header that is not complete
        self._left = 0  # bytes of the payload that are still to come
        self._masker: Any = None  # of that payload

    def take(self, data: memoryview, most: int) -> tuple[memoryview, memoryview | None, int]:
        """Unmask the payloads of plain frames.

        Args:
            data: the bytes that were read, writable. They are overwritten: payloads of several frames are
                moved together.
            most: how many headers are parsed at most.

        Returns:
            The payloads as one piece of ``data``; the rest; and how many headers were parsed. The rest begins
            with the first frame that is not plain, or that is one too many. None means that there is no rest;
            then the next call continues where this one ended.
        """
        size = len(data) - _SHORT_HEADER
        alone = 0 <= size < _MEDIUM_LENGTH and data[0] == FIN_BINARY and data[1] == _MASKED + size
        if alone and not self._left and not self._head:
            # One small message, such as a key press.
            address = self._address(data)
            masker = self._new(address + 2)
            self._process(masker, address + _SHORT_HEADER, size)
            self._free(masker)
            return data[_SHORT_HEADER:], None, 1
        return self._take(data, most)

    def _take(self, data: memoryview, most: int) -> tuple[memoryview, memoryview | None, int]:
        if self._head:
            data = memoryview(bytearray(self._head) + data)
            self._head = b""
        new, process, free = self._new, self._process, self._free
        size = len(data)
        address = self._address(data)
        frames = at = start = end = 0  # data[start:end] is the payload so far
        while at < size:
            if self._left:
                header = 0
                masker = self._masker
            else:
                if frames == most:
                    break
                header, self._left = _parse(data, at, size)
                if not header:
                    break
                frames += 1
                if header > size - at:
                    self._head, self._left = bytes(data[at:]), 0
                    return data[start:end], None, frames
                masker = new(address + at + header - 4)
            at += header
            piece = min(self._left, size - at)
            process(masker, address + at, piece)
            if start == end:
                start = at
                end = at + piece
            else:
                data[end : end + piece] = data[at : at + piece]
                end += piece
            at += piece
            self._left -= piece
            if self._left:
                self._masker = self._owned(masker, free) if header else masker
            elif header:
                free(masker)
            else:
                self._masker = None
        return data[start:end], data[at:] if at < size else None, frames


def _parse(data: memoryview, at: int, size: int) -> tuple[int, int]:
    """Parse the header of the frame at ``at``; return its size and the payload's.

    The header's size is 0 if the frame is not plain, and more than is left if the header is not complete.
    """
    if data[at] != FIN_BINARY:
        return 0, 0
    if at + 1 == size:
        return _SHORT_HEADER, 0
    length = data[at + 1] - _MASKED
    if length < _MEDIUM_LENGTH:
        return (_SHORT_HEADER, length) if length >= 0 else (0, 0)
    header, integer, least, most = _EXTENDED[length]
    if at + header > size:
        return header, 0
    (length,) = integer(data, at + 2)
    return (header, length) if least <= length <= most else (0, 0)
