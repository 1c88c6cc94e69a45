"""The address table: complete, no more lenient than the standard library, and wise to IPv4 inside IPv6."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.address_table import TABLE, Reach, locate
from portofcall.target import Address

#: Every block of the IANA registries as of October 2025, for the look-up of forgotten ones.
REGISTRIES = """
    0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.0.0/29 192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24
    192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
    ::1/128 ::/128 ::ffff:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/23 2001::/32
    2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28
    2001:20::/28 2001:30::/28 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10
"""
#: The special blocks that stay public: the AS112 name servers answer for everyone.
PUBLIC_SPECIAL_BLOCKS = {"192.31.196.0/24", "192.175.48.0/24", "2001:4:112::/48", "2620:4f:8000::/48"}

#: First and last address of each row, and their neighbours: where a mistake in a table shows.
EDGES = sorted(
    {
        (row.block.version, number)
        for row in TABLE
        for edge in (row.block[0], row.block[-1])
        for number in (int(edge) - 1, int(edge), int(edge) + 1)
        if 0 <= number < 2**row.block.max_prefixlen
    }
)
EDGE_ADDRESSES = [IPv4Address(number) if version == 4 else IPv6Address(number) for version, number in EDGES]


def carries_ipv4(address: Address) -> bool:
    """Whether the address is judged by what it carries, which ipaddress does only for some forms."""
    return locate(address).row.reach is Reach.AS_CARRIED or locate(address).address != address


def assert_not_more_lenient(address: Address) -> None:
    """Hold the table against the standard library's opinion on one address."""
    place = locate(address)
    # Older Pythons have the whole of 2001::/23 as private; the registry makes an exception for AS112.
    if not place.public or str(place.row.block) in PUBLIC_SPECIAL_BLOCKS:
        return
    for judged in [inner.address for inner in place.carried] if carries_ipv4(address) else [place.address]:
        assert judged.is_global, address
        assert not judged.is_multicast, address


def test_no_row_stands_twice() -> None:
    """Each block has one row, so that the order of the table means nothing."""
    assert len({row.block for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("block", REGISTRIES.split())
def test_every_registered_block_is_in_the_table(block: str) -> None:
    """The ends of each block of the registries are special, and public only if that was decided."""
    network = ip_network(block)
    for address in (network[0], network[-1]):
        place = locate(address)
        assert place.row.block.prefixlen >= network.prefixlen or place.address != address
        assert place.public == (block in PUBLIC_SPECIAL_BLOCKS) or carries_ipv4(address)


def test_every_row_has_a_name_and_a_source() -> None:
    """A reason can always say what an address is and who says so: an RFC, or the cloud that serves there."""
    for row in TABLE:
        assert row.name
        assert row.source.startswith("RFC ") or row.reach is Reach.METADATA


@pytest.mark.parametrize("address", EDGE_ADDRESSES, ids=str)
def test_the_edges_of_the_table_are_no_more_lenient_than_ipaddress(address: Address) -> None:
    """What ipaddress calls non-global is not public, at both sides of each edge."""
    assert_not_more_lenient(address)


@given(st.ip_addresses())
def test_no_address_is_more_public_than_ipaddress_has_it(address: Address) -> None:
    """What ipaddress calls non-global is not public, wherever it lies."""
    assert_not_more_lenient(address)


@given(st.ip_addresses(v=6))
def test_public_ipv6_is_global_unicast_or_carries_ipv4(address: IPv6Address) -> None:
    """Nothing outside of 2000::/3 is public but for IPv4 in disguise."""
    if locate(address).public:
        assert int(address) >> 125 == 1 or carries_ipv4(address)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("0.0.0.1", "this network"),
        ("255.255.255.255", "broadcast"),
        ("255.255.255.254", "reserved"),
        ("169.254.169.254", "cloud metadata"),
        ("169.254.169.253", "link-local"),
        ("168.63.129.16", "the wire server"),
        ("168.63.129.17", "public"),
        ("192.0.0.192", "cloud metadata"),
        ("192.0.0.8", "the IPv4 dummy address"),
        ("fd00:ec2::254", "cloud metadata"),
        ("fd00:ec2::253", "private"),
        ("fe80::a9fe:a9fe%eth0", "cloud metadata"),
        ("fec0::1", "site-local"),
        ("::1", "loopback"),
        ("::2", "IPv4-compatible"),
        ("::ffff:10.0.0.1", "private"),
        ("2001::1", "Teredo"),
        ("2001:1::", "for IETF protocols"),
        ("4000::", "not assigned"),
        ("2606:2800::", "public"),
    ],
)
def test_the_most_specific_row_decides(text: str, name: str) -> None:
    """An address in several blocks goes by the smallest of them."""
    assert locate(ip_address(text)).row.name == name


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        ("::10.1.2.3", ["10.1.2.3"]),
        ("::ffff:0:10.1.2.3", ["10.1.2.3"]),
        ("64:ff9b::10.1.2.3", ["10.1.2.3"]),
        ("64:ff9b:1::10.1.2.3", ["10.1.2.3"]),
        ("64:ff9b:1:c000:2:2100::", ["192.0.2.33", "0.2.33.0", "2.33.0.0"]),  # RFC 6052 section 2.4, 48 bits
        ("64:ff9b:1:ffff:c0:2:2100:0", ["192.0.2.33", "33.0.0.0"]),
        ("64:ff9b:1::", ["127.0.0.1"]),
        ("2002:a01:203::1", ["10.1.2.3"]),
        ("2001:0:102:304::f5fe:fdfc", ["10.1.2.3", "1.2.3.4"]),
        ("2606:2800::5efe:10.1.2.3", ["10.1.2.3"]),
        ("2606:2800::200:5efe:10.1.2.3", ["10.1.2.3"]),
        ("2606:2800::300:5efe:10.1.2.3", ["10.1.2.3"]),
        ("2002:102:304::5efe:10.1.2.3", ["1.2.3.4", "10.1.2.3"]),
        ("0.0.0.0", []),
        ("::", []),
        ("64:ff9b::", ["127.0.0.1"]),
        ("::ffff:10.1.2.3", []),
        ("2606:2800::10.1.2.3", []),
    ],
)
def test_carried_addresses_are_found(text: str, carried: list[str]) -> None:
    """Every address that a packet may end at is known, wherever the form puts it."""
    place = locate(ip_address(text))
    assert sorted(str(inner.address) for inner in place.carried) == sorted(carried)


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::ffff:93.184.216.34", "93.184.216.34"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("::ffff:0.0.0.0", "127.0.0.1"),
    ],
)
def test_another_spelling_is_judged_as_the_address_that_it_is(spelling: str, same: str) -> None:
    """IPv4-mapped as IPv4, unspecified as loopback; but a rule can still name it as it was written."""
    written, plain = locate(ip_address(spelling)), locate(ip_address(same))
    assert (written.address, written.row, written.carried) == (plain.address, plain.row, plain.carried)
    assert {*plain.keys, (ip_address(spelling).version, int(ip_address(spelling)))} <= set(written.keys)


@pytest.mark.parametrize(
    "text", ["::8.8.8.8", "::ffff:0:8.8.8.8", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7"]
)
def test_transitions_that_are_over_are_closed_with_a_public_address_inside(text: str) -> None:
    """IPv4-compatible, IPv4-translated, 6to4 and Teredo: no host of today is reached by them."""
    place = locate(ip_address(text))
    assert place.row.reach is Reach.CLOSED
    assert all(inner.public for inner in place.carried)
    assert not place.public
