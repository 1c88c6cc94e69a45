"""A tunnel that is idle for too long, or too old, ends after what is queued has been delivered."""

from dataclasses import replace

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.limits.values import KiB, Limits
from portofcall.relay.states import Phase
from portofcall.testing import PUBLIC, WebSocketClient, World, upgrade_request
from tests.support import TUNNEL_LIMITS, TunnelRig

NO_PINGS = replace(TUNNEL_LIMITS, ping_interval_seconds=0)
IDLE = replace(NO_PINGS, idle_seconds=100)
SHORT_LIVED = replace(NO_PINGS, lifetime_seconds=100)
TOO_IDLE = "4408 idle-timeout: the tunnel carried nothing for 100 seconds"
TOO_OLD = "4409 lifetime-over: the tunnel has reached its lifetime of 100 seconds"


def test_tunnel_without_limits_has_no_timer() -> None:
    """By default it lives for ever, and costs nothing for it."""
    rig = TunnelRig(limits=NO_PINGS)
    assert rig.clock.getDelayedCalls() == []


def test_idle_tunnel_is_closed_with_4408() -> None:
    """Both sides are, and the log says why."""
    rig = TunnelRig(limits=IDLE)
    rig.wait(99)
    assert rig.client.log == []
    rig.wait(2)
    assert rig.client.log == [TOO_IDLE]
    assert rig.tunnel.ending.outcome == "idle-timeout: the tunnel carried nothing for 100 seconds"
    rig.client_leaves()
    assert [what for what in rig.transport.log if "=" not in what] == ["fin", "close"]
    rig.tunnel.backend_lost(Failure(ConnectionDone()))
    rig.assert_closed()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_payload_of_either_direction_keeps_a_tunnel(direction: str) -> None:
    """One byte is enough; the time starts anew, and is at most a quarter longer."""
    rig = TunnelRig(limits=IDLE)
    for _ in range(10):
        rig.wait(70)
        if direction == "up":
            rig.tunnel.client_sent(b"x")
        else:
            rig.backend.dataReceived(b"x")
    rig.wait(98)
    assert rig.client.log == []
    rig.wait(30)
    assert rig.client.log[0] == TOO_IDLE


def test_pings_and_pongs_do_not_keep_a_tunnel() -> None:
    """Those of the gateway are answered, and the client sends some of its own."""
    rig = TunnelRig(limits=replace(IDLE, ping_interval_seconds=10))
    for _ in range(20):
        rig.wait(5)
        rig.client.control_frames += 1
    rig.wait(1)
    assert len(rig.client.pings) >= 9
    assert rig.client.log == [TOO_IDLE]


def test_what_a_slow_reader_takes_keeps_a_tunnel() -> None:
    """Nothing new arrives, but what waits is passed on."""
    rig = TunnelRig(limits=IDLE)
    for _ in range(4):
        rig.backend.dataReceived(bytes(65 * KiB))
    for _ in range(3):
        rig.wait(70)
        rig.client.drain()
    rig.wait(70)
    assert rig.client.log == []


def test_payload_that_came_while_the_process_was_held_up_is_read_first() -> None:
    """After it was stopped, timers are called before sockets are read."""
    rig = TunnelRig(limits=IDLE)
    rig.clock.advance(3600)
    assert rig.client.log == []
    rig.backend.dataReceived(b"x")
    rig.wait(99)
    assert rig.client.log == []


@pytest.mark.parametrize(("limits", "last"), [(IDLE, TOO_IDLE), (SHORT_LIVED, TOO_OLD)])
def test_what_is_queued_comes_before_the_close_frame(limits: Limits, last: str) -> None:
    """In both directions; what the client still sends before it answers is delivered, too."""
    rig = TunnelRig(limits=limits)
    rig.backend.dataReceived(bytes(65 * KiB))
    rig.backend.dataReceived(b"queued")
    rig.wait(126)
    assert rig.client.log == []
    assert rig.tunnel.phase is Phase.CLOSING
    assert rig.client.take() == bytes(65 * KiB) + b"queued"
    assert rig.client.log == [last]
    rig.tunnel.client_sent(b"still")
    assert rig.transport.take() == b"still"


def test_busy_tunnel_is_closed_with_4409_when_its_lifetime_is_over() -> None:
    """Whatever it carries."""
    rig = TunnelRig(limits=SHORT_LIVED)
    for _ in range(10):
        assert rig.client.log == []
        rig.tunnel.client_sent(b"x")
        rig.backend.dataReceived(b"x")
        rig.wait(10.1)
    assert rig.client.log == [TOO_OLD]
    assert rig.tunnel.ending.outcome == "lifetime-over: the tunnel has reached its lifetime of 100 seconds"


def test_lifetime_counts_from_the_upgrade() -> None:
    """A dial that is under way when it is over is cancelled."""
    rig = TunnelRig(dialed=False, limits=SHORT_LIVED)
    rig.wait(101)
    assert rig.dialing.called
    assert rig.client.log[0] == TOO_OLD
    rig.tunnel.client_lost()
    rig.assert_closed()


@pytest.mark.parametrize(("limits", "last"), [(IDLE, TOO_IDLE), (SHORT_LIVED, TOO_OLD)])
def test_client_gets_the_code_and_the_reason(limits: Limits, last: str) -> None:
    """In a Close frame, which a page can read."""
    world = World(limits=limits)
    client = WebSocketClient(world)
    world.reactor.pump([0.5] * 201)
    code, reason = client.close_frame()
    assert f"{code} {reason}" == last


def test_closing_tunnel_goes_on_closing() -> None:
    """Its last word is not replaced, and no timer is left."""
    rig = TunnelRig(limits=replace(IDLE, lifetime_seconds=10))
    rig.wait(9)
    rig.backend.readConnectionLost()
    rig.wait(3)
    assert rig.client.log == ["1000"]


@pytest.mark.parametrize(
    ("lifetime", "last"),
    [(0, "the session of the ticket is over"), (50, "the tunnel has reached its lifetime of 50 seconds")],
)
def test_session_of_a_ticket_ends_its_tunnel(lifetime: int, last: str) -> None:
    """Long after the ticket has expired; whichever of both limits comes first counts."""
    key = TicketKey.load(b"0123456789abcdef0123456789abcdef")
    world = World(
        limits=replace(NO_PINGS, lifetime_seconds=lifetime), credentials=Credentials(ticket_key=key)
    )
    ticket = key.issue(now=world.now, ttl_seconds=10, session_seconds=100)
    client = WebSocketClient(world, upgrade_request(f"host={PUBLIC}&port=22&ticket={ticket}"))
    world.reactor.pump([0.5] * 2 * ((lifetime or 100) - 2))
    assert client.received() == []
    world.reactor.pump([0.5] * 8)
    assert client.close_frame() == (4409, f"lifetime-over: {last}")


@pytest.mark.parametrize("ended", ["client", "backend"])
def test_half_closed_tunnel_is_idle_when_the_other_direction_carries_nothing(ended: str) -> None:
    """Payload keeps it, eof and pings do not; there is no other time limit."""
    rig = TunnelRig(limits=replace(IDLE, ping_interval_seconds=20, ping_timeout_seconds=20), half_closes=True)
    if ended == "client":
        rig.tunnel.client_ended()
    else:
        rig.backend.readConnectionLost()
    for _ in range(10):
        rig.wait(70)
        if ended == "client":
            rig.backend.dataReceived(b"x")
        else:
            rig.tunnel.client_sent(b"x")
    rig.wait(98)
    assert rig.tunnel.phase is Phase.OPEN
    rig.wait(30)
    assert TOO_IDLE in rig.client.log
