"""What one address is: by the address table, the addresses that it carries, and this machine's networks."""

from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from portofcall.egress.address_table import Reach, Row, carried_addresses, find_row
from portofcall.egress.local_networks import LocalNetworks
from portofcall.target import Address

#: A version (4 or 6) and the address as a number, as blocks are compared with it.
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """One address, as the policy sees it.

    Attributes:
        address: the address that a connection goes to, see `portofcall.target.destination`.
        row: the row that decides: the table's, or that of this machine's networks.
        carried: the addresses that it carries, at any depth: a packet to it may end at each.
        public: whether it and all that it carries are public, and none is local.
        public_elsewhere: the same by the table alone, as on a machine without public addresses.
        keys: the addresses by which a deny rule may name it: as written, its own, and those it carries.
    """

    address: Address
    row: Row
    carried: tuple["Place", ...]
    public: bool
    public_elsewhere: bool
    keys: tuple[Key, ...]


@lru_cache(maxsize=4096)
def locate(address: Address, local: LocalNetworks) -> Place:
    """Look an address up. A scope (``%eth0``) is ignored.

    Args:
        address: as it was written, or as it was resolved.
        local: this machine's networks, which are not public.
    """
    version, number = address.version, int(address)
    row = listed = find_row(address)
    carried = tuple(
        place
        for first in (locate(inner, local) for inner in carried_addresses(address))
        for place in (first, *first.carried)
    )
    if row.reach is Reach.SAME:
        return replace(carried[0], keys=((version, number), *carried[0].keys))
    plain = IPv4Address(number) if version == 4 else IPv6Address(number)
    open_ = listed.reach in (Reach.PUBLIC, Reach.AS_CARRIED)
    if open_:
        row = local.find_row(plain) or listed
    return Place(
        address=plain,
        row=row,
        carried=carried,
        public=open_ and row is listed and all(place.public for place in carried),
        public_elsewhere=open_ and all(place.public_elsewhere for place in carried),
        keys=((version, number), *(key for place in carried for key in place.keys)),
    )
