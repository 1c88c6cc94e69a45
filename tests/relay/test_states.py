"""The table of a tunnel's states is complete, is what docs/protocol.md says, and is what a tunnel does."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from portofcall.errors import Refused
from portofcall.limits.values import KiB, Limits
from portofcall.relay import tunnel
from portofcall.relay.states import ROWS, Do, End, Event, Patience, Phase, Row, find, patience, phase, step
from tests.support import TunnelRig

PROTOCOL = Path(__file__).parent.parent.parent / "docs" / "protocol.md"
#: Steps of the tunnel itself, which no peer causes.
INTERNAL = {Event.DIALED, Event.DIAL_CANCELLED, Event.CLIENT_HAS_ALL, Event.BACKEND_HAS_ALL}
LIVE = [(End.OPEN, End.OPEN), (End.OPEN, End.DIALING)]


def test_docs_table_is_the_code_s() -> None:
    """Each event that can end a live tunnel is a row of docs/protocol.md, with all that is done about it."""
    section = PROTOCOL.read_text().split("### How a tunnel ends\n")[1].split("\n#")[0]
    documented = re.findall(r"^\| (.*?) \| (.*?) \|$", section, re.MULTILINE)[2:]
    rows = dict.fromkeys(row for event in Event for pair in LIVE if (row := find(event, *pair)))
    assert documented == [
        (row.event.value, "; ".join(do.value for do in row.does)) for row in rows if row.event not in INTERNAL
    ]


def test_docs_name_the_time_limits_that_are_the_defaults() -> None:
    """The 30 and the 5 seconds of the text are those of `Limits`."""
    limits = Limits()
    assert (limits.stall_seconds, limits.linger_seconds) == (30, 5)


def test_lost_end_is_gone_whatever_was_before() -> None:
    """No order of events leaves a tunnel open for ever: what is lost is gone, and both gone is closed."""
    for client, backend in itertools.product(End, End):
        assert step(Event.CLIENT_LOST, client, backend)[0] is End.GONE
        if backend is not End.DIALING:
            assert step(Event.BACKEND_LOST, client, backend)[1] is End.GONE
    assert phase(End.GONE, End.GONE) is Phase.CLOSED


def test_end_never_goes_back() -> None:
    """States only follow one another in the order in which they are listed."""
    order = list(End)
    for event, client, backend in itertools.product(Event, End, End):
        client_after, backend_after, _ = step(event, client, backend)
        assert order.index(client_after) >= order.index(client)
        assert order.index(backend_after) >= order.index(backend)


def test_closing_tunnel_is_never_waited_for_without_limit() -> None:
    """And one that is live, or over, has no limit."""
    for client, backend in itertools.product(End, End):
        unlimited = patience(client, backend) is Patience.UNLIMITED
        assert unlimited == (phase(client, backend) is not Phase.CLOSING)


def test_everything_that_can_be_done_is_done_in_some_row() -> None:
    """And every event has a row."""
    assert {do for row in ROWS for do in row.does} == set(Do)
    assert {row.event for row in ROWS} == set(Event)


def _break_writes(rig: TunnelRig) -> None:
    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    rig.transport.write = fail  # type: ignore[method-assign]


#: What can happen to a rig, by the names that walks use.
STEPS: dict[str, Callable[[TunnelRig], object]] = {
    "dialled": lambda rig: rig.dialing.callback(rig.backend),
    "refused": lambda rig: rig.dialing.errback(Refused("refused")),
    "up": lambda rig: rig.tunnel.client_sent(b"up"),
    "down": lambda rig: rig.backend.dataReceived(b"down"),
    "much up": lambda rig: rig.tunnel.client_sent(bytes(65 * KiB)),
    "much down": lambda rig: rig.backend.dataReceived(bytes(65 * KiB)),
    "client reads": lambda rig: rig.client.drain(),
    "backend reads": lambda rig: rig.transport.drain(),
    "Close": lambda rig: rig.tunnel.client_closed(),
    "violation": lambda rig: rig.tunnel.client_failed("unmasked frame"),
    "client lost": lambda rig: rig.tunnel.client_lost(),
    "FIN": lambda rig: rig.backend.readConnectionLost(),
    "backend lost": lambda rig: rig.backend.connectionLost(Failure(ConnectionLost())),
    "shut down": lambda rig: rig.tunnel.shut_down(),
    "5 s": lambda rig: rig.clock.advance(5),
    "30 s": lambda rig: rig.clock.advance(30),
    "writes fail": _break_writes,
}


class Walk(NamedTuple):
    """A way through the table.

    Attributes:
        steps: what happens; the row is walked in the last step.
        row: its event, and the states of client and backend before.
        after: the states after the last step.
        client: what was done to the client's connection in all.
        backend: what was done to the backend's.
    """

    steps: str
    row: tuple[Event, End, End]
    after: tuple[End, End]
    client: list[str]
    backend: list[str]


DIALING, OPEN, ENDED, FINISHED, CLOSED, DROPPED, GONE = End
# fmt: off
WALKS = [
    Walk("up, dialled", (Event.DIALED, OPEN, DIALING), (OPEN, OPEN), [], []),
    Walk("refused", (Event.DIAL_FAILED, OPEN, DIALING), (FINISHED, GONE), ["4502 refused: refused"], []),
    Walk("client lost", (Event.DIAL_CANCELLED, GONE, DIALING), (GONE, GONE), [], []),
    Walk("dialled, Close", (Event.CLIENT_CLOSED, OPEN, OPEN), (CLOSED, FINISHED), [], ["fin"]),
    Walk("dialled, violation", (Event.CLIENT_FAILED, OPEN, OPEN), (CLOSED, DROPPED), [], ["reset"]),
    Walk("dialled, client lost", (Event.CLIENT_LOST, OPEN, OPEN), (GONE, DROPPED), [], ["reset"]),
    Walk("dialled, Close, client lost", (Event.CLIENT_LOST, CLOSED, FINISHED), (GONE, FINISHED), [], ["fin"]),
    Walk("dialled, much down, down, FIN, client reads", (Event.CLIENT_HAS_ALL, OPEN, ENDED),
         (FINISHED, ENDED), ["1000"], []),
    Walk("dialled, FIN", (Event.BACKEND_ENDED, OPEN, OPEN), (FINISHED, ENDED), ["1000"], []),
    Walk("dialled, much up, up, Close, FIN", (Event.BACKEND_ENDED, CLOSED, OPEN), (CLOSED, ENDED), [], []),
    Walk("dialled, Close, FIN", (Event.BACKEND_ENDED, CLOSED, FINISHED), (CLOSED, CLOSED),
         [], ["fin", "close"]),
    Walk("dialled, much up, up, Close, backend reads", (Event.BACKEND_HAS_ALL, CLOSED, OPEN),
         (CLOSED, FINISHED), [], ["fin"]),
    Walk("dialled, much up, up, FIN, Close, backend reads", (Event.BACKEND_HAS_ALL, CLOSED, ENDED),
         (CLOSED, CLOSED), ["1000"], ["close"]),
    Walk("dialled, much down, down, backend lost", (Event.BACKEND_LOST, OPEN, OPEN), (FINISHED, GONE),
         ["1011 backend-reset: the backend reset the connection"], []),
    Walk("dialled, Close, FIN, backend lost", (Event.BACKEND_LOST, CLOSED, CLOSED), (CLOSED, GONE),
         [], ["fin", "close"]),
    Walk("dialled, shut down", (Event.SHUT_DOWN, OPEN, OPEN), (FINISHED, ENDED),
         ["1001 the gateway is shutting down"], []),
    Walk("dialled, much down, down, FIN, 30 s", (Event.STUCK, OPEN, ENDED), (DROPPED, DROPPED),
         ["reset"], ["reset"]),
    Walk("dialled, FIN, 30 s", (Event.SILENT, FINISHED, ENDED), (DROPPED, DROPPED),
         ["1000", "close"], ["close"]),
    Walk("dialled, FIN, 30 s, 30 s", (Event.SILENT, DROPPED, DROPPED), (DROPPED, DROPPED),
         ["1000", "close", "reset"], ["close", "reset"]),
    Walk("dialled, much up, up, writes fail, backend reads", (Event.BROKEN, OPEN, OPEN), (DROPPED, DROPPED),
         ["reset"], ["reset"]),
]
# fmt: on


@pytest.mark.parametrize("walk", WALKS, ids=[walk.steps for walk in WALKS])
def test_tunnel_walks_the_row(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real tunnel comes to each row, does what it says, and is then in the states it says."""
    walked: list[tuple[Event, End, End]] = []

    def spy(event: Event, client: End, backend: End) -> tuple[End, End, tuple[Do, ...]]:
        walked.append((event, client, backend))
        return step(event, client, backend)

    monkeypatch.setattr(tunnel, "step", spy)
    rig = TunnelRig(dialed=False)
    for name in walk.steps.split(", "):
        walked.clear()
        STEPS[name](rig)
    assert walk.row in walked
    assert (rig.ends.client_state, rig.ends.backend_state) == walk.after
    assert rig.client.log == walk.client
    assert [what for what in rig.transport.log if "=" not in what] == walk.backend


def test_every_row_is_walked() -> None:
    """A new row comes with a walk."""
    walked: set[Row | None] = {find(*walk.row) for walk in WALKS}
    assert walked == set(ROWS)
