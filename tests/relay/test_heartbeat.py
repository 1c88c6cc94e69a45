"""An idle client is pinged, one that is gone or stuck is ended, and one that merely does not read stays."""

import itertools
from dataclasses import replace

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from portofcall.limits.values import KiB
from portofcall.relay.states import Phase
from tests.support import TUNNEL_LIMITS, TunnelRig

LIMITS = replace(TUNNEL_LIMITS, ping_interval_seconds=20, ping_timeout_seconds=10)
STALLS = replace(LIMITS, client_stall_seconds=60)
TIMED_OUT = "1011 ping-timeout: the client answered no ping for 10 seconds"


def done(rig: TunnelRig) -> list[str]:
    """Return what was done to the client: a fake connection never ends by itself, and is reset repeatedly."""
    return [what for what, _ in itertools.groupby(rig.client.log)]


def test_idle_client_is_pinged_at_every_interval() -> None:
    """Each ping has the count of the bytes that the client was sent before it."""
    rig = TunnelRig(limits=LIMITS)
    rig.wait(19.9)
    assert rig.client.pings == []
    rig.wait(0.2)
    assert rig.client.pings == [0]
    rig.backend.dataReceived(b"12345")
    rig.wait(40)
    assert rig.client.pings == [0, 5, 5]
    assert rig.client.log == []


def test_client_that_sends_payload_is_not_pinged() -> None:
    """It is pinged once it has been idle for a whole interval."""
    rig = TunnelRig(limits=LIMITS)
    for _ in range(20):
        rig.tunnel.client_sent(b"x")
        rig.wait(5)
    assert rig.client.pings == []
    rig.wait(20.5)
    assert rig.client.pings == [0]


def test_nobody_is_pinged_with_an_interval_of_0() -> None:
    """And an idle tunnel has no timer."""
    rig = TunnelRig(limits=replace(LIMITS, ping_interval_seconds=0))
    assert rig.clock.getDelayedCalls() == []
    rig.client.answers_pings = False
    rig.wait(100)
    assert (rig.client.pings, rig.client.log) == ([], [])


def test_client_that_answers_no_ping_is_ended_and_the_backend_gets_fin() -> None:
    """Close 1011 for the client, should it ever read; what it sent before is delivered."""
    rig = TunnelRig(limits=LIMITS)
    rig.client.answers_pings = False
    rig.tunnel.client_sent(b"sent before")
    rig.wait(49.9)
    assert rig.client.log == []
    rig.wait(0.2)
    assert rig.client.log[0] == TIMED_OUT
    assert rig.transport.take() == b"sent before"
    assert [what for what in rig.transport.log if "=" not in what] == ["fin", "close"]
    assert rig.tunnel.ending.outcome == "timed out: the client answered no ping for 10 seconds"
    rig.wait(6)
    rig.tunnel.client_lost()
    rig.backend.readConnectionLost()
    assert rig.client.pings == [0], "a closing tunnel has no heartbeat"


def test_client_that_is_gone_without_acknowledging_pings_still_ends_the_backend_with_fin() -> None:
    """What is queued for it, a ping, is waited for at its own end only."""
    rig = TunnelRig(limits=LIMITS)
    rig.client.answers_pings = False
    rig.client.delivery.sent(10)
    rig.wait(70)
    assert done(rig) == [TIMED_OUT, "reset"]
    assert [what for what in rig.transport.log if "=" not in what][:2] == ["fin", "close"]


def test_payload_after_the_last_pong_keeps_a_silent_client() -> None:
    """It may have to read that first: its pong comes after it."""
    rig = TunnelRig(limits=LIMITS)
    rig.wait(20.1)
    rig.client.answers_pings = False
    rig.backend.dataReceived(b"unread")
    rig.wait(600)
    assert rig.client.log == []
    assert set(rig.client.pings[1:]) == {6}
    rig.client.pong(6)
    rig.wait(9)
    assert rig.client.log == []
    rig.wait(22)
    assert rig.client.log[0] == TIMED_OUT, "it has read everything by now"


def test_pong_for_an_earlier_ping_does_not_show_that_all_was_read() -> None:
    """It is a sign of life, but payload came after its ping."""
    rig = TunnelRig(limits=LIMITS)
    rig.client.answers_pings = False
    rig.wait(20.1)
    rig.backend.dataReceived(b"unread")
    rig.client.pong(0)
    rig.wait(600)
    assert rig.client.log == []


@pytest.mark.parametrize("sign", ["payload", "a ping of its own"])
def test_any_sign_of_life_is_as_good_as_a_pong(sign: str) -> None:
    """A program that sends, but answers no pings, is not gone."""
    rig = TunnelRig(limits=LIMITS)
    rig.client.answers_pings = False
    for _ in range(20):
        rig.wait(9)
        if sign == "payload":
            rig.tunnel.client_sent(b"x")
        else:
            rig.client.control_frames += 1
    assert rig.client.log == []


def test_client_that_is_not_read_is_not_missed() -> None:
    """While the backend does not read, neither is the client: its pongs wait in the kernel."""
    rig = TunnelRig(limits=LIMITS)
    rig.client.answers_pings = False
    for _ in range(6):
        rig.tunnel.client_sent(bytes(65 * KiB))
    assert rig.client.paused
    rig.wait(600)
    assert rig.client.log == []
    assert len(rig.client.pings) >= 28, "a proxy should not think that the connection is idle"
    rig.transport.take()
    assert not rig.client.paused
    rig.wait(9)
    assert rig.client.log == [], "its pongs have time to be read"
    rig.wait(22)
    assert rig.client.log[0] == TIMED_OUT


def test_pongs_are_read_before_they_are_missed_when_the_process_was_held_up() -> None:
    """After it was stopped, or its machine slept, timers are called before sockets are read."""
    rig = TunnelRig(limits=LIMITS)
    rig.client.answers_pings = False
    rig.wait(20.1)
    rig.clock.advance(3600)
    assert rig.client.log == []
    rig.wait(5)
    rig.client.pong(0)
    rig.wait(20)
    assert rig.client.log == []
    rig.wait(11)
    assert rig.client.log[0] == TIMED_OUT


def test_client_that_is_gone_ends_a_dial() -> None:
    """Even before the backend is connected."""
    rig = TunnelRig(dialed=False, limits=replace(LIMITS, ping_interval_seconds=1, ping_timeout_seconds=1))
    rig.client.answers_pings = False
    rig.wait(3)
    assert rig.client.log[0].startswith("1011 ping-timeout: ")
    assert rig.dialing.called


def test_stalled_client_is_reset_after_the_stall_timeout() -> None:
    """It acknowledges nothing of what is queued; by default it may do so for ever."""
    for limits, after in ((LIMITS, []), (STALLS, ["reset"])):
        rig = TunnelRig(limits=limits)
        rig.client.answers_pings = False
        rig.backend.dataReceived(bytes(10 * KiB))
        rig.client.delivery.sent(10 * KiB)
        rig.wait(59)
        assert rig.client.log == []
        rig.wait(65)
        assert done(rig) == after
    assert rig.transport.log[-1] == "reset"
    assert rig.tunnel.ending.outcome == "timed out: the client made no progress for 60 seconds"


def test_client_that_has_read_all_is_given_the_ping_timeout_though_the_stall_timeout_is_shorter() -> None:
    """It owes an answer, and no progress."""
    limits = replace(LIMITS, ping_interval_seconds=300, ping_timeout_seconds=60, client_stall_seconds=30)
    rig = TunnelRig(limits=limits)
    rig.client.answers_pings = False
    rig.wait(300.5)
    rig.client.delivery.sent(1)  # the ping
    rig.wait(59)
    assert rig.client.log == []
    rig.wait(3)
    assert rig.tunnel.ending.slug == "ping-timeout"


def test_client_that_acknowledges_slowly_does_not_stall() -> None:
    """A byte every 50 seconds is progress; the pings that it gets meanwhile are none."""
    rig = TunnelRig(limits=STALLS)
    rig.client.answers_pings = False
    rig.backend.dataReceived(bytes(10 * KiB))
    rig.client.delivery.sent(10 * KiB)
    for _ in range(10):
        rig.wait(50)
        rig.client.delivery.acknowledge(1)
    assert rig.client.log == []
    for _ in range(8):
        rig.client.delivery.sent(10)
        rig.wait(10)
        rig.client.delivery.acknowledge(10)
        rig.wait(5)
    assert done(rig) == ["reset"]


def test_client_whose_kernel_holds_the_rest_stalls_when_it_answers_no_ping() -> None:
    """As in `websocat … | less`: everything is acknowledged, but nobody reads it."""
    rig = TunnelRig(limits=STALLS)
    rig.client.answers_pings = False
    rig.backend.dataReceived(bytes(10 * KiB))
    rig.wait(75)
    assert rig.client.log == []
    rig.client.pong(0)
    rig.wait(55)
    assert rig.client.log == [], "that was progress"
    rig.wait(30)
    assert done(rig) == ["reset"]


def test_idle_client_does_not_stall_before_it_was_asked() -> None:
    """With a limit below the interval of pings, what was sent after the last pong is no reason yet."""
    rig = TunnelRig(limits=replace(STALLS, client_stall_seconds=5))
    for _ in range(10):
        rig.backend.dataReceived(b"down")
        rig.wait(7)
    rig.wait(200)
    assert rig.client.log == []


def test_stall_timeout_without_pings_is_about_what_is_acknowledged() -> None:
    """Nothing else can be known then: an idle client does not stall."""
    rig = TunnelRig(limits=replace(STALLS, ping_interval_seconds=0))
    rig.backend.dataReceived(b"down")
    rig.wait(600)
    assert rig.client.log == []
    rig.client.delivery.sent(4)
    rig.wait(121)
    assert done(rig) == ["reset"]


def test_client_that_is_not_read_stalls_by_what_it_acknowledges_alone() -> None:
    """Its pongs can't be seen."""
    rig = TunnelRig(limits=STALLS)
    rig.client.answers_pings = False
    rig.backend.dataReceived(b"down")
    rig.wait(21)
    for _ in range(6):
        rig.tunnel.client_sent(bytes(65 * KiB))
    rig.wait(600)
    assert rig.client.log == []
    assert rig.tunnel.phase is Phase.OPEN
    rig.client.delivery.sent(4)
    rig.wait(121)
    assert done(rig) == ["reset"]


def test_open_and_closed_tunnel_leaves_no_timer() -> None:
    """The heartbeat ends when the tunnel begins to close."""
    rig = TunnelRig(limits=STALLS)
    rig.client_leaves()
    rig.backend.readConnectionLost()
    rig.wait(1)
    rig.tunnel.backend_lost(Failure(ConnectionDone()))
    rig.assert_closed()


@pytest.mark.parametrize("ended", ["client", "backend"])
def test_half_closed_tunnel_has_its_heartbeats(ended: str) -> None:
    """They show that the client is still there, whichever direction has ended, and miss it when it is not."""
    rig = TunnelRig(limits=TUNNEL_LIMITS, half_closes=True)
    if ended == "client":
        rig.tunnel.client_ended()
    else:
        rig.backend.readConnectionLost()
    rig.wait(205)
    assert len(rig.client.pings) == 10
    assert rig.tunnel.phase is Phase.OPEN
    rig.client.answers_pings = False
    rig.wait(41)
    assert "1011 ping-timeout: the client answered no ping for 20 seconds" in rig.client.log
    assert "fin" in rig.transport.log


def test_stalled_client_of_a_backend_that_has_ended_is_reset() -> None:
    """Eof waits behind what the client does not read, so that its place is freed."""
    rig = TunnelRig(limits=replace(TUNNEL_LIMITS, client_stall_seconds=60), half_closes=True)
    rig.client.answers_pings = False
    rig.backend.dataReceived(bytes(65 * KiB))
    rig.client.delivery.sent(65 * KiB)
    rig.backend.dataReceived(b"more")
    rig.backend.readConnectionLost()
    rig.wait(121)
    assert rig.client.log[0] == "reset"
    assert rig.transport.log[-1] == "reset"
