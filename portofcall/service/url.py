"""URLs with which clients reach a listener."""

import os
from collections.abc import Sequence
from ipaddress import ip_address

from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from portofcall.errors import printable
from portofcall.service.endpoint import is_encrypted


def listener_url(description: str, address: IAddress, names: Sequence[str] = ()) -> str:
    """Return the URL of a listener.

    One that listens on all addresses is reached by the name of its certificate, or on this machine by
    loopback: ``0.0.0.0`` and ``::`` are no destinations, and browsers refuse them.

    Args:
        description: the value of ``--listen``.
        address: where it listens.
        names: those of its certificate.

    Returns:
        Such as ``https://gateway.example:443``; for a UNIX socket as nginx writes it,
        ``http://unix:/run/portofcall.sock``; the description for any other kind of address.
    """
    scheme = "https" if is_encrypted(description) else "http"
    if isinstance(address, UNIXAddress) and address.name and not _is_abstract(address.name):
        return f"{scheme}://unix:{printable(os.fsdecode(address.name), 200)}"
    if not isinstance(address, TCP4Address | TCP6Address):
        return description
    host = address.host
    if is_wildcard(address):
        certified = next((name for name in names if not name.startswith("*")), None)
        host = certified or ("127.0.0.1" if isinstance(address, TCP4Address) else "::1")
    # RFC 6874 section 2: a zone follows an escaped percent sign.
    if ":" in host:
        host = f"[{host.replace('%', '%25')}]"
    return f"{scheme}://{host}:{address.port}"


def tunnel_url(url: str) -> str:
    """Return the WebSocket URL of tunnels at a listener, less the query.

    Args:
        url: as `listener_url` returns it.

    Returns:
        Empty where there is none, as for UNIX sockets.
    """
    if not url.startswith(("http://", "https://")) or url.partition("://")[2].startswith("unix:"):
        return ""
    return f"ws{url.removeprefix('http')}/api/connect"


def is_wildcard(address: IAddress) -> bool:
    """Whether a listener has all addresses of this machine."""
    return (
        isinstance(address, TCP4Address | TCP6Address)
        and ip_address(address.host.partition("%")[0]).is_unspecified
    )


def _is_abstract(name: str | bytes) -> bool:
    return os.fsencode(name).startswith(b"\0")
