"""Names are resolved by the operating system, off the reactor's threads."""

import socket
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, gatherResults

from portofcall.egress.hosts_file import HostsFile
from portofcall.egress.resolver import ThreadedResolver, interleave, look_up


@pytest_twisted.ensureDeferred
async def test_loopback_has_its_addresses() -> None:
    """An answer is a list of addresses, each once."""
    from twisted.internet import reactor

    resolver = ThreadedResolver(reactor)
    addresses = await resolver.resolve("localhost", client="a")
    resolver.stop()
    assert "127.0.0.1" in [str(address) for address in addresses]
    assert len(addresses) == len(set(addresses))


@pytest_twisted.ensureDeferred
async def test_unknown_name_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system's error is passed on."""
    from twisted.internet import reactor

    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    resolver = ThreadedResolver(reactor)
    with pytest.raises(OSError, match="not known"):
        await resolver.resolve("nowhere.example.com", client="a")
    resolver.stop()


class Slow:
    """A getaddrinfo that hangs on names that begin with ``stuck`` until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []

    def __call__(self, name: str, *_: Any, **__: Any) -> Any:
        self.asked.append(name)
        if name.startswith("stuck"):
            assert self.release.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]


@pytest_twisted.ensureDeferred
async def test_stuck_names_of_one_client_do_not_delay_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty names that hang take four threads; and stopping does not wait for them."""
    from twisted.internet import reactor

    slow = Slow()
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = ThreadedResolver(reactor, threads=5, per_client=4)
    stuck = [resolver.resolve(f"stuck{number}", client="a") for number in range(50)]
    assert [str(address) for address in await resolver.resolve("quick", client="b")] == ["192.0.2.7"]
    assert set(slow.asked) <= {"quick.", "stuck0.", "stuck1.", "stuck2.", "stuck3."}
    resolver.stop()
    assert not any(deferred.called for deferred in stuck)
    slow.release.set()
    await gatherResults(stuck)
    assert len(slow.asked) == 51
    resolver.stop()


@pytest_twisted.ensureDeferred
async def test_look_ups_that_nobody_waits_for_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out takes a waiting name out of the queue; a running one counts until its thread is free."""
    from twisted.internet import reactor

    slow = Slow()
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    resolver = ThreadedResolver(reactor, per_client=1)
    running, waiting = (resolver.resolve(f"stuck{number}", client="a") for number in range(2))
    for answer in (running, waiting):
        answer.addErrback(lambda failure: failure.trap(CancelledError))
        answer.cancel()
    last = resolver.resolve("last", client="a")
    slow.release.set()
    assert len(await last) == 1
    assert slow.asked == ["stuck0.", "last."]
    resolver.stop()


@pytest.mark.parametrize(
    ("answer", "used"),
    [
        ("a", "a"),
        ("A B a b", "A a B b"),
        ("a b c A", "a A b c"),
        ("A a b c", "A a b c"),
        ("a b a A b A", "a A b"),
        ("a b c d e f g h i j A B C", "a A b B c C d e f g h"),
    ],
)
def test_families_alternate_and_have_eight_addresses_each(answer: str, used: str) -> None:
    """The family of the first address comes first, each address once. (a: IPv4, A: IPv6.)"""

    def addresses(letters: str) -> list[Any]:
        return [ip_address(f"192.0.2.{ord(x)}" if x.islower() else f"2001:db8::{x}") for x in letters.split()]

    assert interleave(addresses(answer)) == addresses(used)


def test_name_is_resolved_absolutely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a trailing dot, so that resolv.conf's search list does not make another name of it."""
    asked: list[str] = []

    def answer(name: str, *_: Any, **__: Any) -> Any:
        asked.append(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.5 db.example.com\n")
    assert [str(address) for address in look_up("www.example.com", hosts=HostsFile(hosts))] == ["192.0.2.7"]
    assert asked == ["www.example.com."]


def test_name_in_the_hosts_file_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """glibc would skip the file for a name with a trailing dot."""

    def answer(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    hosts = tmp_path / "hosts"
    hosts.write_text("10.0.0.5 db.example.com\n::1 db.example.com\n10.0.0.5 db.example.com\n")
    found = look_up("db.example.com", hosts=HostsFile(hosts))
    assert [str(address) for address in found] == ["10.0.0.5", "::1"]
