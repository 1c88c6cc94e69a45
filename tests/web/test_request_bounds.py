"""A request is counted while it arrives, and refused by what it has at most."""

import pytest

from portofcall.errors import BodyTooLarge, HeadTooLarge, InvalidRequest
from portofcall.limits.values import Limits
from portofcall.web.request_bounds import RequestBounds

LIMITS = Limits(max_head_bytes=100, max_header_lines=3, max_body_bytes=50)


def bounds(*lines: bytes) -> RequestBounds:
    """Make bounds that have taken these lines."""
    made = RequestBounds(LIMITS)
    for line in lines:
        made.take_line(line)
    return made


def test_two_empty_lines_in_front_are_ignored() -> None:
    """RFC 9112 §2.2; a third is refused, so that they do not cost anything."""
    made = RequestBounds(LIMITS)
    assert (made.take_line(b""), made.take_line(b"")) == (False, False)
    with pytest.raises(InvalidRequest, match="must begin with its request line"):
        made.take_line(b"")
    assert bounds(b"", b"", b"GET / HTTP/1.1").request_line == b"GET / HTTP/1.1"


def test_header_lines_are_counted() -> None:
    """The request line and the empty line at the end are not among them."""
    made = bounds(b"GET / HTTP/1.1", b"A: b", b"C: d", b" continued")
    assert made.take_line(b"")
    with pytest.raises(HeadTooLarge, match="at most 3 header lines"):
        made.take_line(b"E: f")


@pytest.mark.parametrize(("size", "refused"), [(98, False), (99, True)])
def test_bytes_of_the_head_are_counted_with_the_ends_of_lines(size: int, refused: bool) -> None:
    """Over all lines together."""
    made = bounds(b"x" * 48)
    if refused:
        with pytest.raises(HeadTooLarge, match="at most 100 bytes"):
            made.take_line(b"x" * (size - 50))
    else:
        assert made.take_line(b"x" * (size - 50))


def test_content_is_counted_by_bytes() -> None:
    """However it is sent."""
    made = bounds()
    made.take_content(49)
    made.take_content(1)
    with pytest.raises(BodyTooLarge, match="at most 50 bytes"):
        made.take_content(1)


def test_announced_length_is_checked() -> None:
    """Before anything of the body has come."""
    bounds().check_length(50)
    with pytest.raises(BodyTooLarge):
        bounds().check_length(51)


def test_pieces_of_the_content_are_counted() -> None:
    """A hundred one-byte chunks cost as much as a large head."""
    made = RequestBounds(Limits())
    for _ in range(100):
        made.take_content(1)
    with pytest.raises(BodyTooLarge, match="at most 100 chunks"):
        made.take_content(1)


def test_coding_of_the_content_is_counted() -> None:
    """Extensions of chunks and trailers may add 4 KiB."""
    made = bounds()
    assert not made.in_body
    made.take_coded(50 + 4096)
    assert made.in_body
    with pytest.raises(BodyTooLarge, match="chunks"):
        made.take_coded(1)


def test_rest_of_a_head_is_counted_at_once() -> None:
    """In the same way; what does not fit is not counted, so that it can be refused line by line."""
    made = bounds(b"GET / HTTP/1.1")
    assert not made.take_lines(4, 20)
    assert not made.take_lines(3, 85)
    assert made.take_lines(3, 84)
    assert not made.take_lines(0, 1)
