"""Names are resolved by the operating system, off the reactor's threads."""

import socket
import threading
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.python.threadpool import ThreadPool

from portofcall.egress import resolver as resolver_module
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
async def test_cancelled_look_ups_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_thousands_of_answers_are_cut_before_they_become_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The number of addresses of a name hardly changes how long the interpreter is held."""
    v4, v6 = ("93.184.0.1", "2606:2800::1")
    texts = [*(str(ip_address(v6) + n) for n in range(3000)), *(str(ip_address(v4) + n) for n in range(3000))]
    answers = [
        (socket.AF_INET6 if ":" in x else socket.AF_INET, socket.SOCK_STREAM, 6, "", (x, 0)) for x in texts
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    made: list[str] = []

    def make(text: str) -> Any:
        made.append(text)
        return ip_address(text)

    monkeypatch.setattr(resolver_module, "ip_address", make)
    found = look_up("many.example.com", hosts=HostsFile(tmp_path / "none"))
    assert len(made) == 16
    assert [str(address) for address in found[:4]] == [texts[0], texts[3000], texts[1], texts[3001]]
    assert len(found) == 16


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


class Threads:
    """Stands in for the thread pool: a look-up runs until `finish`.

    Attributes:
        running: the names of the look-ups that run, in the order of their start.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._found: dict[str, Deferred[Any]] = {}
        monkeypatch.setattr(resolver_module, "deferToThreadPool", self._defer)
        monkeypatch.setattr(ThreadPool, "start", lambda pool: setattr(pool, "started", True))

    @property
    def running(self) -> list[str]:
        return list(self._found)

    def finish(self, name: str) -> None:
        """Let one look-up end."""
        self._found.pop(name).callback([ip_address("192.0.2.7")])

    def _defer(self, reactor: Any, pool: Any, call: Any, name: str) -> Deferred[Any]:
        self._found[name] = Deferred()
        return self._found[name]


def ask(resolver: ThreadedResolver, clients: range | list[str], names: int) -> list[Any]:
    """Look up so many names for each client, one client after the other."""
    return [
        resolver.resolve(f"{name} of {client}", client=str(client))
        for client in clients
        for name in range(names)
    ]


def test_eight_clients_with_stuck_names_delay_no_other_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names they ask for, and in any order, 12 of the 32 threads are left for other clients."""
    for ask_all in (
        lambda resolver: ask(resolver, range(8), names=100),
        lambda resolver: [ask(resolver, range(8), names=1) for _ in range(100)],
    ):
        threads = Threads(monkeypatch)
        resolver = ThreadedResolver(None)
        ask_all(resolver)
        assert len(threads.running) <= 20
        for number in range(12):
            ask(resolver, [f"other {number}"], names=1)
            assert threads.running[-1] == f"0 of other {number}"


def test_it_takes_twenty_clients_to_hold_up_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nineteen are not enough. After twenty the next one gets the first thread that is free."""
    threads = Threads(monkeypatch)
    resolver = ThreadedResolver(None)
    ask(resolver, range(19), names=10)
    assert len(threads.running) == 31
    ask(resolver, ["first", "second"], names=1)
    assert threads.running[31:] == ["0 of first"]
    threads.finish("0 of 0")
    assert threads.running[31:] == ["0 of second"]


def test_first_look_ups_come_before_further_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that is free again goes to a client that has none, however long others have waited."""
    threads = Threads(monkeypatch)
    resolver = ThreadedResolver(None, threads=2, per_client=2)
    ask(resolver, ["a"], names=3)
    assert threads.running == ["0 of a"]
    ask(resolver, ["b", "c"], names=1)
    assert threads.running == ["0 of a", "0 of b"]
    threads.finish("0 of a")
    assert threads.running == ["0 of b", "0 of c"]
    threads.finish("0 of b")
    assert threads.running == ["0 of c", "1 of a"]
    threads.finish("1 of a")
    threads.finish("0 of c")
    assert threads.running == ["2 of a"]


def test_client_has_at_most_four_look_ups_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its others wait, and start in order."""
    threads = Threads(monkeypatch)
    resolver = ThreadedResolver(None)
    ask(resolver, ["a"], names=6)
    assert threads.running == [f"{number} of a" for number in range(4)]
    threads.finish("2 of a")
    assert threads.running[3:] == ["4 of a"]


def test_zero_means_no_limit_per_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the threads that are kept for others."""
    threads = Threads(monkeypatch)
    ask(ThreadedResolver(None, per_client=0), ["a"], names=100)
    assert len(threads.running) == 16


def test_ipv6_clients_are_counted_by_48_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One site has 65,536 networks of 64 bits, and is one client here."""
    threads = Threads(monkeypatch)
    resolver = ThreadedResolver(None)
    ask(resolver, [f"2001:db8:1:{number:x}::/64" for number in range(100)], names=1)
    assert len(threads.running) == 4
    ask(resolver, ["2001:db8:2::/64", "192.0.2.1", "local"], names=1)
    assert threads.running[4:] == ["0 of 2001:db8:2::/64", "0 of 192.0.2.1", "0 of local"]


def test_nothing_is_kept_of_look_ups_that_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of those that were answered nor of those that were cancelled, waiting or under way."""
    threads = Threads(monkeypatch)
    resolver = ThreadedResolver(None)
    answers = ask(resolver, range(40), names=10)
    for answer in answers[::2]:
        answer.addErrback(lambda failure: failure.trap(CancelledError))
        answer.cancel()
    while threads.running:
        threads.finish(threads.running[0])
    assert all(answer.called for answer in answers)
    assert (resolver._clients, resolver._first, resolver._further, resolver._running) == ({}, {}, {}, 0)


def test_cancelled_names_are_dropped_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one look-up hangs, a client that gives up and asks again a million times fills no memory."""
    threads = Threads(monkeypatch)
    resolver = ThreadedResolver(None, per_client=1)
    ask(resolver, ["a"], names=1)
    for _ in range(1000):
        (answer,) = ask(resolver, ["a"], names=1)
        answer.addErrback(lambda failure: failure.trap(CancelledError))
        answer.cancel()
    assert threads.running == ["0 of a"]
    assert len(resolver._clients["a"].waiting) == 0
