"""The gateway's own listeners: no client may make it dial itself."""

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from portofcall.target import Address


def is_local(address: Address) -> bool:
    """Return whether ``address`` is one of this host's (tested by binding).

    If binding cannot be tried, for example because no descriptors are left, assume that it is.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as problem:
        return problem.errno != errno.EADDRNOTAVAIL
    return True


class LoopGuard:
    """The addresses and ports that the gateway listens on.

    A gateway that dials itself becomes its own client: past the checks of a proxy in front, and without end,
    each tunnel inside another one.

    Args:
        is_local: returns whether an address is one of this host's; a listener on a wildcard has them all.
    """

    def __init__(self, is_local: Callable[[Address], bool] = is_local) -> None:
        self._is_local = is_local
        self._listening: list[tuple[Address, int]] = []

    def add(self, host: str, port: int) -> None:
        """Add a listener; a wildcard address stands for every address of this host."""
        self._listening.append((_plain(ip_address(host)), port))

    def discard(self, host: str, port: int) -> None:
        """Remove a listener."""
        self._listening.remove((_plain(ip_address(host)), port))

    def include(self, address: Address, port: int) -> bool:
        """Return whether a connection to ``address`` and ``port`` would reach the gateway."""
        plain = _plain(address)
        return any(
            own_port == port
            # A connection to the unspecified address goes to this host.
            and (own == plain or plain.is_unspecified or (own.is_unspecified and self._is_local(plain)))
            for own, own_port in self._listening
        )


def _plain(address: Address) -> Address:
    """Return the IPv4 address of an IPv4-mapped one, and any other address as it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
