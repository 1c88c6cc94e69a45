"""This machine's addresses and the networks that they are in: inside the firewall, so never ``public``."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network

from portofcall.egress.address_table import Reach, Row, find_row
from portofcall.target import Address, Network, destination

Interface = IPv4Interface | IPv6Interface

#: A shorter prefix of an interface counts as one of this length: no typing error closes the whole Internet.
SHORTEST_PREFIX = {4: 8, 6: 48}


@dataclass(frozen=True, slots=True)
class LocalNetworks:
    """The addresses of this machine's interfaces, and their networks. Make it with `of`; empty means none.

    A service of this machine, or of its neighbours, is often hidden only by the firewall between them and the
    Internet, and the gateway is behind that.

    Attributes:
        addresses: of this machine, as far as the address table has them as public.
        networks: those in which public addresses are, not shorter than `SHORTEST_PREFIX`.
        known: False if the interfaces could not be read. Then any address may be this machine's.
    """

    addresses: frozenset[Address] = frozenset()
    networks: frozenset[Network] = frozenset()
    known: bool = True

    @classmethod
    def of(cls, own: Iterable[Interface], *, peers: Iterable[Interface] = ()) -> "LocalNetworks":
        """Make it from interfaces.

        Args:
            own: this machine's addresses, with their prefix lengths.
            peers: addresses at the other ends of point-to-point links, with their prefix lengths.
        """
        own = tuple(map(_plain, own))
        networks = frozenset(filter(_matters, map(_network, (*own, *map(_plain, peers)))))
        addresses = (interface.ip for interface in own)
        return cls(frozenset(ip for ip in addresses if any(ip in network for network in networks)), networks)

    def find_row(self, address: Address) -> Row | None:
        """Return a row that says why a public address is not ``public`` here; None if it is not local."""
        if not self.known:
            every = ip_network("0.0.0.0/0" if address.version == 4 else "::/0")
            return Row(every, "maybe this machine's own", "its interfaces can't be read", Reach.CLOSED)
        for network in self.networks:
            if address in network:
                name = "an address" if address in self.addresses else "in a network"
                return Row(network, f"{name} of this machine", str(network), Reach.CLOSED)
        return None


def _plain(interface: Interface) -> Interface:
    """Turn an IPv4-mapped address into the IPv4 address that it is."""
    address = destination(interface.ip)
    if address.version == interface.version:
        return interface
    return ip_interface(f"{address}/{max(interface.network.prefixlen - 96, 0)}")


def _network(interface: Interface) -> Network:
    length = max(interface.network.prefixlen, SHORTEST_PREFIX[interface.version])
    return ip_interface(f"{interface.ip}/{length}").network


def _matters(network: Network) -> bool:
    """Whether an address in it may be public by the table; a hundred bridges of containers are not kept."""
    row = find_row(network[0])
    return row.reach in (Reach.PUBLIC, Reach.AS_CARRIED) or row.block.prefixlen > network.prefixlen
