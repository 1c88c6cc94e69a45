"""Plain binary messages: the header that a server sends, and what a client sends taken apart in place.

Plain is what tunnels carry: a binary message in one frame, masked (RFC 6455 §5.2). Everything else (text,
fragments, control frames, and whatever is wrong) is left to a complete implementation of the protocol.
"""

from struct import Struct
from typing import Any

try:
    # The C that unmasks for Autobahn. Autobahn's own class around it copies everything twice.
    from _nvx_xormasker import ffi, lib
except ImportError:
    ffi = lib = None

#: Whether bytes can be unmasked where they lie. If not, `PlainFrames` can't be used.
UNMASKS_IN_PLACE: bool = lib is not None

_FIN_BINARY = 0x80 | 2
_MASKED = 0x80
_MEDIUM_LENGTH, _LONG_LENGTH = 126, 127
_SHORT_HEADER, _MEDIUM_HEADER, _LONG_HEADER = 6, 8, 14
_MEDIUM, _LONG = Struct("!BBH").pack, Struct("!BBQ").pack
#: Of a length that does not fit into 7 bits: the header's size, the length itself, and what it may be.
_EXTENDED = {
    _MEDIUM_LENGTH: (_MEDIUM_HEADER, Struct("!H").unpack_from, 126, 65535),
    _LONG_LENGTH: (_LONG_HEADER, Struct("!Q").unpack_from, 65536, (1 << 63) - 1),
}

if UNMASKS_IN_PLACE:
    _address, _collected = ffi.from_buffer, ffi.gc
    _new_masker, _free_masker = lib.nvx_xormask_new, lib.nvx_xormask_free
    _unmask = lib.nvx_xormask_process

_SHORT_HEADERS = [bytes((_FIN_BINARY, size)) for size in range(_MEDIUM_LENGTH)]


def binary_header(size: int) -> bytes:
    """Pack the header of a whole binary message, unmasked, as a server sends it (RFC 6455 §5.2)."""
    if size < _MEDIUM_LENGTH:
        return _SHORT_HEADERS[size]
    if size < 65536:
        return _MEDIUM(_FIN_BINARY, _MEDIUM_LENGTH, size)
    return _LONG(_FIN_BINARY, _LONG_LENGTH, size)


class PlainFrames:
    """Takes plain frames apart, as far as they have come."""

    __slots__ = ("_head", "_left", "_masker")

    def __init__(self) -> None:
        self._head = b""  # of a frame whose header has not come whole
        self._left = 0  # bytes of a frame whose payload has not come whole
        self._masker: Any = None  # of that frame

    def take(self, data: memoryview) -> tuple[memoryview, memoryview | None]:
        """Unmask what is plain.

        Args:
            data: what was read, writable. It is overwritten: payloads of several frames are moved together.

        Returns:
            The payloads as one piece of ``data``, and the rest from the first frame on that is not plain.
            None means that there is no rest; then the next call goes on where this one ended.
        """
        size = len(data) - _SHORT_HEADER
        alone = 0 <= size < _MEDIUM_LENGTH and data[0] == _FIN_BINARY and data[1] == _MASKED + size
        if alone and not self._left and not self._head:
            # One small message, as a key that is pressed makes it.
            address = _address(data)
            masker = _new_masker(address + 2)
            _unmask(masker, address + _SHORT_HEADER, size)
            _free_masker(masker)
            return data[_SHORT_HEADER:], None
        return self._take(data)

    def _take(self, data: memoryview) -> tuple[memoryview, memoryview | None]:
        if self._head:
            data = memoryview(bytearray(self._head) + data)
            self._head = b""
        size = len(data)
        address = _address(data)
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
                masker = _new_masker(address + at + header - 4)
            at += header
            piece = min(self._left, size - at)
            _unmask(masker, address + at, piece)
            if start == end:
                start = at
                end = at + piece
            else:
                data[end : end + piece] = data[at : at + piece]
                end += piece
            at += piece
            self._left -= piece
            if self._left:
                self._masker = _collected(masker, _free_masker) if header else masker
            elif header:
                _free_masker(masker)
            else:
                self._masker = None
        return data[start:end], data[at:] if at < size else None


def _parse(data: memoryview, at: int, size: int) -> tuple[int, int]:
    """Read the header of the frame at ``at``: its size, and the payload's.

    The header's size is 0 if it is not plain. One that is larger than what is left has yet to come whole.
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
