"""Whether clients on other machines can reach a listener, judged from the address that it got."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from typing import Final

from twisted.internet.address import IPv4Address as TCP4Address
from twisted.internet.address import IPv6Address as TCP6Address
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from portofcall.service.endpoint import endpoint_fields
from portofcall.target import Network, unmapped

#: Where the clients of a loopback listener connect from, by IP version (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3).
_LOOPBACK: Final[dict[int, Network]] = {4: ip_network("127.0.0.0/8"), 6: ip_network("::1/128")}
#: What --trust-forwarded calls the clients of a UNIX socket, see `portofcall.access.client_address`.
_UNIX: Final[Network] = ip_network("127.0.0.1/32")


def why_exposed(description: str, host: IAddress, trusted: Sequence[Network]) -> str | None:
    """Say why clients on other machines may reach a listener.

    Loopback and UNIX sockets are private, unless a proxy in front of them serves other machines: that is so
    for ``haproxy:`` endpoints, and where ``--trust-forwarded`` covers the proxy's own address. Every other
    address, of a kind that is not known too, is exposed.

    Args:
        description: the value of ``--listen``.
        host: where it listens.
        trusted: the networks of ``--trust-forwarded``.

    Returns:
        A clause that begins a sentence, or None where the listener is private.
    """
    if "haproxy" in endpoint_fields(description):
        return "the proxy in front of this endpoint makes it reachable from other machines"
    peers = _local_peers(host)
    if peers is None:
        if isinstance(host, TCP4Address | TCP6Address):
            return "this address is reachable from other machines"
        return "this kind of address may be reachable from other machines"
    if any(network.overlaps(peers) for network in trusted):
        return "the proxy that --trust-forwarded covers makes this address reachable from other machines"
    return None


def _local_peers(host: IAddress) -> Network | None:
    """Return where all clients connect from, if they are on this machine; None for every other address."""
    if isinstance(host, UNIXAddress):
        return _UNIX
    if not isinstance(host, TCP4Address | TCP6Address):
        return None
    address = unmapped(ip_address(host.host.partition("%")[0]))
    return _LOOPBACK[address.version] if address.is_loopback else None
