"""HTTP responses: the head, and the body of one that says why there is no tunnel (RFC 9112)."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, Final, cast

from portofcall.client.problem import Problem, Status, of_response

#: The largest head of a response, and the largest body, that is read.
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 16 * 1024
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?")
_VERSION: Final = b"HTTP/1."


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an HTTP response.

    Attributes:
        status: its status.
        headers: all values of each header, by its name in lower case.
        size: of the head, with the empty line that ends it.
    """

    status: int
    headers: Mapping[str, Sequence[str]]
    size: int

    def tokens(self, name: str) -> set[str]:
        """Return the members of a header that is a list, in lower case."""
        values = self.headers.get(name, ())
        return {token.strip().lower() for value in values for token in value.split(",")} - {""}

    def first(self, name: str) -> str | None:
        """Return the first value of a header; None if there is none."""
        return next(iter(self.headers.get(name, ())), None)


def parse_head(data: bytes) -> Head | None:
    """Parse the head of a response.

    Args:
        data: all that has come so far.

    Returns:
        The head; None while it is not complete.

    Raises:
        Problem: it is not HTTP, or larger than `MAX_HEAD_BYTES`.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 and len(data) <= MAX_HEAD_BYTES and _VERSION.startswith(data[: len(_VERSION)]):
        return None
    lines = data[: max(end, 0)].split(b"\r\n")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None or end > MAX_HEAD_BYTES:
        raise Problem("not-http", "the response is not HTTP; is this a gateway?", Status.UNREACHABLE)
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return Head(int(match[1]), headers, end + 4)


def is_complete(head: Head, data: bytes) -> bool:
    """Whether the body of a refusal has come, as far as it is read.

    Args:
        head: of the response.
        data: the whole response so far.
    """
    body = data[head.size :]
    if len(body) >= MAX_BODY_BYTES:
        return True
    if "chunked" in head.tokens("transfer-encoding"):
        return body.endswith(b"0\r\n\r\n")
    length = head.first("content-length") or ""
    return length.isdigit() and len(body) >= int(length)


def refusal(head: Head, data: bytes) -> Problem:
    """Return what a refusal means. Of a body that is no gateway's JSON, only the status counts.

    Args:
        head: of the response.
        data: the whole response, as far as it has come.
    """
    fields = parse_fields(body(data))
    return of_response(
        head.status,
        error=fields.get("error"),
        code=fields.get("code"),
        retry_after=head.first("retry-after"),
    )


def body(data: bytes) -> bytes:
    """Return the body of a response, without chunks; as much as is valid."""
    response = HTTPResponse(cast(Any, _Received(data)))
    try:
        response.begin()
        return response.read()
    except (HTTPException, ValueError, OSError):
        return b""


def parse_fields(body: bytes) -> Mapping[str, Any]:
    """Return the fields of a JSON object; none if it is something else."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


class _Received:
    """A response that has come already, as `HTTPResponse` expects it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)
