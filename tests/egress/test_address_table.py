"""The address table: complete, each block once, and the longest decides."""

from ipaddress import ip_address, ip_network

import pytest

from portofcall.egress.address_table import TABLE, Reach, find_row

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


def test_no_row_stands_twice() -> None:
    """Each block has one row, so that the order of the table means nothing."""
    assert len({row.block for row in TABLE}) == len(TABLE)


@pytest.mark.parametrize("block", REGISTRIES.split())
def test_every_registered_block_is_in_the_table(block: str) -> None:
    """The ends of each block of the registries are special, and public only if that was decided."""
    network = ip_network(block)
    for address in (network[0], network[-1]):
        row = find_row(address)
        assert row.block.prefixlen >= network.prefixlen
        assert (row.reach is Reach.PUBLIC) == (block in PUBLIC_SPECIAL_BLOCKS)


def test_every_row_has_a_name_and_a_source() -> None:
    """A reason always has a description and its source: an RFC, or the cloud that serves there."""
    for row in TABLE:
        assert row.name
        assert row.source.startswith("RFC ") or row.reach is Reach.METADATA


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "this host"),
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
        ("::ffff:10.0.0.1", "IPv4-mapped"),
        ("2001::1", "Teredo"),
        ("2001:1::", "for IETF protocols"),
        ("4000::", "not assigned"),
        ("2606:2800::", "public"),
    ],
)
def test_the_most_specific_row_decides(text: str, name: str) -> None:
    """An address in several blocks goes by the smallest of them."""
    assert find_row(ip_address(text)).name == name
