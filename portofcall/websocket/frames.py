"""Plain binary messages: the header that a server sends, and an incremental parser for a client's.

A plain message is what tunnels mostly carry: binary, in one frame, masked (RFC 6455 §5.2). Everything else
(text, fragments, control frames, and anything invalid) is left to a complete implementation of the protocol.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple

_FIN_BINARY = 0x80 | 2
_MASKED = 0x80
_MEDIUM_LENGTH, _LONG_LENGTH = 126, 127
_SHORT_HEADER, _MEDIUM_HEADER, _LONG_HEADER = 6, 8, 14
_MEDIUM, _LONG = Struct("!BBH").pack, Struct("!BBQ").pack
#: For a length that does not fit into 7 bits: the header's size, the length itself, and its valid range.
_EXTENDED = {
    _MEDIUM_LENGTH: (_MEDIUM_HEADER, Struct("!H").unpack_from, 126, 65535),
    _LONG_LENGTH: (_LONG_HEADER, Struct("!Q").unpack_from, 65536, (1 << 63) - 1),
}

_SHORT_HEADERS = [bytes((_FIN_BINARY, size)) for size in range(_MEDIUM_LENGTH)]


def binary_header(size: int) -> bytes:
    """Pack the header of a whole binary message, unmasked, as a server sends it (RFC 6455 §5.2)."""
    if size < _MEDIUM_LENGTH:
        return _SHORT_HEADERS[size]
    if size < 65536:
        return _MEDIUM(_FIN_BINARY, _MEDIUM_LENGTH, size)
    return _LONG(_FIN_BINARY, _LONG_LENGTH, size)


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

    __slots__ = ("_functions", "_head", "_left", "_masker")

    def __init__(self, masker: InPlaceMasker) -> None:
        self._functions = masker
        self._head = b""  # a header that is not complete
        self._left = 0  # bytes of the payload that are still to come
        self._masker: Any = None  # of that payload

    def take(self, data: memoryview) -> tuple[memoryview, memoryview | None]:
        """Unmask the payloads of plain frames.

        Args:
            data: the bytes that were read, writable. They are overwritten: payloads of several frames are
                moved together.

        Returns:
            The payloads as one piece of ``data``, and the rest, which begins with the first frame that is not
            plain. None means that there is no rest; then the next call continues where this one ended.
        """
        size = len(data) - _SHORT_HEADER
        alone = 0 <= size < _MEDIUM_LENGTH and data[0] == _FIN_BINARY and data[1] == _MASKED + size
        if alone and not self._left and not self._head:
            # One small message, such as a key press.
            to_address, _, new, process, free = self._functions
            address = to_address(data)
            masker = new(address + 2)
            process(masker, address + _SHORT_HEADER, size)
            free(masker)
            return data[_SHORT_HEADER:], None
        return self._take(data)

    def _take(self, data: memoryview) -> tuple[memoryview, memoryview | None]:
        if self._head:
            data = memoryview(bytearray(self._head) + data)
            self._head = b""
        to_address, owned, new, process, free = self._functions
        size = len(data)
        address = to_address(data)
        at = start = end = 0  # data[start:end] is the payload so far
        while at < size:
            if self._left:
                header = 0
                masker = self._masker
            else:
                header, self._left = _parse(data, at, size)
                if not header:
                    break
                if header > size - at:
                    self._head, self._left = bytes(data[at:]), 0
                    return data[start:end], None
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
                self._masker = owned(masker, free) if header else masker
            elif header:
                free(masker)
            else:
                self._masker = None
        return data[start:end], data[at:] if at < size else None


def _parse(data: memoryview, at: int, size: int) -> tuple[int, int]:
    """Parse the header of the frame at ``at``; return its size and the payload's.

    The header's size is 0 if the frame is not plain, and more than is left if the header is not complete.
    """
    if data[at] != _FIN_BINARY:
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
