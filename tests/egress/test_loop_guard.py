"""The gateway is never its own target."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from portofcall.egress.loop_guard import LoopGuard, is_local


@pytest.mark.parametrize(
    ("listening", "address", "own"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("::1", "::", True),
        ("0.0.0.0", "192.0.2.1", True),
        ("::", "192.0.2.1", True),
        ("::", "2001:db8::1", True),
        ("0.0.0.0", "198.51.100.1", False),
    ],
)
def test_listening_addresses_are_its_own(listening: str, address: str, own: bool) -> None:
    """A wildcard stands for every address of the host, in either family."""
    mine = {ip_address("192.0.2.1"), ip_address("2001:db8::1")}
    addresses = LoopGuard(is_local=mine.__contains__)
    addresses.add(listening, 8080)
    assert addresses.include(ip_address(address), 8080) is own
    assert not addresses.include(ip_address(address), 8081)
    addresses.discard(listening, 8080)
    assert not addresses.include(ip_address(address), 8080)


def test_host_knows_its_addresses() -> None:
    """Loopback is local, an address for documentation is not."""
    assert is_local(ip_address("127.0.0.1"))
    assert is_local(ip_address("127.5.5.5"))
    assert not is_local(ip_address("192.0.2.1"))


def test_unix_socket_is_found_by_any_path(tmp_path: Path) -> None:
    """Through links too; another one is not, nor is one that is not there."""
    own, other, link = tmp_path / "own", tmp_path / "other", tmp_path / "link"
    own.touch()
    other.touch()
    link.symlink_to(own)
    guard = LoopGuard()
    guard.add_path(str(own))
    paths = (own, link, tmp_path / "." / "own", other, tmp_path / "missing")
    assert [guard.includes_path(str(path)) for path in paths] == [True, True, True, False, False]
    guard.discard_path(str(own))
    assert not guard.includes_path(str(own))
