"""The table of a tunnel's states is complete, is what docs/protocol.md says, and is what a tunnel does."""

import itertools
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from portofcall.errors import Refused
from portofcall.limits.values import KiB, Limits
from portofcall.relay import tunnel
from portofcall.relay.states import Do, End, Event, Phase, phase
from portofcall.relay.transitions import ROWS, Row, find, step
from tests.support import TUNNEL_LIMITS, TunnelRig

PROTOCOL = Path(__file__).parent.parent.parent / "docs" / "protocol.md"
#: Steps of the tunnel itself, which no peer causes.
INTERNAL = {
    *(Event.DIALED, Event.DIAL_CANCELLED, Event.CLIENT_HAS_ALL, Event.BACKEND_HAS_ALL),
    *(Event.CLIENT_ACKNOWLEDGED, Event.BACKEND_ACKNOWLEDGED),
}


def documented(states: Collection[End]) -> str:
    """Return what a cell of the documented table says of these states."""
    return "any" if len(states) >= len(End) - 1 else ", ".join(end.value for end in states)


def test_docs_table_is_the_code_s() -> None:
    """Each row but those of internal steps is a row of docs/protocol.md, in the same words and order."""
    section = PROTOCOL.read_text().split("### How a tunnel ends\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", section, re.MULTILINE)[2:]
    assert rows == [
        (
            *(row.event.value, documented(row.client), documented(row.backend)),
            "; ".join(do.value for do in row.does) or "nothing",
        )
        for row in ROWS
        if row.event not in INTERNAL
    ]


def test_docs_explain_every_state() -> None:
    """Each of `End` is explained by a line of its own."""
    section = PROTOCOL.read_text().split("### How a tunnel ends\n")[1].split("\n## ")[0]
    assert re.findall(r"^- \*\*(.*?)\*\*: ", section, re.MULTILINE) == [end.value for end in End]


def test_docs_name_the_time_limits_that_are_the_defaults() -> None:
    """The seconds of the text are those of `Limits`."""
    limits = Limits()
    assert (limits.close_stall_seconds, limits.linger_seconds, limits.close_grace_seconds) == (30, 5, 30)


def test_lost_end_is_gone_whatever_its_state() -> None:
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


def test_everything_that_can_be_done_is_done_in_some_row() -> None:
    """And every event has a row."""
    assert {do for row in ROWS for do in row.does} == set(Do)
    assert {row.event for row in ROWS} == set(Event)


def _close_page(rig: TunnelRig) -> None:
    rig.tunnel._grace_seconds = 0
    rig.tunnel.client_closed()


def _send_on(rig: TunnelRig) -> None:
    for _ in range(25):
        rig.backend.dataReceived(b"more")
        rig.wait(1)


def _answer_no_pings(rig: TunnelRig) -> None:
    rig.client.answers_pings = False
    rig.wait(41)


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
    "page closes": _close_page,
    "unacknowledged down": lambda rig: rig.client.delivery.sent(1),
    "unacknowledged up": lambda rig: rig.delivery.sent(1),
    "client acknowledges": lambda rig: rig.client.delivery.acknowledge(1),
    "backend acknowledges": lambda rig: rig.delivery.acknowledge(1),
    "backend sends on": _send_on,
    "eof": lambda rig: rig.tunnel.client_ended(),
    "violation": lambda rig: rig.tunnel.client_failed("unmasked frame"),
    "client lost": lambda rig: rig.tunnel.client_lost(),
    "FIN": lambda rig: rig.backend.readConnectionLost(),
    "backend closes": lambda rig: rig.backend.connectionLost(Failure(ConnectionDone())),
    "backend lost": lambda rig: rig.backend.connectionLost(Failure(ConnectionLost())),
    "shut down": lambda rig: rig.tunnel.shut_down(),
    "abort": lambda rig: rig.tunnel.abort(),
    "no pongs": _answer_no_pings,
    "idle": lambda rig: rig.wait(601),
    "1 s": lambda rig: rig.wait(1),
    "7 s": lambda rig: rig.wait(7),
    "32 s": lambda rig: rig.wait(32),
    "writes fail": _break_writes,
}


class Walk(NamedTuple):
    """A way through the table.

    Attributes:
        steps: what happens; the row is walked in the last step. "v1" comes first if the client speaks it.
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


DIALING, V1_OPEN, V1_ENDED, V1_FINISHED, V1_CLOSED, OPEN, *_LATER = End
ENDED, FINISHED, CLOSED, LINGERING, DROPPED, GONE = _LATER
STUCK = "1011 backend-stuck: the backend acknowledged nothing for 30 seconds"
RESET = "1011 backend-reset: the backend reset the connection"
# fmt: off
WALKS = [
    Walk("up, dialled", (Event.DIALED, OPEN, DIALING), (OPEN, OPEN), [], []),
    Walk("refused", (Event.DIAL_FAILED, OPEN, DIALING), (FINISHED, GONE), ["4502 refused: refused"], []),
    Walk("client lost", (Event.DIAL_CANCELLED, GONE, DIALING), (GONE, GONE), [], []),
    Walk("dialled, page closes", (Event.PAGE_CLOSED, OPEN, OPEN), (LINGERING, FINISHED),
         ["reply", "fin"], ["fin"]),
    Walk("dialled, FIN, unacknowledged up, page closes", (Event.PAGE_CLOSED, FINISHED, ENDED),
         (DROPPED, CLOSED), ["1000", "close"], ["fin"]),
    Walk("dialled, Close", (Event.PROGRAM_CLOSED, OPEN, OPEN), (ENDED, FINISHED), [], ["fin"]),
    Walk("dialled, FIN, unacknowledged up, Close", (Event.PROGRAM_CLOSED, FINISHED, ENDED),
         (DROPPED, CLOSED), ["1000", "close"], ["fin"]),
    Walk("dialled, violation", (Event.CLIENT_FAILED, OPEN, OPEN), (LINGERING, DROPPED), [], ["reset"]),
    Walk("dialled, client lost", (Event.CLIENT_LOST, OPEN, OPEN), (GONE, DROPPED), [], ["reset"]),
    Walk("dialled, Close, client lost", (Event.CLIENT_LOST, ENDED, FINISHED), (GONE, FINISHED), [], ["fin"]),
    Walk("dialled, much down, down, FIN, client reads", (Event.CLIENT_HAS_ALL, OPEN, ENDED),
         (FINISHED, ENDED), ["1000"], []),
    Walk("dialled, much down, down, Close, FIN, client reads", (Event.CLIENT_HAS_ALL, ENDED, DROPPED),
         (LINGERING, DROPPED), ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, unacknowledged down, FIN, Close, client acknowledges, 1 s",
         (Event.CLIENT_ACKNOWLEDGED, CLOSED, DROPPED), (DROPPED, DROPPED),
         ["1000", "close"], ["fin", "close"]),
    Walk("dialled, unacknowledged down, FIN, 32 s", (Event.CLIENT_STUCK, FINISHED, ENDED),
         (DROPPED, DROPPED), ["1000", "reset"], ["reset"]),
    Walk("dialled, unacknowledged down, Close, FIN, 32 s", (Event.CLIENT_STUCK, LINGERING, DROPPED),
         (DROPPED, DROPPED), ["reply", "fin", "reset"], ["fin", "close", "reset"]),
    Walk("dialled, FIN, 7 s", (Event.CLIENT_SILENT, FINISHED, ENDED), (DROPPED, DROPPED),
         ["1000", "close"], ["fin", "close"]),
    Walk("dialled, FIN, 7 s, backend lost, 7 s", (Event.CLIENT_SILENT, DROPPED, GONE), (DROPPED, GONE),
         ["1000", "close", "reset"], ["fin", "close"]),
    Walk("dialled, no pongs", (Event.PING_TIMEOUT, OPEN, OPEN), (FINISHED, DROPPED),
         ["1011 ping-timeout: the client answered no ping for 20 seconds"], ["fin", "close"]),
    Walk("dialled, FIN", (Event.BACKEND_ENDED, OPEN, OPEN), (FINISHED, ENDED), ["1000"], []),
    Walk("dialled, much up, up, Close, FIN", (Event.BACKEND_ENDED, ENDED, OPEN), (LINGERING, ENDED),
         ["reply", "fin"], []),
    Walk("dialled, Close, FIN", (Event.BACKEND_ENDED, ENDED, FINISHED), (LINGERING, DROPPED),
         ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, much up, up, page closes, FIN", (Event.BACKEND_ENDED, LINGERING, OPEN),
         (LINGERING, ENDED), ["reply", "fin"], []),
    Walk("dialled, page closes, FIN", (Event.BACKEND_ENDED, LINGERING, FINISHED), (LINGERING, DROPPED),
         ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, much up, up, Close, backend reads", (Event.BACKEND_HAS_ALL, ENDED, OPEN),
         (ENDED, FINISHED), [], ["fin"]),
    Walk("dialled, much up, up, FIN, Close, backend reads", (Event.BACKEND_HAS_ALL, DROPPED, ENDED),
         (DROPPED, DROPPED), ["1000", "close"], ["fin", "close"]),
    Walk("dialled, unacknowledged up, Close, FIN, backend acknowledges, 1 s",
         (Event.BACKEND_ACKNOWLEDGED, LINGERING, CLOSED), (LINGERING, DROPPED),
         ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, unacknowledged up, Close, FIN, 32 s", (Event.BACKEND_STUCK, DROPPED, CLOSED),
         (DROPPED, DROPPED), ["reply", "fin", "close", "reset"], ["fin", "reset"]),
    Walk("dialled, unacknowledged up, Close, 32 s", (Event.BACKEND_STUCK, ENDED, FINISHED),
         (LINGERING, DROPPED), [STUCK, "fin"], ["fin", "reset"]),
    Walk("dialled, much down, down, backend lost", (Event.BACKEND_LOST, OPEN, OPEN), (FINISHED, GONE),
         [RESET], []),
    Walk("dialled, Close, backend lost", (Event.BACKEND_LOST, ENDED, FINISHED), (LINGERING, GONE),
         [RESET, "fin"], ["fin"]),
    Walk("dialled, Close, FIN, backend lost", (Event.BACKEND_LOST, LINGERING, DROPPED), (LINGERING, GONE),
         ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, Close, 7 s", (Event.BACKEND_SILENT, ENDED, FINISHED), (LINGERING, DROPPED),
         ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, page closes, client lost, 7 s", (Event.BACKEND_SILENT, GONE, FINISHED), (GONE, DROPPED),
         ["reply", "fin"], ["fin", "close"]),
    Walk("dialled, page closes, client lost, 7 s, 7 s", (Event.BACKEND_SILENT, GONE, DROPPED),
         (GONE, DROPPED), ["reply", "fin"], ["fin", "close", "reset"]),
    Walk("dialled, Close, backend sends on", (Event.GRACE_OVER, ENDED, FINISHED), (LINGERING, DROPPED),
         ["1011 grace-over: the backend was still sending 20 seconds after it got FIN", "fin"],
         ["fin", "reset"]),
    Walk("dialled, idle", (Event.EXPIRED, OPEN, OPEN), (FINISHED, ENDED),
         ["4408 idle-timeout: the tunnel carried nothing for 600 seconds"], []),
    Walk("dialled, shut down", (Event.SHUT_DOWN, OPEN, OPEN), (FINISHED, ENDED),
         ["1001 the gateway is shutting down"], []),
    Walk("dialled, shut down, abort", (Event.ABORTED, FINISHED, ENDED), (DROPPED, DROPPED),
         ["1001 the gateway is shutting down", "reset"], ["reset"]),
    Walk("dialled, much up, up, writes fail, backend reads", (Event.BROKEN, OPEN, OPEN), (DROPPED, DROPPED),
         ["reset"], ["reset"]),
    # portofcall.v1
    Walk("v1, refused", (Event.DIAL_FAILED, V1_OPEN, DIALING), (FINISHED, GONE),
         ["4502 refused: refused"], []),
    Walk("v1, up, eof, dialled", (Event.DIALED, V1_ENDED, DIALING), (V1_ENDED, FINISHED), [], ["fin"]),
    Walk("v1, dialled, eof", (Event.CLIENT_ENDED, V1_OPEN, OPEN), (V1_ENDED, FINISHED), [], ["fin"]),
    Walk("v1, dialled, much up, up, eof, backend reads", (Event.BACKEND_HAS_ALL, V1_ENDED, OPEN),
         (V1_ENDED, FINISHED), [], ["fin"]),
    Walk("v1, dialled, FIN", (Event.BACKEND_ENDED, V1_OPEN, OPEN), (V1_FINISHED, ENDED), ["eof"], []),
    Walk("v1, dialled, FIN, eof", (Event.CLIENT_ENDED, V1_FINISHED, ENDED), (FINISHED, DROPPED),
         ["eof", "1000"], ["fin", "close"]),
    Walk("v1, dialled, eof, FIN", (Event.BACKEND_ENDED, V1_ENDED, FINISHED), (FINISHED, DROPPED),
         ["eof", "1000"], ["fin", "close"]),
    Walk("v1, dialled, unacknowledged up, eof, FIN, backend acknowledges, 1 s",
         (Event.BACKEND_ACKNOWLEDGED, V1_CLOSED, CLOSED), (FINISHED, DROPPED),
         ["eof", "1000"], ["fin", "close"]),
    Walk("v1, dialled, eof, FIN, Close", (Event.PAGE_CLOSED, FINISHED, DROPPED), (DROPPED, DROPPED),
         ["eof", "1000", "close"], ["fin", "close"]),
    Walk("v1, dialled, Close", (Event.PAGE_CLOSED, V1_OPEN, OPEN), (LINGERING, FINISHED),
         ["reply", "fin"], ["fin"]),
    Walk("v1, dialled, eof, down, Close", (Event.PAGE_CLOSED, V1_ENDED, FINISHED), (LINGERING, FINISHED),
         ["reply", "fin"], ["fin"]),
    Walk("v1, dialled, FIN, unacknowledged up, Close", (Event.PAGE_CLOSED, V1_FINISHED, ENDED),
         (LINGERING, CLOSED), ["eof", "reply", "fin"], ["fin"]),
    Walk("v1, dialled, eof, violation", (Event.CLIENT_FAILED, V1_ENDED, FINISHED), (LINGERING, DROPPED),
         [], ["fin", "reset"]),
    Walk("v1, dialled, FIN, client lost", (Event.CLIENT_LOST, V1_FINISHED, ENDED), (GONE, DROPPED),
         ["eof"], ["reset"]),
    Walk("v1, dialled, eof, client lost", (Event.CLIENT_LOST, V1_ENDED, FINISHED), (GONE, FINISHED),
         [], ["fin"]),
    Walk("v1, dialled, unacknowledged down, eof, FIN, 32 s", (Event.CLIENT_STUCK, FINISHED, DROPPED),
         (DROPPED, DROPPED), ["eof", "1000", "reset"], ["fin", "close", "reset"]),
    Walk("v1, dialled, FIN, no pongs", (Event.PING_TIMEOUT, V1_FINISHED, ENDED), (FINISHED, DROPPED),
         ["eof", "1011 ping-timeout: the client answered no ping for 20 seconds"], ["fin", "close"]),
    Walk("v1, dialled, eof, no pongs", (Event.PING_TIMEOUT, V1_ENDED, FINISHED), (FINISHED, DROPPED),
         ["1011 ping-timeout: the client answered no ping for 20 seconds"], ["fin", "close"]),
    Walk("v1, dialled, eof, idle", (Event.EXPIRED, V1_ENDED, FINISHED), (FINISHED, DROPPED),
         ["4408 idle-timeout: the tunnel carried nothing for 600 seconds"], ["fin", "close"]),
    Walk("v1, dialled, FIN, shut down", (Event.SHUT_DOWN, V1_FINISHED, ENDED), (FINISHED, ENDED),
         ["eof", "1001 the gateway is shutting down"], []),
    Walk("v1, dialled, FIN, shut down, eof", (Event.CLIENT_ENDED, FINISHED, ENDED), (FINISHED, DROPPED),
         ["eof", "1001 the gateway is shutting down"], ["fin", "close"]),
    Walk("v1, dialled, much down, down, FIN, shut down, client reads", (Event.CLIENT_HAS_ALL, OPEN, ENDED),
         (FINISHED, ENDED), ["eof", "1001 the gateway is shutting down"], []),
    Walk("v1, dialled, unacknowledged up, eof, FIN, shut down, 1 s, backend acknowledges, 1 s",
         (Event.BACKEND_ACKNOWLEDGED, V1_CLOSED, CLOSED), (FINISHED, DROPPED),
         ["eof", "1000"], ["fin", "close"]),
    Walk("v1, dialled, eof, backend lost", (Event.BACKEND_LOST, V1_ENDED, FINISHED), (FINISHED, GONE),
         [RESET], ["fin"]),
    Walk("v1, dialled, FIN, backend lost", (Event.BACKEND_LOST, V1_FINISHED, ENDED), (FINISHED, GONE),
         ["eof", RESET], []),
    Walk("v1, dialled, unacknowledged up, FIN, eof, backend lost", (Event.BACKEND_LOST, V1_CLOSED, CLOSED),
         (FINISHED, GONE), ["eof", RESET], ["fin"]),
    Walk("v1, dialled, FIN, backend closes", (Event.BACKEND_CLOSED, V1_FINISHED, ENDED), (FINISHED, GONE),
         ["eof", "1000"], []),
    Walk("v1, dialled, unacknowledged up, eof, FIN, backend closes",
         (Event.BACKEND_CLOSED, V1_CLOSED, CLOSED), (FINISHED, GONE), ["eof", "1000"], ["fin"]),
    Walk("v1, dialled, much up, up, eof, FIN, backend closes", (Event.BACKEND_LOST, V1_CLOSED, ENDED),
         (FINISHED, GONE), ["eof", RESET], []),
    Walk("v1, dialled, unacknowledged up, FIN, eof, 32 s", (Event.BACKEND_STUCK, V1_CLOSED, CLOSED),
         (FINISHED, DROPPED), ["eof", STUCK], ["fin", "reset"]),
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
    limits = replace(TUNNEL_LIMITS, idle_seconds=600)
    names = walk.steps.removeprefix("v1, ").split(", ")
    rig = TunnelRig(dialed=False, half_closes=walk.steps.startswith("v1, "), limits=limits)
    for name in names:
        walked.clear()
        STEPS[name](rig)
    assert walk.row in walked
    assert (rig.ends.client_state, rig.ends.backend_state) == walk.after
    # A fake connection never ends by itself: it is reset again and again.
    assert [what for what, _ in itertools.groupby(rig.client.log)] == walk.client
    assert [what for what, _ in itertools.groupby(rig.transport.log) if "=" not in what] == walk.backend


def test_every_row_is_walked() -> None:
    """A new row comes with a walk."""
    walked: set[Row | None] = {find(*walk.row) for walk in WALKS}
    assert walked == set(ROWS)
