"""The bounds on one request while it arrives: lines and bytes of its head, bytes and chunks of its body."""

from typing import Final

from portofcall.errors import BodyTooLarge, HeadTooLarge, InvalidRequest
from portofcall.limits.values import KiB, Limits

#: RFC 9112 §2.2: a server should ignore at least one empty line in front of a request.
_MOST_EMPTY_LINES: Final = 2
#: The most pieces of a body. Clients send a small body as one chunk, and each one costs time.
_MOST_CHUNKS: Final = 100
#: How much larger than its content a body may be as it is sent: by the sizes of chunks, and by trailers.
_MOST_CODING_BYTES: Final = 4 * KiB


class RequestBounds:
    """Counts what a request consists of, and raises when it is too much.

    Args:
        limits: on heads and bodies.

    Attributes:
        request_line: the first line of the head; empty before it has come.
        in_body: whether a part of the body has come.
    """

    def __init__(self, limits: Limits) -> None:
        self.request_line = b""
        self.in_body = False
        self._limits = limits
        self._empty_lines = 0
        self._head_lines = 0
        self._head_bytes = 0
        self._chunks = 0
        self._content_bytes = 0
        self._coded_bytes = 0

    def take_line(self, line: bytes) -> bool:
        """Count a line of the head, without its end.

        Returns:
            False if it is an empty line in front of the request, which is to be ignored.

        Raises:
            HeadTooLarge: these are too many lines, or too many bytes.
            InvalidRequest: there are too many empty lines.
        """
        if not line and not self.request_line:
            self._empty_lines += 1
            if self._empty_lines > _MOST_EMPTY_LINES:
                raise InvalidRequest("a request must begin with its request line")
            return False
        if not self.request_line:
            self.request_line = line
        elif line:
            self._head_lines += 1
            if self._head_lines > self._limits.max_header_lines:
                raise HeadTooLarge(f"the head must have at most {self._limits.max_header_lines} header lines")
        self._head_bytes += len(line) + 2
        if self._head_bytes > self._limits.max_head_bytes:
            raise self.too_many_head_bytes()
        return True

    def take_lines(self, lines: int, size: int) -> bool:
        """Count the rest of a head at once; return whether that is within the bounds.

        Args:
            lines: the number of header lines.
            size: their bytes, with their ends and the empty line.
        """
        fits = lines <= self._limits.max_header_lines and (
            self._head_bytes + size <= self._limits.max_head_bytes
        )
        if fits:
            self._head_bytes += size
        return fits

    def too_many_head_bytes(self) -> HeadTooLarge:
        """Return the error for a head that is too large."""
        return HeadTooLarge(f"the head must have at most {self._limits.max_head_bytes} bytes")

    def check_length(self, length: int) -> None:
        """Check the length that the head announces for the body.

        Raises:
            BodyTooLarge: it is over the limit.
        """
        if length > self._limits.max_body_bytes:
            raise BodyTooLarge.over(self._limits.max_body_bytes)

    def take_coded(self, size: int) -> None:
        """Count bytes of the body as they are sent.

        Raises:
            BodyTooLarge: the body is much larger than its content could be.
        """
        self.in_body = True
        self._coded_bytes += size
        if self._coded_bytes > self._limits.max_body_bytes + _MOST_CODING_BYTES:
            raise BodyTooLarge("the body has too many chunks, or too large ends of chunks")

    def take_content(self, size: int) -> None:
        """Count a piece of the body's content.

        Raises:
            BodyTooLarge: the content is over the limit, or comes in too many pieces.
        """
        self._content_bytes += size
        self.check_length(self._content_bytes)
        self._chunks += 1
        if self._chunks > _MOST_CHUNKS:
            raise BodyTooLarge(f"the body must have at most {_MOST_CHUNKS} chunks")
