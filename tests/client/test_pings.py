"""Pings through the gateway's API, and what is printed of them."""

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError

from portofcall.client.api import banner, ping
from portofcall.client.pings import Pings
from portofcall.client.problem import Problem, Status
from portofcall.target import TargetName
from portofcall.testing import FakeTransport, World
from tests.client.support import TARGET, Pair, result


class Pinging(Pair):
    """A series of pings in memory."""

    def __init__(self, *, as_json: bool = False, count: int | None = 2) -> None:
        super().__init__()
        self.printed: list[str] = []
        self.pings = Pings(TARGET, as_json=as_json, write=self.printed.append)
        self.done: Deferred[Any] = Deferred.fromCoroutine(
            self.pings.run(self.opener, self.reactor, count=count, interval_seconds=1)
        )

    def answer(self) -> None:
        """Let one ping be answered after 2.5 ms."""
        self.accept()
        self.world.reactor.advance(0.0025)
        self.world.accept()
        self.exchange()

    def refuse(self) -> None:
        """Let the target refuse one."""
        self.accept()
        self.world.refuse(ConnectionRefusedError())
        self.exchange()


def test_pings_are_printed_as_they_come() -> None:
    """Each with its time, and then the figures of all."""
    pinging = Pinging()
    pinging.answer()
    pinging.reactor.advance(1)
    pinging.answer()
    assert pinging.done.called
    pinging.pings.summarize()
    address = "93.184.215.14:22"
    assert pinging.printed == [
        f"PING {address} through ws://192.0.2.2:8080\n",
        f"{address}: seq=1 time=2.50 ms\n",
        f"{address}: seq=2 time=2.50 ms\n",
        f"\n--- {address} ---\n2 pings, 2 answered, 0% loss\n",
        "rtt min/avg/max/mdev = 2.500/2.500/2.500/0.000 ms\n",
    ]


def test_pings_as_json() -> None:
    """One object for each, and one for all."""
    pinging = Pinging(as_json=True)
    pinging.answer()
    pinging.reactor.advance(1)
    pinging.refuse()
    assert result(pinging.done) is None
    pinging.pings.summarize()
    first, second, summary = (json.loads(line) for line in pinging.printed)
    assert first == {"seq": 1, "rtt": 2.5}
    assert (second["seq"], second["code"]) == (2, "refused")
    figures = {"min": 2.5, "avg": 2.5, "max": 2.5, "mdev": 0.0}
    assert summary == {"sent": 2, "answered": 1, "loss_percent": 50.0, "rtt": figures}


def test_a_target_that_never_answers_is_a_problem_at_the_end() -> None:
    """After all pings: the next may do better."""
    pinging = Pinging()
    pinging.refuse()
    assert not pinging.done.called
    pinging.reactor.advance(1)
    pinging.refuse()
    assert result(pinging.done).status is Status.TARGET
    pinging.pings.summarize()
    assert pinging.printed[-1].endswith("2 pings, 0 answered, 100% loss\n")


def test_a_gateway_that_refuses_ends_the_pings() -> None:
    """The next would fare no better."""
    pinging = Pinging(count=None)
    pinging.accept_and_send(b"HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
    assert result(pinging.done).status is Status.AUTHENTICATION


def test_an_interrupted_ping_does_not_count() -> None:
    """Nobody knows what would have come of it."""
    pinging = Pinging(count=None)
    pinging.answer()
    pinging.reactor.advance(1)
    pinging.done.cancel()
    pinging.done.addErrback(lambda _: None)
    pinging.pings.summarize()
    assert "1 pings, 1 answered" in pinging.printed[-2]


def test_the_summary_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """At once, also without any ping."""
    Pings(TARGET, as_json=True).summarize()
    assert json.loads(capsys.readouterr().out) == {"sent": 0, "answered": 0, "loss_percent": 0.0}


def test_a_banner() -> None:
    """The gateway's fields."""
    pair = Pair()
    asking = Deferred.fromCoroutine(banner(pair.opener, TARGET))
    pair.accept()
    pair.world.accept().send(b"SSH-2.0-OpenSSH_9.2 Debian\r\n")
    pair.exchange()
    assert result(asking)["software"] == "OpenSSH_9.2"


def test_a_named_target_is_asked_for_by_its_name() -> None:
    """As for a tunnel."""
    pair = Pair(World(targets=["db=192.0.2.7:5432"]))
    asking = Deferred.fromCoroutine(ping(pair.opener, TargetName.parse("db")))
    pair.accept()
    pair.world.accept()
    pair.exchange()
    assert result(asking) >= 0


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"rtt": "x", "banner": 1}'])
def test_another_server_is_no_gateway(body: bytes) -> None:
    """Whatever it answers with 200."""
    for ask in (ping, banner):
        pair = Pair()
        asking: Deferred[Any] = Deferred.fromCoroutine(ask(pair.opener, TARGET))
        pair.accept_and_send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        problem = result(asking)
        assert isinstance(problem, Problem)
        assert (problem.slug, problem.status) == ("not-a-gateway", Status.UNREACHABLE)
        assert isinstance(pair.client, FakeTransport)
        assert pair.client.log[-1] == "reset"
