"""The head of an HTTP request: its target, the headers that frame it, and its query (RFC 9112 §3, §6)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from portofcall.errors import InvalidHeader, InvalidRequest

#: RFC 9110 §4.2: http and https, a host that is not empty, and no user information.
_ABSOLUTE: Final = re.compile(rb"https?://(?P<authority>[^/?#@]+)(?P<rest>[/?].*)?", re.IGNORECASE)
#: A request line without fault, by the rules of Twisted's parser.
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) [\x21-\xb0]+ (HTTP/1\.[01])")
#: Header lines without fault, by the same rules, which announce no body, and the empty line behind them.
_HEADER_LINES: Final = re.compile(
    rb"(?:(?!(?:content-length|transfer-encoding):)[!#$%&'*+.^_`|~0-9A-Z-]+:[\t -~]*\r\n)+\r\n", re.IGNORECASE
)
#: The most segments of a path; Twisted looks each of them up, which takes time by the square of their number.
_MOST_SEGMENTS: Final = 100
#: The most parameters of a query; the gateway's own requests have three.
_MOST_PARAMETERS: Final = 100


class RequestTarget(NamedTuple):
    """What a request line asks for.

    Attributes:
        uri: the path and the query, or ``*``.
        authority: the host and port of an absolute URL, which take the place of the Host header (RFC 9112
            §3.2.2); None for other targets.
    """

    uri: bytes
    authority: bytes | None


def parse_request_target(method: bytes, target: bytes) -> RequestTarget:
    """Parse the target of a request line, in any form that a server which is no proxy accepts.

    Args:
        method: of the request.
        target: as sent.

    Raises:
        InvalidRequest: it is not a path, not an http or https URL, and not the ``*`` of OPTIONS; or the path
            has more than 100 segments.
    """
    if method == b"OPTIONS" and target == b"*":
        return RequestTarget(target, None)
    uri, authority = target, None
    if not target.startswith(b"/"):
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None:
            raise InvalidRequest("the request target must be a path, or an http or https URL")
        rest, authority = absolute["rest"] or b"/", absolute["authority"]
        uri = rest if rest.startswith(b"/") else b"/" + rest
    if uri.partition(b"?")[0].count(b"/") > _MOST_SEGMENTS:
        raise InvalidRequest(f"the path must have at most {_MOST_SEGMENTS} segments")
    return RequestTarget(uri, authority)


def without_target(line: bytes) -> bytes:
    """Return a request line with the target ``/``, which Twisted's parser would examine byte by byte.

    Args:
        line: as sent. One that is not valid is returned as it is, for Twisted to refuse.
    """
    valid = _REQUEST_LINE.fullmatch(line)
    return b"%b / %b" % valid.groups() if valid else line


def parse_plain_headers(received: bytes) -> tuple[Sequence[tuple[bytes, bytes]], int]:
    """Parse the header lines of a request at once, if they are all there, are plain, and announce no body.

    Args:
        received: what follows the request line.

    Returns:
        The names and values, and the size of the lines, with the empty one behind them. No headers and 0 if
        the lines have to be parsed one by one: to wait for others, or to find what is wrong.
    """
    found = _HEADER_LINES.match(received)
    if found is None:
        return (), 0
    headers = []
    for line in found[0].split(b"\r\n")[:-2]:
        name, _, value = line.partition(b":")
        headers.append((name, value.strip(b" \t")))
    return headers, found.end()


def check_framing(version: bytes, hosts: Sequence[bytes], transfer_encodings: Sequence[bytes]) -> None:
    """Refuse heads that another server might read as another request.

    Args:
        version: ``HTTP/1.1`` or ``HTTP/1.0``.
        hosts: the values of the Host header.
        transfer_encodings: the values of the Transfer-Encoding header.

    Raises:
        InvalidHeader: Host is missing or repeated (RFC 9112 §3.2); or Transfer-Encoding is not ``chunked``
            alone, or is not defined for the version (§6.1).
    """
    if len(hosts) > 1 or (not hosts and version != b"HTTP/1.0"):
        raise InvalidHeader("Host must be given once")
    if not transfer_encodings:
        return
    if version == b"HTTP/1.0" or [value.lower() for value in transfer_encodings] != [b"chunked"]:
        raise InvalidHeader("Transfer-Encoding must be chunked, without other codings, over HTTP/1.1")


def parse_query(uri: bytes) -> dict[bytes, list[bytes]]:
    """Parse the query of a request, where only ``&`` separates parameters.

    `twisted.web` takes ``;`` for a separator too, which lets a proxy in front see other parameters.

    Args:
        uri: a path, with a query after the first ``?``.

    Returns:
        The values of each name, in order. Parameters without ``=`` are ignored.

    Raises:
        InvalidRequest: it has more than 100 parameters.
    """
    found: dict[bytes, list[bytes]] = {}
    query = uri.partition(b"?")[2]
    if query.count(b"&") >= _MOST_PARAMETERS:
        raise InvalidRequest(f"the query must have at most {_MOST_PARAMETERS} parameters")
    for parameter in query.split(b"&"):
        name, equals, value = parameter.replace(b"+", b" ").partition(b"=")
        if equals:
            if b"%" in parameter:
                name, value = unquote_to_bytes(name), unquote_to_bytes(value)
            found.setdefault(name, []).append(value)
    return found
