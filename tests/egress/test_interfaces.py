"""Interfaces: read from the operating system, not too often, and safe when that fails."""

import socket
from collections import namedtuple
from ipaddress import ip_address, ip_interface, ip_network

import psutil
import pytest

from portofcall.egress.interfaces import MAX_AGE_SECONDS, Interfaces, read_interfaces
from portofcall.egress.local_networks import LocalNetworks
from tests.support import Time

Found = namedtuple("Found", ["family", "address", "netmask", "broadcast", "ptp"])

OLD = LocalNetworks.of([ip_interface("93.184.216.34/24")])
NEW = LocalNetworks.of([ip_interface("91.198.174.192/24")])


class Machine:
    """Interfaces that can change, and fail to be read."""

    def __init__(self, *networks: LocalNetworks | Exception) -> None:
        self.networks = list(networks)
        self.reads = 0

    def read(self) -> LocalNetworks:
        self.reads += 1
        result = self.networks[0] if len(self.networks) == 1 else self.networks.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


def test_interfaces_are_read_at_most_every_few_seconds() -> None:
    """However many dials there are."""
    clock, machine = Time(), Machine(OLD, NEW)
    interfaces = Interfaces(monotonic=clock, read=machine.read)
    assert machine.reads == 1, "before there is any dial"
    for _ in range(1000):
        assert interfaces.networks() == OLD
        clock.now += MAX_AGE_SECONDS / 1001
    assert machine.reads == 1
    clock.now += MAX_AGE_SECONDS
    assert interfaces.networks() == NEW
    assert machine.reads == 2


def test_same_networks_stay_the_same_object() -> None:
    """So that cached results for them are found again."""
    clock, machine = Time(), Machine(LocalNetworks(frozenset(OLD.addresses), frozenset(OLD.networks)), OLD)
    interfaces = Interfaces(monotonic=clock, read=machine.read)
    first = interfaces.networks()
    clock.now += MAX_AGE_SECONDS
    assert interfaces.networks() is first
    assert machine.reads == 2


def test_failure_keeps_what_is_known_and_is_logged_once(logged: list[str]) -> None:
    """Such as "too many open files"; and the next try may succeed."""
    clock, machine = Time(), Machine(OLD, OSError(24, "Too many open files"), OSError(24, "Too many"), NEW)
    interfaces = Interfaces(monotonic=clock, read=machine.read)
    for _ in range(2):
        clock.now += MAX_AGE_SECONDS
        assert interfaces.networks() == OLD
    assert logged == [
        "can't read this machine's interfaces (Too many open files): those known before still count"
    ]
    clock.now += MAX_AGE_SECONDS
    assert interfaces.networks() == NEW


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(97, "Address family not supported by protocol"), "Address family not supported by protocol"),
        (ValueError("'255.0.255.0' is not a mask\n"), r"'255.0.255.0' is not a mask\n"),
    ],
)
def test_nothing_is_known_where_interfaces_can_never_be_read(
    error: Exception, shown: str, logged: list[str]
) -> None:
    """Such as in a sandbox without AF_NETLINK; then nothing is public."""
    clock, machine = Time(), Machine(error)
    assert Interfaces(monotonic=clock, read=machine.read).networks() == LocalNetworks(known=False)
    assert logged == [f"can't read this machine's interfaces ({shown}): nothing is public"]


def test_addresses_masks_and_peers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As psutil reports them: scopes, masks of both families or none, and other families."""
    found = {
        "lo": [Found(socket.AF_INET, "127.0.0.1", "255.0.0.0", None, None)],
        "eth0": [
            Found(socket.AF_INET, "93.184.216.34", "255.255.255.0", "93.184.216.255", None),
            Found(socket.AF_INET6, "2606:2800:220:1::34", "ffff:ffff:ffff:ffff::", None, None),
            Found(socket.AF_INET6, "fe80::1%eth0", "ffff:ffff:ffff:ffff::", None, None),
            Found(socket.AF_PACKET, "02:fc:00:00:00:01", None, "ff:ff:ff:ff:ff:ff", None),
        ],
        "tun0": [
            Found(socket.AF_INET, "198.35.26.96", "255.255.255.255", None, "91.198.174.192"),
            Found(socket.AF_INET6, "2a02:ec80::1", None, None, None),
        ],
        "down0": [Found(socket.AF_UNSPEC, "", None, None, None)],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    assert read_interfaces() == LocalNetworks(
        frozenset(map(ip_address, ("93.184.216.34", "2606:2800:220:1::34", "198.35.26.96", "2a02:ec80::1"))),
        frozenset(
            map(
                ip_network,
                (
                    "93.184.216.0/24",
                    "2606:2800:220:1::/64",
                    "198.35.26.96/32",
                    "91.198.174.192/32",
                    "2a02:ec80::1/128",
                ),
            )
        ),
    )


def test_interfaces_of_this_machine_can_be_read() -> None:
    """Really, whatever they are."""
    assert read_interfaces().known
