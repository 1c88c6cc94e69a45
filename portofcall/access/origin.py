"""Checks that need no credentials: the Origin of a page, and the Host it reached the gateway by."""

import re
from collections.abc import Sequence
from ipaddress import IPv6Address

from portofcall.access.client_address import _hop
from portofcall.errors import InvalidHeader, OriginRefused, printable

#: Longer values are refused before any work is done on them: a host has at most 253 characters.
MAX_ORIGIN_BYTES = 512

_DEFAULT_PORTS = {"http": 80, "https": 443}

#: RFC 6454 section 6.2: no path, not even a slash.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]{0,63})://"
    r"(?P<host>[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII | re.IGNORECASE,
)


def parse_origin(text: str) -> str:
    """Parse an origin and return its canonical form.

    Args:
        text: ``scheme://host`` or ``scheme://host:port``, as browsers write it (RFC 6454 section 6.2).

    Returns:
        The same with scheme and host in lower case, an IPv6 address compressed, and without the default
        port of http and https.

    Raises:
        ValueError: the message says what was expected; it does not repeat the text.
    """
    match = _ORIGIN.fullmatch(text) if len(text) <= MAX_ORIGIN_BYTES else None
    try:
        if match is None:
            raise ValueError
        scheme, host = match["scheme"].lower(), match["host"].lower()
        if host.startswith("["):
            host = f"[{IPv6Address(host[1:-1])}]"
        port = int(match["port"] or _DEFAULT_PORTS.get(scheme, 1))
        if not 1 <= port <= 65535:
            raise ValueError
    except ValueError:
        raise ValueError(
            "expected an origin such as https://pages.example or http://localhost:3000, without user, path "
            "and query"
        ) from None
    if match["port"] is None or port == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def judge_origin(
    origins: Sequence[bytes], hosts: Sequence[bytes], *, scheme: str | None, allowed: frozenset[str]
) -> None:
    """Refuse cross-origin pages. RFC 6455 section 10.2: without this every page could use the gateway.

    An origin is allowed if it is one of ``allowed``, or the gateway's own: host and port are those of the
    Host header, with the default port of the Origin's scheme. A client that sends no Origin is not a page and
    is allowed. Authentication is a separate check, see `portofcall.access.authenticator`.

    Whether Host is a name of the gateway is checked by `judge_host`.

    Args:
        origins: the values of the Origin header.
        hosts: the values of the Host header.
        scheme: ``http`` or ``https``, if it is known which of them the browser used; None where a proxy in
            front may terminate TLS.
        allowed: further origins, each as `parse_origin` returns it. ``null``, the origin of sandboxed pages
            and local files, is never allowed.

    Raises:
        InvalidHeader: a header is repeated or malformed.
        OriginRefused: the origin is not allowed.
    """
    if not origins:
        return
    text = _single("Origin", origins)
    if text == "null":
        raise OriginRefused("origin null (a sandboxed page or local file) is not allowed to use this gateway")
    try:
        origin = parse_origin(text)
    except ValueError:
        raise InvalidHeader("Origin must be scheme://host or scheme://host:port") from None
    if origin not in allowed and not _own(origin, _single("Host", hosts), scheme):
        raise OriginRefused(f"origin {printable(origin)} is not allowed to use this gateway")


def _own(origin: str, host: str, scheme: str | None) -> bool:
    """Whether ``host`` has the origin ``origin``."""
    try:
        return origin in {
            parse_origin(f"{known}://{host}") for known in ([scheme] if scheme else _DEFAULT_PORTS)
        }
    except ValueError:
        raise InvalidHeader("Host must be a name or an address, with an optional port") from None


def judge_host(
    hosts: Sequence[bytes], *, local: str | None, port: int | None, secure: bool, allowed: frozenset[str]
) -> None:
    """Refuse a page that rebinds its own name to 127.0.0.1 (DNS rebinding).

    The name of such a page resolves to 127.0.0.1 the second time, so its Origin and its Host agree. What
    shows is that it uses the gateway's own port, on loopback, with a name that is not known for this host. A
    proxy on the same host has a port of its own, and forwards that one or none.

    Args:
        hosts: the values of the Host header of a request that has an Origin.
        local: the address that the connection was accepted on; None for a unix socket.
        port: its port.
        secure: whether it is over TLS.
        allowed: further origins; the hosts of these are known names of this host.

    Raises:
        InvalidHeader: Host is repeated or malformed.
        OriginRefused: the page reached loopback by a name that is not known for this host.
    """
    host = _single("Host", hosts).lower()
    address = None if local is None else _hop(local.partition("%")[0])
    explicit = re.fullmatch(r"(?P<name>.*?)(?::(?P<port>[0-9]{1,5}))?", host)
    assert explicit is not None
    name = explicit["name"]
    asked = int(explicit["port"] or _DEFAULT_PORTS["https" if secure else "http"])
    if address is None or not address.is_loopback or asked != port:
        return
    known = name == "localhost" or name.endswith(".localhost") or _hop(name) is not None
    if not known and not any(origin.partition("://")[2] in {host, name} for origin in allowed):
        raise OriginRefused(f"{printable(name)} is not a known name of this host; allow it with --origin")


def _single(name: str, values: Sequence[bytes]) -> str:
    """Return the single value of a header, which must be visible ASCII characters."""
    if len(values) != 1:
        raise InvalidHeader(f"{name} must be given once")
    if not values[0].isascii() or not (text := values[0].decode("ascii")).isprintable():
        raise InvalidHeader(f"{name} must hold visible ASCII characters only")
    return text
