"""The address of a client, behind trusted proxies, and the key under which it is counted."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

from portofcall.target import Address, Network, unmapped

#: RFC 4291 section 2.5.1: the rest of an address is chosen by the client's network.
_IPV6_CLIENT_PREFIX = 64
#: The number of parsed addresses that are cached.
_REMEMBERED = 1024
_LOOPBACK = IPv4Address("127.0.0.1")

#: An address as proxies write it; some add a port.
_HOP = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}|(?P<bare>[0-9A-Fa-f:.]+)"
)


def parse_network(text: str) -> Network:
    """Parse a network of trusted proxies.

    Args:
        text: an address, or a block such as ``10.0.0.0/8`` without host bits.

    Raises:
        ValueError: the message says what was expected.
    """
    try:
        network = ip_network(text if "%" not in text else "")
    except ValueError:
        raise ValueError(
            "expected an address, or a block such as 10.0.0.0/8 or fd00::/8 without host bits"
        ) from None
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))


def client_address(
    peer: str | None, forwarded_for: Sequence[bytes], trusted: Sequence[Network]
) -> Address | None:
    """Return the client's address, behind trusted proxies.

    Each proxy appends the address of its own client, so the header is read from the right, and only as far
    as the proxies that wrote it are trusted. An entry that is not an address ends the walk at the one before.

    Args:
        peer: the address of the connection's other end; None for a unix socket, which is trusted where
            127.0.0.1 is.
        forwarded_for: the values of X-Forwarded-For.
        trusted: the networks of trusted proxies, see `parse_network`. If empty, the header is ignored.

    Returns:
        The rightmost address that is not trusted, or the last valid one if all are. IPv4 mapped into IPv6 is
        IPv4. None for a unix socket, and for a peer that is not an IP address.
    """
    client = None if peer is None else _hop(peer.partition("%")[0])
    if client is None and peer is not None:
        return None
    hops = [hop for value in forwarded_for for hop in value.decode("latin-1").split(",")]
    while hops and is_trusted(client, trusted):
        hop = _hop(hops.pop().strip(" \t"))
        if hop is None:
            break
        client = hop
    return client


def is_trusted(address: Address | None, trusted: Sequence[Network]) -> bool:
    """Whether an address is that of a trusted proxy; None for a unix socket, as in `client_address`."""
    return any((_LOOPBACK if address is None else address) in network for network in trusted)


@lru_cache(_REMEMBERED)
def _hop(text: str) -> Address | None:
    match = _HOP.fullmatch(text)
    if match is None:
        return None
    try:
        return unmapped(ip_address(match["v6"] or match["v4"] or match["bare"]))
    except ValueError:
        return None


@lru_cache(_REMEMBERED)
def client_key(address: Address | None) -> str:
    """Return the key under which a client is counted.

    Args:
        address: see `client_address`.

    Returns:
        The IPv4 address; the IPv6 /64, because a client with one address of it can use all of them;
        ``local`` for a unix socket.
    """
    if address is None:
        return "local"
    plain = unmapped(address)
    if isinstance(plain, IPv4Address):
        return str(plain)
    return str(IPv6Network((plain, _IPV6_CLIENT_PREFIX), strict=False))
