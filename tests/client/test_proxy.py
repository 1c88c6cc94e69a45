"""Proxies: which one, and exactly what is said to it."""

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred

from portofcall.client.problem import Problem, Status
from portofcall.client.proxy import Proxy, ask_proxy, from_environment
from portofcall.target import Target
from tests.client.support import result

SERVER = Target.parse("gw.example", 443)


class FakeStream:
    """A connection to a proxy that sends its replies byte by byte, each once it has been asked for."""

    def __init__(self, replies: bytes) -> None:
        self.sent: list[bytes] = []
        self.early = b""
        self._replies = replies

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    async def read_more(self) -> bytes:
        if not self._replies:
            raise Problem("gateway-lost", "gone", Status.UNREACHABLE)
        self.early += self._replies[:1]
        self._replies = self._replies[1:]
        return self.early

    def take(self, size: int) -> None:
        self.early = self.early[size:]


def ask(url: str, replies: bytes, server: Target = SERVER) -> FakeStream:
    """Ask a proxy for a connection."""
    stream = FakeStream(replies)
    done: Deferred[None] = Deferred.fromCoroutine(ask_proxy(stream, Proxy.parse(url), server))
    problem = result(done)
    if problem is not None:
        raise problem
    assert done.called
    return stream


def test_http_connect_with_a_password() -> None:
    """Basic, in the header for proxies (RFC 9110 §11.7)."""
    stream = ask("http://al%40:p%3Aw@proxy", b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
    assert stream.sent == [
        b"CONNECT gw.example:443 HTTP/1.1\r\nHost: gw.example:443\r\n"
        b"Proxy-Authorization: Basic YWxAOnA6dw==\r\n\r\n"
    ]
    assert stream.early == b""


@pytest.mark.parametrize(
    ("url", "replies", "status", "match"),
    [
        ("http://p", b"HTTP/1.1 407 Auth\r\n\r\n", Status.AUTHENTICATION, "wants a user and a password"),
        (
            "http://a:b@p",
            b"HTTP/1.0 401 No\r\n\r\n",
            Status.AUTHENTICATION,
            "refuses the user or the password",
        ),
        (
            "http://u:w@p",
            b"HTTP/1.1 407 Auth\r\n\r\n",
            Status.AUTHENTICATION,
            "refuses the user or the password",
        ),
        ("http://p", b"HTTP/1.1 403 Forbidden\r\n\r\n", Status.UNREACHABLE, "HTTP status 403"),
        ("http://p", b"SSH-2.0", Status.UNREACHABLE, "not HTTP"),
        ("socks5://p", b"\x05\xff", Status.AUTHENTICATION, "other credentials"),
        ("socks5://p", b"\x05\x02", Status.AUTHENTICATION, "other credentials"),
        ("socks5://u:w@p", b"\x05\x02\x01\x01", Status.AUTHENTICATION, "refuses the user"),
        ("socks5://p", b"\x05\x00\x05\x05\x00\x01", Status.UNREACHABLE, "connection refused"),
        ("socks5://p", b"\x05\x00\x05\x63\x00\x01", Status.UNREACHABLE, "error 99"),
        ("socks5://p", b"HT", Status.UNREACHABLE, "not SOCKS5"),
        ("socks5://p", b"\x05", Status.UNREACHABLE, "gone"),
    ],
)
def test_refusals_of_a_proxy_have_a_reason(url: str, replies: bytes, status: Status, match: str) -> None:
    """With the exit status of a failed authentication, or of a gateway that is not reachable."""
    with pytest.raises(Problem, match=match) as caught:
        ask(url, replies)
    assert caught.value.status is status


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("gw.example", b"\x03\x0agw.example"),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
    ],
)
@pytest.mark.parametrize("bound", [b"\x01" + bytes(6), b"\x04" + bytes(18), b"\x03\x02xy\x00\x00"])
def test_socks_asks_for_the_gateways_name(host: str, address: bytes, bound: bytes) -> None:
    """Names are resolved by the proxy; whatever address it is bound to is read to its end."""
    stream = ask("socks5://p", b"\x05\x00\x05\x00\x00" + bound, Target.parse(host, 443))
    assert stream.sent == [b"\x05\x01\x00", b"\x05\x01\x00" + address + b"\x01\xbb"]
    assert stream.early == b""


def test_socks_with_a_password() -> None:
    """RFC 1929."""
    stream = ask("socks5://u:pw@p", b"\x05\x02\x01\x00\x05\x00\x00\x01" + bytes(6))
    assert stream.sent[:2] == [b"\x05\x02\x00\x02", b"\x01\x01u\x02pw"]


@pytest.mark.parametrize(
    "text",
    ["https://p", "socks4://p", "http://", "http://p/path", "http://p:x", "http://[::1", "http://-p", "a b"],
)
def test_invalid_proxies(text: str) -> None:
    """The message says what was expected."""
    with pytest.raises(ValueError, match="expected"):
        Proxy.parse(text)


def test_tls_to_the_proxy_is_not_supported() -> None:
    """That is said: it is not a wrong URL."""
    with pytest.raises(ValueError, match=r"TLS to a proxy \(https://\) is not supported; expected http://"):
        Proxy.parse("https://proxy.example:3128")


def test_socks_has_short_passwords_only() -> None:
    """Their length is one byte."""
    with pytest.raises(ValueError, match="255"):
        Proxy.parse(f"socks5://u:{'x' * 256}@p")


def test_a_proxy_is_shown_without_its_password() -> None:
    """It has default ports, and is HTTP without a scheme."""
    assert [str(Proxy.parse(text)) for text in ("p", "http://u:w@p:1", "socks5h://p")] == [
        "http://p:3128",
        "http://p:1",
        "socks5://p:1080",
    ]


VARIABLES = (
    "https_proxy",
    "http_proxy",
    "all_proxy",
    "no_proxy",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
)


@pytest.mark.parametrize(
    ("variables", "secure", "expected"),
    [
        ({}, True, None),
        ({"HTTPS_PROXY": "http://a:1", "HTTP_PROXY": "http://b:2"}, True, "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1", "http_proxy": "http://b:2"}, False, "http://b:2"),
        ({"ALL_PROXY": "socks5://c:3"}, True, "socks5://c:3"),
        ({"HTTPS_PROXY": "a:1", "NO_PROXY": "other,.example"}, True, None),
        ({"HTTPS_PROXY": "a:1", "no_proxy": "*"}, True, None),
        ({"HTTPS_PROXY": "a:1", "NO_PROXY": "other"}, True, "http://a:1"),
    ],
)
def test_the_environment(
    variables: dict[str, str], secure: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable of the scheme comes before ALL_PROXY, and NO_PROXY before both."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = from_environment("gw.example", secure=secure)
    assert (None if found is None else str(found)) == expected


def test_an_invalid_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message does not quote its value, which may have a password."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ALL_PROXY", "ftp://u:secret@p")
    with pytest.raises(ValueError, match="ALL_PROXY: expected") as caught:
        from_environment("gw", secure=True)
    assert "secret" not in str(caught.value)


def test_nothing_is_read_without_a_size() -> None:
    """A proxy bound to an empty name is not waited for."""
    sequence: Sequence[bytes] = ask("socks5://p", b"\x05\x00\x05\x00\x00\x03\x00\x00\x00").sent
    assert len(sequence) == 2
