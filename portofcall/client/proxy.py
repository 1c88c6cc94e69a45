"""Proxies between a client and its gateway: which one, and what is said to it (RFC 9110 §9.3.6, RFC 1928)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Protocol
from urllib import request as urllib_request
from urllib.parse import unquote, urlsplit

from portofcall.client.http_response import MAX_HEAD_BYTES, parse_head
from portofcall.client.problem import Problem, Status
from portofcall.errors import InvalidTarget, printable
from portofcall.target import Target

#: Python's own reading of these variables; typeshed lacks one of the names.
_environment: Any = urllib_request
_PORTS: Final = {"http": 3128, "socks5": 1080, "socks5h": 1080}
_EXPECTED: Final = "expected http://HOST:PORT or socks5://HOST:PORT, with user:password@ if it needs one"
_MOST_SOCKS_TEXT: Final = 255
_SOCKS_ERRORS: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "timed out",
    7: "command not supported",
    8: "address type not supported",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy. Make it with `parse`.

    Attributes:
        socks: whether it speaks SOCKS5; otherwise HTTP.
        server: its host and port.
        user: None if it needs none.
        password: None if it needs none.
    """

    socks: bool
    server: Target
    user: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Parse ``http://user:password@host:port`` or ``socks5://…``; without a scheme it is ``http``.

        Raises:
            ValueError: the message says what was expected, and quotes nothing.
        """
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
            port = parts.port
        except ValueError:
            raise ValueError(_EXPECTED) from None
        if parts.scheme == "https":
            raise ValueError("TLS to a proxy (https://) is not supported; " + _EXPECTED)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError(_EXPECTED)
        try:
            server = Target.parse(parts.hostname, _PORTS[parts.scheme] if port is None else port)
        except InvalidTarget as error:
            raise ValueError(error.sentence) from None
        user = None if parts.username is None else unquote(parts.username)
        password = None if parts.password is None else unquote(parts.password)
        socks = parts.scheme != "http"
        if socks and not all(0 < len(text.encode()) <= _MOST_SOCKS_TEXT for text in (user, password) if text):
            raise ValueError("expected a user and a password of at most 255 bytes")
        return cls(socks=socks, server=server, user=user, password=password)

    def __str__(self) -> str:
        """The proxy without user and password."""
        return f"{'socks5' if self.socks else 'http'}://{self.server}"


def from_environment(host: str, *, secure: bool) -> Proxy | None:
    """Return the proxy that the environment names for a gateway; None for a direct connection.

    That is ``HTTPS_PROXY`` for wss, ``HTTP_PROXY`` for ws, or else ``ALL_PROXY``, in upper or lower case,
    unless the host is in ``NO_PROXY``.

    Raises:
        ValueError: the variable is no URL of a proxy; the message names it.
    """
    found: Mapping[str, str] = _environment.getproxies_environment()
    scheme = "https" if secure else "http"
    text = found.get(scheme) or found.get("all")
    if not text or _environment.proxy_bypass_environment(host, found):
        return None
    try:
        return Proxy.parse(text)
    except ValueError as problem:
        name = scheme if found.get(scheme) else "all"
        raise ValueError(f"{name.upper()}_PROXY: {problem}") from None


class Stream(Protocol):
    """A connection before its tunnel begins."""

    def write(self, data: bytes) -> None:
        """Send ``data``."""

    async def read_more(self) -> bytes:
        """Wait for more; return all that has come since the last `take`."""

    def take(self, size: int) -> None:
        """Remove that many bytes from what has come."""


async def ask_proxy(stream: Stream, proxy: Proxy, server: Target) -> None:
    """Ask a proxy for a connection to a gateway.

    Args:
        stream: the connection to the proxy; afterwards the one to the gateway.
        proxy: says how.
        server: the gateway's.

    Raises:
        Problem: the proxy refuses, or its response is invalid.
    """
    await (_ask_socks if proxy.socks else _ask_http)(stream, proxy, server)


async def _ask_http(stream: Stream, proxy: Proxy, server: Target) -> None:
    lines = [f"CONNECT {server} HTTP/1.1", f"Host: {server}"]
    if proxy.user is not None:
        login = base64.b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode("ascii")
        lines.append(f"Proxy-Authorization: Basic {login}")
    stream.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    head = None
    while head is None:
        data = await stream.read_more()
        head = parse_head(data)
    # RFC 9110 §15.5.8; tinyproxy has 401 where a password is wrong.
    if head.status in (407, 401):
        raise Problem(
            "proxy-unauthorized",
            f"the proxy {proxy.server} wants a user and a password"
            if proxy.user is None
            else f"the proxy {proxy.server} refuses the user or the password",
            Status.AUTHENTICATION,
        )
    if not 200 <= head.status < 300:
        raise _failed(proxy, f"HTTP status {head.status}")
    stream.take(head.size)


async def _ask_socks(stream: Stream, proxy: Proxy, server: Target) -> None:
    """RFC 1928 §3 to §6, with the passwords of RFC 1929."""
    stream.write(b"\x05\x01\x00" if proxy.user is None else b"\x05\x02\x00\x02")
    version, method = await _exactly(stream, proxy, 2)
    if version != 5:
        raise _failed(proxy, "a response that is not SOCKS5")
    if method == 2 and proxy.user is not None:
        user, password = proxy.user.encode(), (proxy.password or "").encode()
        stream.write(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        _, status = await _exactly(stream, proxy, 2)
        if status:
            raise Problem(
                "proxy-unauthorized",
                f"the proxy {proxy.server} refuses the user or the password",
                Status.AUTHENTICATION,
            )
    elif method:
        raise Problem(
            "proxy-unauthorized", f"the proxy {proxy.server} wants other credentials", Status.AUTHENTICATION
        )
    stream.write(b"\x05\x01\x00" + _socks_address(server) + server.port.to_bytes(2))
    version, code, _, kind = await _exactly(stream, proxy, 4)
    if version != 5 or code:
        raise _failed(proxy, _SOCKS_ERRORS.get(code, f"error {code}"))
    sizes = {1: 4, 4: 16}
    size = sizes[kind] if kind in sizes else (await _exactly(stream, proxy, 1))[0]
    await _exactly(stream, proxy, size + 2)


def _socks_address(server: Target) -> bytes:
    if server.address is None:
        name = server.host.encode("ascii")
        return b"\x03" + bytes([len(name)]) + name
    packed = ip_address(server.host).packed
    return (b"\x01" if len(packed) == 4 else b"\x04") + packed


async def _exactly(stream: Stream, proxy: Proxy, size: int) -> bytes:
    data = await stream.read_more() if size else b""
    while len(data) < size:
        data = await stream.read_more()
    if len(data) > MAX_HEAD_BYTES:
        raise _failed(proxy, "a response that is too long")
    stream.take(size)
    return data[:size]


def _failed(proxy: Proxy, why: str) -> Problem:
    return Problem(
        "proxy-failed",
        f"the proxy {proxy.server} opens no connection to the gateway: {printable(why)}",
        Status.UNREACHABLE,
    )
