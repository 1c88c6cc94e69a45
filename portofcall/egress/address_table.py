"""What an IP address is: a table with one row per special block, each with its source.

The rows are the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), the multicast and
the reserved ranges, and the metadata addresses of clouds. The row with the longest matching block decides.
Two decisions go beyond the registries: anycast addresses that reach a device of the *nearest* network (PCP,
TURN, DNS-SD, AMT, 6to4 relay) are not public although they are globally reachable; nor are identifiers that
are not locators (ORCHIDv2, DRIP).

An IPv6 address may carry an IPv4 address, and a packet to the one then ends at the other: such an address is
never more public than the one it carries. The network-specific NAT64 prefixes of RFC 6052 look like any other
public address; only a deny rule can close those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from portofcall.target import Address, destination

_BITS = {4: 32, 6: 128}
_LOW_32 = 0xFFFF_FFFF


class Reach(Enum):
    """From where a block is reachable."""

    PUBLIC = auto()  #: the Internet
    CLOSED = auto()  #: this host, this network, or nothing
    METADATA = auto()  #: credentials in a cloud: closed, and only a rule for exactly this address opens it
    AS_CARRIED = auto()  #: as public as the IPv4 addresses that it carries
    SAME = auto()  #: another spelling of the address that it carries


def _nothing(number: int) -> tuple[Address, ...]:
    return ()


def _last_32_bits(number: int) -> tuple[Address, ...]:
    return (IPv4Address(number & _LOW_32),)


def _of_6to4(number: int) -> tuple[Address, ...]:
    return (IPv4Address(number >> 80 & _LOW_32),)


def _of_teredo(number: int) -> tuple[Address, ...]:
    return IPv4Address(~number & _LOW_32), IPv4Address(number >> 64 & _LOW_32)  # client, server


def _of_local_nat64(number: int) -> tuple[Address, ...]:
    """Each reading of RFC 6052 section 2.2 that leaves the octet "u" and the suffix zero."""
    octets = number.to_bytes(16, "big")
    joined = octets[:8] + octets[9:]
    starts = [start for start in (6, 7, 8) if not octets[8] and not any(joined[start + 4 :])]
    readings = [reading for reading in (*(joined[at : at + 4] for at in starts), octets[12:]) if any(reading)]
    return tuple(map(IPv4Address, readings or [octets[12:]]))


@dataclass(frozen=True, slots=True)
class Row:
    """One block of the table.

    Attributes:
        block: the addresses.
        name: a description that follows "is".
        source: the document that defines the block.
        reach: from where they are reachable.
        carried: from an address as a number to the addresses that it carries.
    """

    block: IPv4Network | IPv6Network
    name: str
    source: str
    reach: Reach
    carried: Callable[[int], tuple[Address, ...]] = _nothing


def _rows(
    reach: Reach, *rows: tuple[str, str, str], carried: Callable[[int], tuple[Address, ...]] = _nothing
) -> tuple[Row, ...]:
    return tuple(Row(ip_network(block), name, source, reach, carried) for block, name, source in rows)


TABLE: tuple[Row, ...] = (
    *_rows(
        Reach.PUBLIC,
        ("0.0.0.0/0", "public", "RFC 791"),
        ("192.31.196.0/24", "an AS112 name server", "RFC 7535"),
        ("192.175.48.0/24", "an AS112 name server", "RFC 7534"),
        ("2000::/3", "public", "RFC 4291 section 2.5.4"),
        ("2001:4:112::/48", "an AS112 name server", "RFC 7535"),
        ("2620:4f:8000::/48", "an AS112 name server", "RFC 7534"),
    ),
    *_rows(
        Reach.CLOSED,
        ("0.0.0.0/8", "this network", "RFC 791 section 3.2"),
        ("10.0.0.0/8", "private", "RFC 1918"),
        ("100.64.0.0/10", "shared address space", "RFC 6598"),
        ("127.0.0.0/8", "loopback", "RFC 1122 section 3.2.1.3"),
        ("169.254.0.0/16", "link-local", "RFC 3927"),
        ("172.16.0.0/12", "private", "RFC 1918"),
        ("192.0.0.0/24", "for IETF protocols", "RFC 6890 section 2.1"),
        ("192.0.0.0/29", "for IPv4 service continuity", "RFC 7335"),
        ("192.0.0.8/32", "the IPv4 dummy address", "RFC 7600"),
        ("192.0.0.9/32", "the nearest port control server", "RFC 7723"),
        ("192.0.0.10/32", "the nearest TURN server", "RFC 8155"),
        ("192.0.0.170/32", "for NAT64 discovery", "RFC 7050 section 2.2"),
        ("192.0.0.171/32", "for NAT64 discovery", "RFC 7050 section 2.2"),
        ("192.0.2.0/24", "for documentation", "RFC 5737"),
        ("192.52.193.0/24", "the nearest multicast relay", "RFC 7450"),
        ("192.88.99.0/24", "the nearest 6to4 relay", "RFC 7526"),
        ("192.88.99.2/32", "the nearest 6a44 relay", "RFC 6751"),
        ("192.168.0.0/16", "private", "RFC 1918"),
        ("198.18.0.0/15", "for benchmarking", "RFC 2544"),
        ("198.51.100.0/24", "for documentation", "RFC 5737"),
        ("203.0.113.0/24", "for documentation", "RFC 5737"),
        ("224.0.0.0/4", "multicast", "RFC 5771"),
        ("240.0.0.0/4", "reserved", "RFC 1112 section 4"),
        ("255.255.255.255/32", "broadcast", "RFC 919 section 7"),
        ("::/0", "not assigned", "RFC 4291 section 4"),
        ("::1/128", "loopback", "RFC 4291 section 2.5.3"),
        ("100::/64", "discarded", "RFC 6666"),
        ("100:0:0:1::/64", "the IPv6 dummy prefix", "RFC 9780"),
        ("2001::/23", "for IETF protocols", "RFC 2928"),
        ("2001:1::1/128", "the nearest port control server", "RFC 7723"),
        ("2001:1::2/128", "the nearest TURN server", "RFC 8155"),
        ("2001:1::3/128", "the nearest DNS-SD registrar", "RFC 9665"),
        ("2001:2::/48", "for benchmarking", "RFC 5180"),
        ("2001:3::/32", "the nearest multicast relay", "RFC 7450"),
        ("2001:10::/28", "an ORCHID identifier", "RFC 4843"),
        ("2001:20::/28", "an ORCHIDv2 identifier", "RFC 7343"),
        ("2001:30::/28", "a drone's identifier", "RFC 9374"),
        ("2001:db8::/32", "for documentation", "RFC 3849"),
        ("3ffe::/16", "of the closed 6bone", "RFC 3701"),
        ("3fff::/20", "for documentation", "RFC 9637"),
        ("5f00::/16", "a segment routing identifier", "RFC 9602"),
        ("fc00::/7", "private", "RFC 4193"),
        ("fe80::/10", "link-local", "RFC 4291 section 2.5.6"),
        ("fec0::/10", "site-local", "RFC 3879"),
        ("ff00::/8", "multicast", "RFC 4291 section 2.7"),
    ),
    *_rows(
        Reach.METADATA,
        ("169.254.169.254/32", "cloud metadata", "AWS, Azure, Google Cloud"),
        ("169.254.170.2/32", "cloud credentials", "AWS ECS"),
        ("169.254.170.23/32", "cloud credentials", "AWS EKS"),
        ("169.254.0.23/32", "cloud metadata", "Tencent Cloud"),
        ("169.254.10.10/32", "cloud metadata", "Tencent Cloud"),
        ("169.254.42.42/32", "cloud metadata", "Scaleway"),
        ("168.63.129.16/32", "the wire server", "Azure"),
        ("100.100.100.200/32", "cloud metadata", "Alibaba Cloud"),
        ("192.0.0.192/32", "cloud metadata", "Oracle Cloud Classic"),
        ("fd00:ec2::254/128", "cloud metadata", "AWS"),
        ("fd00:ec2::23/128", "cloud credentials", "AWS EKS"),
        ("fd20:ce::254/128", "cloud metadata", "Google Cloud"),
        ("fd00:c1::a9fe:a9fe/128", "cloud metadata", "Oracle Cloud"),
        ("fd00:42::42/128", "cloud metadata", "Scaleway"),
        ("fd00:a9fe:a9fe::1/128", "cloud metadata", "Akamai"),
        ("fd00:100::100:200/128", "cloud metadata", "Alibaba Cloud"),
        ("fe80::a9fe:a9fe/128", "cloud metadata", "OpenStack"),
    ),
    *_rows(
        Reach.SAME,
        ("0.0.0.0/32", "this host", "RFC 1122 section 3.2.1.3"),
        carried=lambda number: (destination(IPv4Address(number)),),
    ),
    *_rows(
        Reach.SAME,
        ("::/128", "this host", "RFC 4291 section 2.5.2"),
        ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291 section 2.5.5.2"),
        carried=lambda number: (destination(IPv6Address(number)),),
    ),
    *_rows(Reach.AS_CARRIED, ("64:ff9b::/96", "NAT64", "RFC 6052"), carried=_last_32_bits),
    # Transitions that are over: today such an address is a mistake, or an attempt to get past a filter.
    *_rows(
        Reach.CLOSED,
        ("::/96", "IPv4-compatible", "RFC 4291 section 2.5.5.1"),
        ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 section 2.1"),
        carried=_last_32_bits,
    ),
    *_rows(Reach.CLOSED, ("2002::/16", "6to4", "RFC 3056"), carried=_of_6to4),
    *_rows(Reach.CLOSED, ("2001::/32", "Teredo", "RFC 4380"), carried=_of_teredo),
    *_rows(Reach.CLOSED, ("64:ff9b:1::/48", "local NAT64", "RFC 8215"), carried=_of_local_nat64),
)


def _ladder(version: int) -> tuple[tuple[int, dict[int, Row]], ...]:
    """Group the rows by prefix length, longest first: one dictionary look-up per length in the table."""
    bits = _BITS[version]
    rows = [row for row in TABLE if row.block.version == version]
    shifts = sorted({bits - row.block.prefixlen for row in rows})
    return tuple(
        (shift, {int(row.block[0]) >> shift: row for row in rows if bits - row.block.prefixlen == shift})
        for shift in shifts
    )


_LADDERS = {version: _ladder(version) for version in _BITS}


def find_row(address: Address) -> Row:
    """Return the row of the longest block that has this address in it."""
    version, number = address.version, int(address)
    return next(rows[number >> shift] for shift, rows in _LADDERS[version] if number >> shift in rows)


def carried_addresses(address: Address) -> tuple[Address, ...]:
    """Return the addresses that this one carries: in its row's way, and as ISATAP in any row."""
    carried = find_row(address).carried(int(address))
    # ISATAP (RFC 5214 section 6.1) is an interface identifier, in any /64; its bits "u" and "g" vary.
    if address.version == 6 and int(address) >> 32 & 0xFCFF_FFFF == 0x5EFE:
        carried += _last_32_bits(int(address))
    return carried
