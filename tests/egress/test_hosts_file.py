"""/etc/hosts as glibc reads it, and read again only when it has changed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.egress import hosts_file
from portofcall.egress.hosts_file import HostsFile, parse_hosts
from portofcall.target import Address

FILE = """\
127.0.0.1\tlocalhost
::1 localhost ip6-localhost # loopback
# 10.0.0.1 commented.example
10.20.0.5   db.example.com DB\r
10.20.0.6 db.example.com
10.20.0.5 db.example.com
fe80::1%eth0 router.example
not-an-address nonsense.example
127.1 short.example

10.0.0.9
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A hosts file."""
    file = tmp_path / "hosts"
    file.write_text(FILE)
    return file


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("localhost", ["127.0.0.1", "::1"]),
        ("ip6-localhost", ["::1"]),
        ("db", ["10.20.0.5"]),
        ("db.example.com", ["10.20.0.5", "10.20.0.6"]),
        ("router.example", ["fe80::1"]),
        ("commented.example", []),
        ("nonsense.example", []),
        ("short.example", []),
        ("loopback", []),
        ("10.0.0.9", []),
        ("www.example.com", []),
    ],
)
def test_name_has_the_addresses_of_all_its_lines(path: Path, name: str, addresses: list[str]) -> None:
    """Each once, in order; comments, unknown names and lines without a strict address give none."""
    assert [str(address) for address in HostsFile(path).addresses(name)] == addresses


def test_file_is_parsed_again_only_when_it_has_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dial costs one stat(), and an edit counts at once."""
    parsed: list[int] = []

    def counted(text: str) -> dict[str, list[Address]]:
        parsed.append(len(text))
        return parse_hosts(text)

    monkeypatch.setattr(hosts_file, "parse_hosts", counted)
    hosts = HostsFile(path)
    for _ in range(100):
        hosts.addresses("localhost")
    assert len(parsed) == 1
    new = path.with_name("new")
    new.write_text("192.168.1.1 localhost\n")
    new.rename(path)
    assert [str(address) for address in hosts.addresses("localhost")] == ["192.168.1.1"]
    assert len(parsed) == 2


def test_missing_file_lists_nothing(path: Path) -> None:
    """Also when it disappears later."""
    hosts = HostsFile(path)
    assert hosts.addresses("localhost")
    path.unlink()
    assert not hosts.addresses("localhost")
    path.write_text(FILE)
    assert hosts.addresses("localhost")


def test_unreadable_file_is_an_error_and_not_a_file_without_names(tmp_path: Path) -> None:
    """A name that is listed must not be asked for in DNS instead."""
    with pytest.raises(OSError, match="Is a directory"):
        HostsFile(tmp_path).addresses("localhost")


@given(st.binary())
def test_any_bytes_are_a_hosts_file(content: bytes) -> None:
    """No line of it raises anything."""
    parse_hosts(content.decode("utf-8", errors="replace"))
