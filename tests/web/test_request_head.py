"""Targets, framing and queries are read in one way only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http import _parseRequestLine

from portofcall.errors import InvalidHeader, InvalidRequest, RequestError
from portofcall.web.request_head import (
    RequestTarget,
    check_framing,
    parse_plain_headers,
    parse_query,
    parse_request_target,
    without_target,
)


@pytest.mark.parametrize(
    ("target", "uri", "authority"),
    [
        (b"/", b"/", None),
        (b"/a?b=c", b"/a?b=c", None),
        (b"//a/b", b"//a/b", None),
        (b"http://gateway", b"/", b"gateway"),
        (b"HTTP://gateway:8080/a/b?c=http://d", b"/a/b?c=http://d", b"gateway:8080"),
        (b"https://[::1]:443?x=y", b"/?x=y", b"[::1]:443"),
    ],
)
def test_target_is_a_path_or_an_absolute_url(target: bytes, uri: bytes, authority: bytes | None) -> None:
    """RFC 9112 §3.2.1 and §3.2.2: the host of a URL takes the place of the Host header."""
    assert parse_request_target(b"GET", target) == RequestTarget(uri, authority)


def test_options_may_ask_for_the_whole_server() -> None:
    """RFC 9112 §3.2.4: with an asterisk, which other methods may not use."""
    assert parse_request_target(b"OPTIONS", b"*") == RequestTarget(b"*", None)
    with pytest.raises(InvalidRequest):
        parse_request_target(b"GET", b"*")


@pytest.mark.parametrize(
    "target",
    [
        b"gateway:443",
        b"index.html",
        b"?a=b",
        b"http:/a",
        b"http://",
        b"http:///a",
        b"http://user@gateway/",
        b"http://user:password@gateway/",
        b"http://gateway#fragment",
        b"ftp://gateway/",
        b"ws://gateway/",
    ],
)
def test_other_targets_are_refused(target: bytes) -> None:
    """The gateway is no HTTP proxy, and takes no passwords in URLs."""
    with pytest.raises(InvalidRequest, match="the request target must be a path, or an http or https URL"):
        parse_request_target(b"CONNECT", target)


def test_path_has_at_most_a_hundred_segments() -> None:
    """Thousands would take milliseconds each time; slashes in the query are none."""
    most = b"/a" * 100
    assert parse_request_target(b"GET", most + b"?" + most).uri == most + b"?" + most
    for target in (most + b"/", b"http://gateway" + most + b"/"):
        with pytest.raises(InvalidRequest, match="at most 100 segments"):
            parse_request_target(b"GET", target)


@pytest.mark.parametrize(
    ("version", "hosts", "codings"),
    [
        (b"HTTP/1.1", [b"a"], []),
        (b"HTTP/1.1", [b""], []),
        (b"HTTP/1.1", [b"a"], [b"chunked"]),
        (b"HTTP/1.1", [b"a"], [b"Chunked"]),
        (b"HTTP/1.0", [b"a"], []),
        (b"HTTP/1.0", [], []),
    ],
)
def test_framing_that_is_read_in_one_way_is_accepted(
    version: bytes, hosts: list[bytes], codings: list[bytes]
) -> None:
    """HTTP/1.0 does not need a Host."""
    check_framing(version, hosts, codings)


@pytest.mark.parametrize(
    ("version", "hosts", "codings", "name"),
    [
        (b"HTTP/1.1", [], [], "Host"),
        (b"HTTP/1.1", [b"a", b"a"], [], "Host"),
        (b"HTTP/1.0", [b"a", b"b"], [], "Host"),
        (b"HTTP/1.1", [b"a"], [b"identity"], "Transfer-Encoding"),
        (b"HTTP/1.1", [b"a"], [b"gzip, chunked"], "Transfer-Encoding"),
        (b"HTTP/1.1", [b"a"], [b"chunked", b"chunked"], "Transfer-Encoding"),
        (b"HTTP/1.1", [b"a"], [b"chunked", b"identity"], "Transfer-Encoding"),
        (b"HTTP/1.1", [b"a"], [b""], "Transfer-Encoding"),
        (b"HTTP/1.0", [b"a"], [b"chunked"], "Transfer-Encoding"),
    ],
)
def test_framing_that_others_may_read_otherwise_is_refused(
    version: bytes, hosts: list[bytes], codings: list[bytes], name: str
) -> None:
    """Requests are smuggled through such differences; the error names the header."""
    with pytest.raises(InvalidHeader, match=f"^{name} must be "):
        check_framing(version, hosts, codings)


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (b"/a", {}),
        (b"/a?", {}),
        (b"/a?b=c&b=d&e=", {b"b": [b"c", b"d"], b"e": [b""]}),
        (b"/a?b=1;c=2", {b"b": [b"1;c=2"]}),
        (b"/a?b;c=2", {b"b;c": [b"2"]}),
        (b"/a?b=c?d=e", {b"b": [b"c?d=e"]}),
        (b"/a?h%6fst=%20a+b%2B&x", {b"host": [b" a b+"]}),
        (b"/a?b=c=d&=e", {b"b": [b"c=d"], b"": [b"e"]}),
        (b"/a?b=%ff%zz", {b"b": [b"\xff%zz"]}),
    ],
)
def test_query_is_split_at_ampersands_only(uri: bytes, found: dict[bytes, list[bytes]]) -> None:
    """As browsers write it and proxies read it (WHATWG URL)."""
    assert parse_query(uri) == found


def test_query_has_at_most_a_hundred_parameters() -> None:
    """Nobody can hide one behind a thousand others, or make their parsing costly."""
    assert len(parse_query(b"/?" + b"&".join(b"%d=" % n for n in range(100)))) == 100
    with pytest.raises(InvalidRequest, match="at most 100 parameters"):
        parse_query(b"/?" + b"&" * 100)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(method: bytes, target: bytes) -> None:
    """Nothing else is raised, and a path stays one."""
    try:
        uri, _ = parse_request_target(method, target)
    except RequestError:
        return
    assert uri == b"*" or uri.startswith(b"/")
    parse_query(uri)


def test_request_line_keeps_its_method_and_version() -> None:
    """Twisted gets no target that it would examine byte by byte."""
    assert without_target(b"GET /api/connect?host=a&port=1 HTTP/1.1") == b"GET / HTTP/1.1"
    assert without_target(b"OPTIONS * HTTP/1.0") == b"OPTIONS / HTTP/1.0"


@given(
    st.one_of(
        st.binary(max_size=20),
        st.tuples(
            st.sampled_from([b"GET", b"P-OST", b"", b"G(T", b"G\xc4T"]),
            st.sampled_from([b" ", b"  ", b"\t", b""]),
            st.binary(max_size=6),
            st.sampled_from([b" ", b"  ", b""]),
            st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"http/1.1", b""]),
        ).map(b"".join),
    )
)
def test_twisted_refuses_the_same_request_lines_without_their_targets(line: bytes) -> None:
    """A line that it would refuse is left as it is; for any other only the target differs."""
    try:
        method, _, version = _parseRequestLine(line)
    except ValueError:
        assert without_target(line) == line
    else:
        assert _parseRequestLine(without_target(line)) == (method, b"/", version)


def test_plain_headers_are_parsed_at_once() -> None:
    """With what they were sent in, so that the rest can follow; empty values are values."""
    lines = b"Host: gateway\r\nX-A:\t a b \t\r\nx-a:\r\n\r\n"
    headers = [(b"Host", b"gateway"), (b"X-A", b"a b"), (b"x-a", b"")]
    assert parse_plain_headers(lines + b"rest") == (headers, len(lines))


@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"\r\n",
        b"Host: gateway\r\n",
        b"Host: gateway\r\nX-A: b",
        b"Host: gateway\r\ncontent-length: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"Host: gateway\r\n folded\r\n\r\n",
        b"Host : gateway\r\n\r\n",
        b"Host gateway\r\n\r\n",
        b": gateway\r\n\r\n",
        b"Host: gate\x00way\r\n\r\n",
        b"Host: gate\rway\r\n\r\n",
        b"Host: gate\nway\r\n\r\n",
        b"Host: gate\xffway\r\n\r\n",
    ],
)
def test_other_headers_are_left_to_the_parser_that_takes_them_line_by_line(lines: bytes) -> None:
    """It waits for the rest, counts a body, or says what is wrong."""
    assert parse_plain_headers(lines) == ((), 0)
