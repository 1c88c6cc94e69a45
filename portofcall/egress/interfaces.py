"""This machine's network interfaces, as the operating system reports them."""

import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_interface

import psutil
from twisted.logger import Logger

from portofcall.egress.local_networks import Interface, LocalNetworks
from portofcall.errors import printable

#: How old the answer may be: reading takes 0.1 ms and more, and addresses change seldom.
MAX_AGE_SECONDS = 5


def read_interfaces() -> LocalNetworks:
    """Read the addresses of all interfaces, and their peers' on point-to-point links.

    Raises:
        OSError: that takes a netlink socket, so a file descriptor, and AF_NETLINK allowed in a sandbox.
        ValueError: an address, mask or name is not what it should be.
    """
    own: list[Interface] = []
    peers: list[Interface] = []
    for addresses in psutil.net_if_addrs().values():
        for found in addresses:
            if found.family in (socket.AF_INET, socket.AF_INET6):
                own.append(_interface(found.address, found.netmask))
                if found.ptp:
                    peers.append(_interface(found.ptp, found.netmask))
    return LocalNetworks.of(own, peers=peers)


class Interfaces:
    """This machine's networks: read at once, and again when they are asked for and too old.

    When they can't be read, those that were read last still count. If there are none yet, any address may be
    this machine's, so that nothing is ``public``.

    Args:
        monotonic: a clock in seconds that never jumps.
        read: reads the interfaces.
    """

    _log = Logger()

    def __init__(
        self, *, monotonic: Callable[[], float], read: Callable[[], LocalNetworks] = read_interfaces
    ) -> None:
        self._monotonic = monotonic
        self._read = read
        self._networks = LocalNetworks(known=False)
        self._failing = False
        self._refresh()

    def networks(self) -> LocalNetworks:
        """Return the networks, at most `MAX_AGE_SECONDS` old."""
        if self._monotonic() - self._read_at >= MAX_AGE_SECONDS:
            self._refresh()
        return self._networks

    def _refresh(self) -> None:
        self._read_at = self._monotonic()
        try:
            networks = self._read()
        except (OSError, ValueError) as error:
            if not self._failing:
                self._log.error(
                    "can't read this machine's interfaces ({error}): {consequence}",
                    error=getattr(error, "strerror", None) or printable(str(error)),
                    consequence="those known before still count"
                    if self._networks.known
                    else "nothing is public",
                )
            self._failing = True
            return
        self._failing = False
        # What stays the same stays the same object, which is quicker to compare.
        if networks != self._networks:
            self._networks = networks


def _interface(address: str, netmask: str | None) -> Interface:
    """Make an interface of the texts of an address and its mask; without mask it is alone in its network."""
    bare = address.partition("%")[0]
    if netmask is None:
        return ip_interface(bare)
    return ip_interface(f"{bare}/{int(IPv6Address(netmask)).bit_count() if ':' in netmask else netmask}")
