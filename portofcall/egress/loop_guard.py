"""The gateway's own addresses: no client may make it dial itself."""

import errno
import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from portofcall.target import Address


def is_local(address: Address) -> bool:
    """Tell whether ``address`` is one of this machine's: only those can be bound to.

    Where that can't be tried, for want of a file descriptor say, it is taken for one.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as problem:
        return problem.errno != errno.EADDRNOTAVAIL
    return True


class LoopGuard:
    """Where the gateway listens.

    A gateway that dials itself opens tunnels through its own front door, with itself as the client: past
    what a proxy in front has checked, and each through the one before.

    Args:
        is_local: tells which addresses are meant by a listener on a wildcard.
    """

    def __init__(self, is_local: Callable[[Address], bool] = is_local) -> None:
        self._is_local = is_local
        self._listening: list[tuple[Address, int]] = []

    def add(self, host: str, port: int) -> None:
        """Note that the gateway listens there; a wildcard stands for every address of this machine."""
        self._listening.append((_plain(ip_address(host)), port))

    def discard(self, host: str, port: int) -> None:
        """Note that it listens there no more."""
        self._listening.remove((_plain(ip_address(host)), port))

    def include(self, address: Address, port: int) -> bool:
        """Tell whether a connection to there would reach the gateway."""
        plain = _plain(address)
        return any(
            own_port == port
            # A connection to the unspecified address goes to this machine.
            and (own == plain or plain.is_unspecified or (own.is_unspecified and self._is_local(plain)))
            for own, own_port in self._listening
        )


def _plain(address: Address) -> Address:
    """Turn an IPv4-mapped address into the IPv4 address that it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
