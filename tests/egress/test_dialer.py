"""A dial resolves once, judges every answer, and connects to a judged address only."""

from ipaddress import ip_address
from typing import Any

import pytest
from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Protocol

from portofcall.egress.dialer import Dialer
from portofcall.egress.policy import Undecided
from portofcall.errors import (
    Blocked,
    ConnectTimedOut,
    NameNotFound,
    NameTimedOut,
    Refused,
    TargetBusy,
    TargetError,
    Unreachable,
)
from portofcall.limits.values import Limits, Rate
from portofcall.target import Target
from portofcall.testing import World
from tests.support import Outcome, make_dialer

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:220:1::1"


class Dial(Outcome):
    """A dial under way, and its result."""

    def __init__(
        self,
        world: World,
        host: str,
        port: int = 443,
        *,
        timeout_seconds: float | None = None,
        dialer: Dialer | None = None,
        client: str = "192.0.2.1",
    ) -> None:
        coroutine = (dialer or make_dialer(world)).dial(
            Target.parse(host, port), Protocol, client=client, timeout_seconds=timeout_seconds
        )
        super().__init__(coroutine)


def test_literal_address_is_dialled_without_asking_the_resolver() -> None:
    """An address has nothing to resolve."""
    world = World()
    dial = Dial(world, PUBLIC, 22)
    assert world.dialed == [(PUBLIC, 22)]
    world.accept()
    assert str(dial.value.address) == PUBLIC
    assert world.resolver.asked == []


def test_ipv6_literal_is_dialled_in_brackets_or_bare() -> None:
    """Both forms name the same target."""
    world = World()
    Dial(world, f"[{PUBLIC_V6}]")
    Dial(world, PUBLIC_V6)
    assert world.dialed == [(PUBLIC_V6, 443)] * 2


def test_name_is_resolved_once_and_the_answer_is_dialled() -> None:
    """A resolver that changes its mind has no second chance."""
    world = World(names={"example.com": [PUBLIC]})
    Dial(world, "example.com")
    world.resolver.names["example.com"] = ["127.0.0.1"]
    assert world.resolver.asked == ["example.com"]
    assert world.dialed == [(PUBLIC, 443)]


def test_several_addresses_are_tried_one_after_the_other() -> None:
    """Happy eyeballs: the next address gets its chance before the first has timed out."""
    world = World(names={"example.com": [PUBLIC_V6, PUBLIC]})
    dial = Dial(world, "example.com")
    assert world.dialed == [(PUBLIC_V6, 443)]
    world.reactor.advance(0.5)
    assert world.dialed == [(PUBLIC_V6, 443), (PUBLIC, 443)]
    world.accept()
    assert str(dial.value.address) == PUBLIC
    assert world.given_up == [(PUBLIC_V6, 443)], "the loser, and only that"


def test_one_bad_answer_refuses_the_target() -> None:
    """Rebinding by a second address does not help."""
    world = World(names={"example.com": [PUBLIC, "127.0.0.1"]})
    dial = Dial(world, "example.com")
    assert isinstance(dial.error, Blocked)
    assert "127.0.0.1 is loopback" in dial.error.sentence
    assert world.dialed == []


def test_blocked_literal_is_refused_with_its_reason() -> None:
    """The operator's rule, or the table's row, is in the sentence."""
    dial = Dial(World(deny=["93.184.0.0/16"]), PUBLIC)
    assert isinstance(dial.error, Blocked)
    assert "93.184.0.0/16" in dial.error.sentence


def test_denied_name_is_not_even_resolved() -> None:
    """A refusal by the text comes before any DNS query."""
    world = World(deny=["example.com"], names={"example.com": [PUBLIC]})
    assert isinstance(Dial(world, "example.com").error, Blocked)
    assert world.resolver.asked == []


def test_unknown_name_is_not_found() -> None:
    """The sentence names it."""
    error = Dial(World(), "nowhere.example.com").error
    assert isinstance(error, NameNotFound)
    assert "nowhere.example.com" in error.sentence


def test_slow_look_up_times_out() -> None:
    """A look-up takes dns_timeout_seconds at most."""
    world = World(names={"slow.example.com": None})
    dial = Dial(world, "slow.example.com")
    world.reactor.advance(4.9)
    assert dial.results == []
    world.reactor.advance(0.2)
    assert isinstance(dial.error, NameTimedOut)


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (error.ConnectionRefusedError(), Refused),
        (error.TCPTimedOutError(), ConnectTimedOut),
        (error.TimeoutError(), ConnectTimedOut),
        (error.NoRouteError(), Unreachable),
        (error.ConnectError(osError=24, string="Too many open files"), Unreachable),
    ],
)
def test_failed_connection_is_explained(problem: Exception, expected: type[TargetError]) -> None:
    """Each way to fail has its slug, and the sentence names the target."""
    world = World()
    dial = Dial(world, PUBLIC)
    world.refuse(problem)
    assert isinstance(dial.error, expected)
    assert f"{PUBLIC}:443" in dial.error.sentence


@pytest.mark.parametrize("names", [{}, {"example.com": [PUBLIC, PUBLIC_V6]}])
def test_silent_target_times_out(names: dict[str, list[str] | None]) -> None:
    """One address or several: connect_timeout_seconds is for all of it."""
    world = World(names=names)
    dial = Dial(world, "example.com" if names else PUBLIC)
    world.reactor.pump([1.0] * 9)
    assert dial.results == []
    world.reactor.pump([1.0] * 2)
    assert isinstance(dial.error, ConnectTimedOut)
    assert "10 s" in dial.error.sentence


def test_caller_may_ask_for_another_time_limit() -> None:
    """The time limit of a ping replaces connect_timeout_seconds."""
    world = World()
    dial = Dial(world, PUBLIC, timeout_seconds=2)
    world.reactor.advance(2.1)
    assert isinstance(dial.error, ConnectTimedOut)


@pytest.mark.parametrize(("timeout_seconds", "limit"), [(2, 2), (30, 5), (None, 5)])
def test_look_up_has_the_shorter_of_two_time_limits(timeout_seconds: float | None, limit: int) -> None:
    """The caller's can shorten dns_timeout_seconds (here 5) and never lengthen it."""
    world = World(names={"slow.example.com": None}, limits=Limits(dns_timeout_seconds=5))
    dial = Dial(world, "slow.example.com", timeout_seconds=timeout_seconds)
    world.reactor.advance(limit - 0.1)
    assert dial.results == []
    world.reactor.advance(0.1)
    assert isinstance(dial.error, NameTimedOut)
    assert f"within {limit} s" in dial.error.sentence


def test_busy_address_of_two_leaves_the_other() -> None:
    """A name is busy only if all of its addresses are."""
    world = World(names={"example.com": [PUBLIC_V6, PUBLIC]}, limits=Limits(max_per_target=1))
    dialer = make_dialer(world)
    dials = [Dial(world, "example.com", dialer=dialer) for _ in range(3)]
    assert world.dialed == [(PUBLIC_V6, 443), (PUBLIC, 443)]
    assert isinstance(dials[2].error, TargetBusy)
    world.accept()
    assert str(dials[1].value.address) == PUBLIC


def test_address_that_was_only_listed_keeps_its_place_and_its_rate() -> None:
    """The owner of a name can list a target of others, and uses up nothing of it."""
    world = World(
        names={"example.com": [PUBLIC_V6, PUBLIC]},
        limits=Limits(max_per_target=1, rate_per_target=Rate(1, 1)),
    )
    dialer = make_dialer(world)
    Dial(world, "example.com", dialer=dialer)
    Dial(world, PUBLIC, dialer=dialer)
    assert world.dialed == [(PUBLIC_V6, 443), (PUBLIC, 443)]


def test_lease_of_the_winner_is_that_of_the_connection() -> None:
    """The target's place is taken until the lease is released."""
    world = World(limits=Limits(max_per_target=1))
    dialer = make_dialer(world)
    first = Dial(world, PUBLIC, dialer=dialer)
    world.accept()
    assert isinstance(Dial(world, PUBLIC, dialer=dialer).error, TargetBusy)
    first.value.lease.release()
    Dial(world, PUBLIC, dialer=dialer)
    assert world.dialed == [(PUBLIC, 443)] * 2


def test_one_client_can_not_lock_a_target() -> None:
    """Its own limit refuses it, and the next client still gets in."""
    world = World(limits=Limits(max_per_client_target=2, max_per_target=3))
    dialer = make_dialer(world)
    dials = [Dial(world, PUBLIC, dialer=dialer) for _ in range(3)]
    assert isinstance(dials[2].error, TargetBusy)
    assert dials[2].error.close_reason == (
        "target-busy: too many connections from this address to 93.184.215.14:443"
    )
    Dial(world, PUBLIC, dialer=dialer, client="192.0.2.9")
    assert world.dialed == [(PUBLIC, 443)] * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PUBLIC, f"::ffff:{PUBLIC}"),
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "::ffff:0.0.0.0"),
        ("::1", "::"),
    ],
)
def test_spellings_of_one_address_are_counted_together(one: str, other: str) -> None:
    """IPv4-mapped is IPv4, and unspecified is the loopback address that a connection to it reaches."""
    world = World(allow=["public", one, other], limits=Limits(max_per_target=1))
    dialer = make_dialer(world)
    Dial(world, one, dialer=dialer)
    busy = Dial(world, other, dialer=dialer).error
    assert isinstance(busy, TargetBusy)
    assert busy.sentence == f"{Target.parse(one, 443)} has too many connections"


def many_addresses(count: int) -> list[str]:
    """Return this many public addresses."""
    return [str(ip_address("93.184.0.1") + number) for number in range(count)]


def test_name_with_thousands_of_addresses_is_judged_and_dialled_at_eight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The owner of a name decides how many addresses it has, but not the cost of a dial."""
    judged: list[int] = []
    resolved_to = Undecided.resolved_to

    def record(undecided: Undecided, addresses: Any) -> Any:
        judged.append(len(addresses))
        return resolved_to(undecided, addresses)

    monkeypatch.setattr(Undecided, "resolved_to", record)
    world = World(names={"many.example.com": many_addresses(3000)})
    dial = Dial(world, "many.example.com")
    world.reactor.pump([0.1] * 200)
    assert judged == [8]
    assert world.dialed == [(address, 443) for address in many_addresses(8)]
    assert isinstance(dial.error, ConnectTimedOut)
    assert len(world.given_up) == 8


def test_dial_makes_eight_attempts_at_most() -> None:
    """Also where both families have eight addresses; as many of each are tried."""
    v6 = [f"2606:2800:220:1::{number}" for number in range(1, 10)]
    world = World(names={"many.example.com": [*v6, *many_addresses(9)]})
    Dial(world, "many.example.com")
    for _ in range(8):
        world.refuse(error.ConnectionRefusedError())
    expected = [address for pair in zip(v6[:4], many_addresses(4), strict=True) for address in pair]
    assert world.dialed == [(address, 443) for address in expected]


@pytest.mark.parametrize("place", [1, 7, 8])
def test_one_bad_answer_among_those_that_may_be_used_refuses_the_target(place: int) -> None:
    """Beyond the eighth of its family an address is never dialled, so it is not judged either."""
    answers = many_addresses(20)
    answers[place] = "127.0.0.1"
    world = World(names={"many.example.com": answers})
    dial = Dial(world, "many.example.com")
    if place < 8:
        assert isinstance(dial.error, Blocked)
        assert world.dialed == []
    else:
        world.reactor.pump([0.1] * 200)
        assert world.dialed == [(address, 443) for address in many_addresses(8)]


def test_cancelled_dial_is_given_up() -> None:
    """No connection is left behind for a client that is gone."""
    world = World()
    dial = Dial(world, PUBLIC)
    dial.deferred.cancel()
    assert isinstance(dial.error, CancelledError)
    assert world.given_up == [(PUBLIC, 443)]


def test_rtt_is_the_handshake_of_the_winner_alone() -> None:
    """Neither the look-up nor earlier attempts count."""
    world = World(names={"example.com": [PUBLIC_V6, PUBLIC]})
    dial = Dial(world, "example.com")
    world.reactor.advance(0.5)
    world.reactor.advance(0.0125)
    world.accept()
    assert dial.value.rtt_ms == pytest.approx(12.5)
