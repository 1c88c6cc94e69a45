"""HTTP responses: bounded, and read for their reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.client.http_response import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    body,
    is_complete,
    parse_head,
    refusal,
)
from portofcall.client.problem import Problem, Status

REFUSAL = (
    b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\nRetry-After: 3\r\n\r\n"
    b'{"success": false, "error": "slow down", "code": "too-many-requests"}'
)
BODY = REFUSAL.partition(b"\r\n\r\n")[2]
WHOLE = REFUSAL % len(BODY)


def test_a_head_is_parsed_once_it_is_complete() -> None:
    """Until then there is none, wherever it is cut."""
    end = WHOLE.index(b"\r\n\r\n") + 4
    assert all(parse_head(WHOLE[:size]) is None for size in range(end))
    head = parse_head(WHOLE)
    assert head is not None
    assert (head.status, head.size, head.first("retry-after"), head.first("x")) == (429, end, "3", None)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    """Another server, or one that sends without end."""
    with pytest.raises(Problem, match="not-http") as caught:
        parse_head(data)
    assert caught.value.status is Status.UNREACHABLE


@given(st.binary(max_size=100))
def test_any_bytes_may_follow_the_status_line(data: bytes) -> None:
    """Nothing is raised for lines that are no headers."""
    head = parse_head(b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n")
    assert head is not None
    assert head.status == 200


def test_a_refusal_has_the_gateways_sentence() -> None:
    """With its Retry-After."""
    head = parse_head(WHOLE)
    assert head is not None
    assert not is_complete(head, WHOLE[:-1])
    assert is_complete(head, WHOLE)
    assert str(refusal(head, WHOLE)) == "too-many-requests: slow down; try again in 3 seconds"


def test_a_chunked_refusal_has_its_sentence() -> None:
    """As a proxy may pass it on."""
    chunked = b"HTTP/1.1 403 F\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
    head = parse_head(chunked)
    assert head is not None
    assert not is_complete(head, chunked[:-3])
    assert is_complete(head, chunked)
    assert refusal(head, chunked).sentence == "slow down"


@pytest.mark.parametrize("text", [b"", b"[1]", b"<html>", b"[" * 10_000, b"\xff"])
def test_another_body_leaves_the_status(text: bytes) -> None:
    """A proxy's page is not shown."""
    data = b"HTTP/1.1 503 X\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)
    head = parse_head(data)
    assert head is not None
    assert str(refusal(head, data)) == "unavailable: the gateway refused with HTTP status 503"


def test_a_body_is_bounded() -> None:
    """One without end is complete at 16 KiB."""
    data = b"HTTP/1.1 403 X\r\n\r\n" + b"x" * MAX_BODY_BYTES
    head = parse_head(data)
    assert head is not None
    assert is_complete(head, data)
    assert not is_complete(head, data[:-1])


def test_a_body_that_was_cut_is_none() -> None:
    """It would be no JSON."""
    assert body(WHOLE[:-1]) == b""
    assert body(b"nonsense") == b""
