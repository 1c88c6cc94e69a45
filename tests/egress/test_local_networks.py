"""Local networks: which addresses are in them, and how large they may be."""

from ipaddress import ip_address, ip_interface

import pytest

from portofcall.egress.local_networks import LocalNetworks


@pytest.mark.parametrize(
    ("interface", "address", "network"),
    [
        ("93.184.216.34/24", "93.184.216.34", "93.184.216.0/24"),
        ("93.184.216.34/24", "93.184.216.255", "93.184.216.0/24"),
        ("93.184.216.34/24", "93.184.217.0", None),
        ("93.184.216.34/32", "93.184.216.34", "93.184.216.34/32"),
        ("93.184.216.34/32", "93.184.216.35", None),
        ("93.184.216.34/4", "93.0.0.1", "93.0.0.0/8"),
        ("93.184.216.34/4", "94.0.0.1", None),
        ("93.184.216.34/0", "8.8.8.8", None),
        ("2606:2800:220:1::34/64", "2606:2800:220:1::", "2606:2800:220:1::/64"),
        ("2606:2800:220:1::34/64", "2606:2800:220:2::", None),
        ("2606:2800:220:1::34/32", "2606:2800:220:ffff::", "2606:2800:220::/48"),
        ("2606:2800:220:1::34/32", "2606:2800:221::", None),
        ("2606:2800:220:1::34/0", "2a00::1", None),
        ("::ffff:93.184.216.34/120", "93.184.216.1", "93.184.216.0/24"),
        ("::ffff:93.184.216.34/64", "93.0.0.1", "93.0.0.0/8"),
        ("64:ff9b::1/96", "64:ff9b::808:808", "64:ff9b::/96"),
        ("172.16.0.1/8", "172.32.0.1", "172.0.0.0/8"),
    ],
)
def test_network_of_an_interface_is_local(interface: str, address: str, network: str | None) -> None:
    """In both families, but for IPv4 no more than a /8 and for IPv6 no more than a /48."""
    row = LocalNetworks.of([ip_interface(interface)]).find_row(ip_address(address))
    assert (None if row is None else str(row.block)) == network


def test_own_address_and_neighbour_are_told_apart() -> None:
    """The peer of a link is a neighbour."""
    local = LocalNetworks.of([ip_interface("93.184.216.34/24")], peers=[ip_interface("91.198.174.192/32")])
    names = {
        text: row.name if (row := local.find_row(ip_address(text))) else None
        for text in ("93.184.216.34", "93.184.216.1", "91.198.174.192", "8.8.8.8")
    }
    assert names == {
        "93.184.216.34": "an address of this machine",
        "93.184.216.1": "in a network of this machine",
        "91.198.174.192": "in a network of this machine",
        "8.8.8.8": None,
    }


def test_networks_that_are_closed_anyway_are_not_kept() -> None:
    """A host of containers has hundreds; a dial does not walk over them."""
    own = [ip_interface(f"172.17.{number}.1/24") for number in range(200)]
    own += [
        ip_interface(text) for text in ("127.0.0.1/8", "fe80::1/64", "fd00::1/64", "10.0.0.5/8", "::1/128")
    ]
    assert LocalNetworks.of(own) == LocalNetworks()


def test_many_addresses_in_one_network_are_one_network() -> None:
    """A machine with all addresses of a /24 is no slower to judge by."""
    local = LocalNetworks.of(ip_interface(f"93.184.216.{last}/24") for last in range(256))
    assert len(local.networks) == 1
    assert len(local.addresses) == 256
