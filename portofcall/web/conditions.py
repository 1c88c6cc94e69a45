"""Conditional requests and ranges: what of a file a client wants, if anything (RFC 9110 §13, §14)."""

import re
from collections.abc import Sequence
from typing import Final

from twisted.web.http import stringToDatetime
from twisted.web.server import Request

#: One range: FIRST-LAST, FIRST- or -SUFFIX, each with a bounded number of digits.
_RANGE: Final = re.compile(rb"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)


def has_current(request: Request, tag: str, modified: int | None = None) -> bool:
    """Whether the client has this version of a file already: the response is 304 then.

    If-None-Match is judged if it is there, or else If-Modified-Since (RFC 9110 §13.2.2).

    Args:
        request: a GET or HEAD request.
        tag: the version's entity tag, in its quotes. It is compared weakly, because proxies that compress
            weaken it.
        modified: when the file changed last, in seconds since 1970; None if that is not known.
    """
    known = request.requestHeaders.getRawHeaders(b"if-none-match")
    if known is not None:
        tags = {value.strip().removeprefix(b"W/") for value in b",".join(known).split(b",")}
        return tag.encode() in tags or b"*" in tags
    since = _date(request.requestHeaders.getRawHeaders(b"if-modified-since", []))
    return modified is not None and since is not None and modified <= since


def wanted_part(request: Request, size: int, tag: str, modified: int) -> range | None:
    """Return the part of a file that the client wants.

    A request for several parts gets all of it, as RFC 9110 §14.2 allows: each part would cost a read, and
    more bytes around it than it may have.

    Args:
        request: any request.
        size: the file's length, in bytes.
        tag: as for `has_current`; a part is of use only if the client's If-Range is the same.
        modified: as for `has_current`.

    Returns:
        The offsets of the part's bytes; empty if the file has none of those that are wanted, which is 416.
        None means all of the file.
    """
    values = request.requestHeaders.getRawHeaders(b"range", [])
    match = _RANGE.fullmatch(values[0]) if len(values) == 1 and request.method == b"GET" else None
    if match is None or not _is_of_same_version(request, tag, modified):
        return None
    first, last = match.groups()
    if not first:
        if not last or (not size and int(last)):
            return None
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(size, int(last) + 1 if last else size))


def _is_of_same_version(request: Request, tag: str, modified: int) -> bool:
    """Judge If-Range, whose tags are compared strongly (RFC 9110 §13.1.5)."""
    values = request.requestHeaders.getRawHeaders(b"if-range")
    if values is None:
        return True
    return list(values) == [tag.encode()] or _date(values) == modified


def _date(values: Sequence[bytes]) -> int | None:
    """Parse a date; what is none is ignored (RFC 9110 §13.1.3)."""
    try:
        return int(stringToDatetime(values[0])) if len(values) == 1 else None
    except (ValueError, LookupError, OverflowError):
        return None
