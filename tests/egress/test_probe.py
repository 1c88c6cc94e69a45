"""Ping and banner report their result, and always close the connection."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone

from portofcall.egress.probe import MAX_LINES_BEFORE, Banner, BannerReader, ping, read_banner
from portofcall.errors import BannerTimedOut, Blocked, ClosedEarly, ConnectTimedOut, NotSSH, Refused
from portofcall.target import Target
from portofcall.testing import World
from tests.support import Outcome, make_dialer

PUBLIC = "93.184.215.14"
TARGET = Target.parse(PUBLIC, 22)


def read(data: bytes) -> Banner | None:
    """Read a banner from data that arrives at once."""
    return BannerReader().feed(data)


def test_banner_has_its_parts() -> None:
    """Protocol version, software and comments, as RFC 4253 §4.2 divides them."""
    assert read(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n") == Banner(
        "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", "2.0", "OpenSSH_9.2p1", "Debian-2+deb12u3"
    )


@pytest.mark.parametrize(
    ("line", "software", "comments"),
    [
        (b"SSH-2.0-Go", "Go", ""),
        (b"SSH-1.99-Cisco-1.25", "Cisco-1.25", ""),
        (b"SSH-2.0-libssh_0.9.6 a b  c ", "libssh_0.9.6", "a b  c "),
        (b"SSH-2.0-x caf\xe9 \x1b[31m", "x", r"caf\xe9 \x1b[31m"),
    ],
)
def test_software_of_all_kinds_is_read(line: bytes, software: str, comments: str) -> None:
    """Hyphens in the software, no comments, comments with bytes that no log should print."""
    banner = read(line + b"\n")
    assert banner is not None
    assert (banner.software, banner.comments) == (software, comments)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("before", [b"", b"Welcome\r\nto the jungle\n", b"\n" * MAX_LINES_BEFORE])
@pytest.mark.parametrize("after", [b"", b"\x00\x00\x05\xdc\x06\x14SSH-9.9-no\r\n"])
def test_banner_is_found_between_other_things(before: bytes, end: bytes, after: bytes) -> None:
    """Lines before it are skipped, binary after it is not part of it."""
    banner = read(before + b"SSH-2.0-x" + end + after)
    assert banner is not None
    assert banner.line == "SSH-2.0-x"


@given(cuts=st.sets(st.integers(0, 40)))
def test_banner_that_arrives_in_pieces_is_whole(cuts: set[int]) -> None:
    """Byte by byte or at once, it is the same."""
    data = b"hello\r\nSSH-2.0-dropbear_2022.83\r\n"
    reader = BannerReader()
    edges = [0, *sorted(cut for cut in cuts if 0 < cut < len(data)), len(data)]
    answers = [reader.feed(data[start:end]) for start, end in pairwise(edges)]
    assert answers[-1] is not None
    assert answers[-1].software == "dropbear_2022.83"
    assert not any(answers[:-1])


@pytest.mark.parametrize(
    "data",
    [
        b"x" * 256,
        b"SSH-2.0-" + b"x" * 247 + b"\n",
        b"\n" * (MAX_LINES_BEFORE + 1),
        b"SSH-2.0\r\n",
        b"SSH--x\r\n",
        b"SSH-2.0- x\r\n",
        b"SSH-2.0-x nul\x00\r\n",
    ],
)
def test_what_is_not_ssh_is_refused(data: bytes) -> None:
    """Lines too long or too many, and identifications that are none."""
    with pytest.raises(NotSSH):
        read(data)


def test_longest_line_is_still_read() -> None:
    """255 bytes with the line's end are allowed."""
    banner = read(b"SSH-2.0-" + b"x" * 245 + b"\r\n")
    assert banner is not None
    assert len(banner.line) == 253


class Probe(Outcome):
    """A probe under way, and its result."""

    def __init__(self, world: World, coroutine: Any) -> None:
        super().__init__(coroutine)
        self.backend = world.accept() if world.dialed else None

    @property
    def closed(self) -> bool:
        return self.backend is not None and "close" in self.backend.log


def banner_probe() -> tuple[World, Probe]:
    """Begin to read a banner; the server has accepted."""
    world = World()
    return world, Probe(
        world, read_banner(make_dialer(world), TARGET, client="a", clock=world.reactor, timeout_seconds=3)
    )


def test_ping_gives_the_time_and_closes() -> None:
    """Once open, the connection has done its work."""
    world = World()
    probe = Probe(world, ping(make_dialer(world), TARGET, client="a", timeout_seconds=3))
    assert probe.results == [0.0]
    assert probe.closed


def test_ping_of_a_name_with_many_addresses_makes_eight_attempts() -> None:
    """A small request is no amplifier."""
    world = World(
        names={"many.example.com": [f"93.184.{number // 250}.{number % 250}" for number in range(3000)]}
    )
    target = Target.parse("many.example.com", 22)
    probe = ping(make_dialer(world), target, client="a", timeout_seconds=30)
    results: list[Any] = []
    Deferred.fromCoroutine(probe).addErrback(results.append)
    world.reactor.pump([0.25] * 121)
    assert len(world.dialed) == len(world.given_up) == 8
    assert results[0].check(ConnectTimedOut)


def test_blocked_ping_dials_nothing() -> None:
    """A probe is judged as a tunnel is."""
    world = World(deny=[PUBLIC])
    probe = Probe(world, ping(make_dialer(world), TARGET, client="a", timeout_seconds=3))
    assert probe.results[0].check(Blocked)
    assert world.dialed == []


def test_banner_is_read_and_the_connection_closed() -> None:
    """The whole way, with the line in two pieces."""
    _, probe = banner_probe()
    assert probe.backend is not None
    protocol: Any = probe.backend.protocol
    protocol.dataReceived(b"SSH-2.0-Open")
    assert probe.results == []
    protocol.dataReceived(b"SSH_9\r\nmore")
    protocol.dataReceived(b"and more")
    assert probe.results[0].software == "OpenSSH_9"
    assert probe.closed


def test_silent_server_times_out_and_is_closed() -> None:
    """A server that accepts and says nothing ends in bounded time."""
    world, probe = banner_probe()
    world.reactor.advance(2.9)
    assert probe.results == []
    world.reactor.advance(0.2)
    assert probe.results[0].check(BannerTimedOut)
    assert probe.closed


def test_other_server_is_named_and_closed() -> None:
    """What speaks HTTP or TLS is not SSH."""
    _, probe = banner_probe()
    assert probe.backend is not None
    probe.backend.send(b"\x00" * 300)
    assert probe.results[0].check(NotSSH)
    assert probe.closed


def test_server_that_closes_first_is_named() -> None:
    """EOF before the banner has a slug of its own."""
    _, probe = banner_probe()
    assert probe.backend is not None
    probe.backend.lose(ConnectionDone())
    assert probe.results[0].check(ClosedEarly)


def test_cancelled_probe_is_closed() -> None:
    """A client that hangs up leaves no connection behind."""
    _, probe = banner_probe()
    probe.deferred.cancel()
    assert probe.closed
    assert len(probe.results) == 1


def test_refusal_is_passed_on() -> None:
    """The dialer's errors are the probe's errors."""
    from twisted.internet import error

    world = World()
    results: list[Any] = []
    Deferred.fromCoroutine(ping(make_dialer(world), TARGET, client="a", timeout_seconds=3)).addBoth(
        results.append
    )
    world.refuse(error.ConnectionRefusedError())
    assert results[0].check(Refused)
