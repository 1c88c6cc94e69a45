"""The client's address, behind trusted proxies and without."""

from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.access.client_address import client_address, client_key, parse_network
from portofcall.target import Address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", [b"198.51.100.1"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", [b"198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"203.0.113.9", b"198.51.100.1", b"10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", [b"10.0.0.3,\t10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", [b"198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", [b"[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", [b"2001:DB8::1, fd00::1"], "2001:db8::1"),
        ("10.0.0.1", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [b"198.51.100.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"198.51.100.1,"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.01"], "10.0.0.1"),
        ("10.0.0.1", [b"fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", [b"198.51.100.1\xa0"], "10.0.0.1"),
        ("fe80::1%eth0", [b"198.51.100.1"], "fe80::1"),
        (None, [b"198.51.100.1"], "198.51.100.1"),
        (None, [], None),
        ("?", [b"198.51.100.1"], None),
    ],
)
def test_the_client_is_the_rightmost_that_is_not_trusted(
    peer: str | None, forwarded_for: list[bytes], client: str | None
) -> None:
    """What a client writes into the header itself stands further left, and counts for nothing."""
    expected = None if client is None else ip_address(client)
    assert client_address(peer, forwarded_for, PROXIES) == expected


def test_forwarded_addresses_count_only_where_a_proxy_is_trusted() -> None:
    """Off by default, and for a unix socket too unless this machine is trusted."""
    assert client_address("10.0.0.1", [b"198.51.100.1"], []) == IPv4Address("10.0.0.1")
    assert client_address(None, [b"198.51.100.1"], []) is None
    assert client_address(None, [b"198.51.100.1"], PROXIES[:1]) is None


@given(st.ip_addresses(), st.lists(st.binary(max_size=60), max_size=3))
def test_nobody_is_trusted_into_another_address(peer: Address, forwarded_for: list[bytes]) -> None:
    """Who is not a trusted proxy can't choose the address it is counted as."""
    if not any(peer in network for network in PROXIES):
        known = client_address(str(peer), [], [])
        assert client_address(str(peer), forwarded_for, PROXIES) == known


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_clients_are_counted_by_what_is_theirs(address: str, key: str) -> None:
    """Nobody gets a fresh count by another address of the same network."""
    assert client_key(ip_address(address)) == key


def test_clients_of_a_unix_socket_are_counted_together() -> None:
    """They have no address."""
    assert client_key(None) == "local"


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.1", "192.0.2.1/32"),
        ("fd00::/8", "fd00::/8"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_trusted_networks_are_addresses_and_blocks(text: str, network: str) -> None:
    """IPv4 mapped into IPv6 is IPv4 here as well."""
    assert parse_network(text) == ip_network(network)


@pytest.mark.parametrize("text", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "fe80::1%eth0"])
def test_other_trusted_networks_are_told(text: str) -> None:
    """One line says what was expected."""
    with pytest.raises(ValueError, match="expected an address, or a block"):
        parse_network(text)
