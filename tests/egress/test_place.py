"""Places: no more lenient than the standard library, wise to IPv4 in IPv6 and to local networks."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress.address_table import TABLE, Reach
from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.place import Place, locate
from portofcall.target import Address

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


def where(address: Address) -> Place:
    """Look an address up on a machine without any."""
    return locate(address, LocalNetworks())


def carries_ipv4(address: Address) -> bool:
    """Whether the address is judged by those it carries, which ipaddress does only for some forms."""
    return where(address).row.reach is Reach.AS_CARRIED or where(address).address != address


def assert_not_more_lenient(address: Address) -> None:
    """Hold the table against the standard library's opinion on one address."""
    place = where(address)
    # Older Pythons have the whole of 2001::/23 as private; the registry makes an exception for AS112.
    if not place.public or str(place.row.block) in PUBLIC_SPECIAL_BLOCKS:
        return
    for judged in [inner.address for inner in place.carried] if carries_ipv4(address) else [place.address]:
        assert judged.is_global, address
        assert not judged.is_multicast, address


@pytest.mark.parametrize("address", EDGE_ADDRESSES, ids=str)
def test_the_edges_of_the_table_are_no_more_lenient_than_ipaddress(address: Address) -> None:
    """An address that ipaddress calls non-global is not public, on both sides of each edge."""
    assert_not_more_lenient(address)


@given(st.ip_addresses())
def test_no_address_is_more_public_than_ipaddress_has_it(address: Address) -> None:
    """An address that ipaddress calls non-global is not public."""
    assert_not_more_lenient(address)


@given(st.ip_addresses(v=6))
def test_public_ipv6_is_global_unicast_or_carries_ipv4(address: IPv6Address) -> None:
    """Nothing outside of 2000::/3 is public but for IPv4 in disguise."""
    if where(address).public:
        assert int(address) >> 125 == 1 or carries_ipv4(address)


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
    """Every address that a packet may end at is known, in each form."""
    place = where(ip_address(text))
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
    written, plain = where(ip_address(spelling)), where(ip_address(same))
    assert (written.address, written.row, written.carried) == (plain.address, plain.row, plain.carried)
    assert {*plain.keys, (ip_address(spelling).version, int(ip_address(spelling)))} <= set(written.keys)


@pytest.mark.parametrize(
    "text", ["::8.8.8.8", "::ffff:0:8.8.8.8", "2002:808:808::1", "2001:0:808:808::f7f7:f7f7"]
)
def test_transitions_that_are_over_are_closed_with_a_public_address_inside(text: str) -> None:
    """IPv4-compatible, IPv4-translated, 6to4 and Teredo: no host of today is reached by them."""
    place = where(ip_address(text))
    assert place.row.reach is Reach.CLOSED
    assert all(inner.public for inner in place.carried)
    assert not place.public


LOCAL = LocalNetworks.of([ip_interface("93.184.216.34/24"), ip_interface("2606:2800:220:1::34/64")])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("93.184.216.34", "an address of this machine"),
        ("93.184.216.1", "in a network of this machine"),
        ("93.184.217.1", "public"),
        ("2606:2800:220:1::34", "an address of this machine"),
        ("2606:2800:220:1::35", "in a network of this machine"),
        ("2606:2800:220:2::34", "public"),
        ("::ffff:93.184.216.34", "an address of this machine"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "cloud metadata"),
    ],
)
def test_addresses_of_this_machine_and_beside_it_are_not_public(text: str, name: str) -> None:
    """An address that is closed by the table keeps its row."""
    place = locate(ip_address(text), LOCAL)
    assert place.row.name == name
    assert place.public == (name == "public")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("64:ff9b::93.184.216.34", False),
        ("64:ff9b::93.184.217.1", True),
        ("2606:2800:220:9::5efe:93.184.216.1", False),
        ("2606:2800:220:9::5efe:93.184.217.1", True),
    ],
)
def test_address_that_carries_one_of_this_machine_is_not_public(text: str, public: bool) -> None:
    """A packet to it may end there."""
    assert locate(ip_address(text), LOCAL).public is public
