"""What happens at one end of a tunnel decides what is done at the other."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from portofcall.errors import Refused
from portofcall.limits.values import KiB, Limits
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.states import Phase
from tests.support import FakeClient, TunnelRig

DONE = Failure(ConnectionDone())
LOST = Failure(ConnectionLost())


def test_fakes_are_like_the_real_ends() -> None:
    """The fake client provides the same interface as the real one."""
    assert verifyObject(IClientEnd, FakeClient())


def test_bytes_go_both_ways() -> None:
    """What one end sends reaches the other, in order."""
    rig = TunnelRig()
    rig.tunnel.client_sent(b"hello ")
    rig.tunnel.client_sent(b"backend")
    rig.backend.dataReceived(b"hello client")
    assert rig.transport.buffer == b"hello backend"
    assert rig.client.buffer == b"hello client"
    assert rig.tunnel.phase is Phase.OPEN


def test_backend_gets_no_delay_and_keepalive() -> None:
    """Keystrokes are not held back, and a dead peer is noticed."""
    assert TunnelRig().transport.log == ["nodelay=True", "keepalive=True"]


def test_bytes_sent_during_the_dial_arrive_first() -> None:
    """A client need not wait for the backend to answer."""
    rig = TunnelRig(dialed=False)
    rig.tunnel.client_sent(b"early ")
    assert rig.tunnel.phase is Phase.DIALING
    rig.dialing.callback(rig.backend)
    rig.tunnel.client_sent(b"late")
    assert rig.transport.buffer == b"early late"


def test_client_is_paused_while_the_dial_takes_long() -> None:
    """No more than the high-water mark waits for a backend that has not accepted yet."""
    rig = TunnelRig(dialed=False)
    rig.tunnel.client_sent(bytes(256 * KiB))
    assert not rig.client.paused
    rig.tunnel.client_sent(b"1")
    assert rig.client.paused
    rig.dialing.callback(rig.backend)
    while rig.client.paused:
        rig.transport.drain()
    assert len(rig.transport.delivered + rig.transport.buffer) == 256 * KiB + 1


def test_slow_client_pauses_the_backend_past_the_high_water_mark() -> None:
    """Reading from TCP stops when too much waits for the WebSocket, and resumes after the drain."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(64 * KiB + 1))
    assert rig.client.producer_paused, "the WebSocket's transport is backed up"
    for _ in range(4):
        rig.backend.dataReceived(bytes(64 * KiB))
    assert not rig.transport.paused, "exactly the mark waits"
    rig.backend.dataReceived(b"1")
    assert rig.transport.paused
    while rig.tunnel.to_client.waiting_bytes:
        assert rig.transport.paused
        rig.client.drain()
    assert not rig.transport.paused


def test_slow_backend_pauses_the_client_past_the_high_water_mark() -> None:
    """A client is never cut off for being fast: it is paused, and resumed after the drain."""
    rig = TunnelRig()
    rig.tunnel.client_sent(bytes(64 * KiB + 1))
    rig.tunnel.client_sent(bytes(256 * KiB))
    assert not rig.client.paused
    rig.tunnel.client_sent(b"1")
    assert rig.client.paused
    while rig.tunnel.to_backend.waiting_bytes:
        assert rig.client.paused
        rig.transport.drain()
    assert not rig.client.paused


def test_client_that_closes_leaves_everything_it_sent() -> None:
    """FIN goes to the backend after everything else, and only then."""
    rig = TunnelRig()
    rig.tunnel.client_sent(bytes(70 * KiB))
    rig.tunnel.client_sent(b"the end")
    rig.client_leaves()
    assert "fin" not in rig.transport.log
    rig.transport.drain()
    assert rig.transport.log[-1] == "fin"
    rig.transport.drain()
    assert rig.transport.delivered == bytes(70 * KiB) + b"the end"
    rig.backend.readConnectionLost()
    assert rig.transport.log[-1] == "close"
    rig.backend.connectionLost(DONE)
    rig.assert_closed()
    assert rig.tunnel.ending.outcome == "the client closed"


def test_what_a_backend_sends_to_a_closed_client_is_read_and_dropped() -> None:
    """A backend that blocks on writing its answer would never read the rest of what is queued."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(70 * KiB))
    rig.backend.dataReceived(bytes(300 * KiB))
    assert rig.transport.paused
    rig.tunnel.client_sent(bytes(70 * KiB))
    rig.client_leaves()
    assert not rig.transport.paused
    rig.backend.dataReceived(b"no one reads this")
    assert rig.tunnel.to_client.dropped_bytes == 300 * KiB + 17


def test_client_that_sends_and_closes_during_the_dial_is_still_served() -> None:
    """What was accepted is delivered once the backend answers."""
    rig = TunnelRig(dialed=False)
    rig.tunnel.client_sent(b"fire and forget")
    rig.client_leaves()
    rig.dialing.callback(rig.backend)
    assert rig.transport.buffer == b"fire and forget"
    assert rig.transport.log[-1] == "fin"


@pytest.mark.parametrize("leave", [TunnelRig.client_leaves, lambda rig: rig.tunnel.client_lost()])
def test_client_that_leaves_during_the_dial_ends_the_dial(leave: Callable[[TunnelRig], None]) -> None:
    """Nothing is dialled for a client that is gone and has sent nothing."""
    rig = TunnelRig(dialed=False)
    leave(rig)
    rig.assert_closed()
    assert rig.dialing.called, "it was cancelled"


def test_backend_that_closes_leaves_everything_it_sent() -> None:
    """Close 1000 goes to the client after everything else, and only then."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(70 * KiB))
    rig.backend.dataReceived(b"the end")
    rig.backend.readConnectionLost()
    assert "1000" not in rig.client.log
    rig.client.drain()
    assert rig.client.log == ["1000"]
    rig.client.drain()
    assert rig.client.delivered == bytes(70 * KiB) + b"the end"
    rig.client_leaves()
    assert rig.transport.log[-1] == "close"
    rig.backend.connectionLost(DONE)
    rig.assert_closed()
    assert rig.tunnel.ending.outcome == "the backend closed"


def test_client_may_go_on_sending_to_a_backend_that_has_only_half_closed() -> None:
    """What the client sends before it answers the Close frame still reaches the backend."""
    rig = TunnelRig()
    rig.backend.readConnectionLost()
    assert rig.client.log == ["1000"]
    rig.tunnel.client_sent(b"one more thing")
    rig.client_leaves()
    assert rig.transport.buffer == b"one more thing"
    assert rig.transport.log[-1] == "close"


def test_backend_that_resets_gives_a_prefix_and_1011_without_waiting() -> None:
    """The client gets what arrived before the reset, then the Close frame, however slow it is."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(70 * KiB))
    rig.backend.dataReceived(b"last words")
    rig.backend.connectionLost(LOST)
    assert rig.client.buffer == bytes(70 * KiB) + b"last words"
    assert rig.client.log == ["1011 backend-reset: the backend reset the connection"]
    rig.client_leaves()
    rig.assert_closed()


def test_client_that_disconnects_without_a_close_frame_resets_the_backend() -> None:
    """Without a Close frame the stream may be cut short, and the backend must be able to tell."""
    rig = TunnelRig()
    rig.tunnel.client_sent(bytes(100 * KiB))
    rig.tunnel.client_lost()
    assert rig.transport.log[-1] == "reset"
    rig.backend.connectionLost(DONE)
    rig.assert_closed()
    assert rig.tunnel.ending.outcome == "client disconnected without a Close frame"


def test_client_that_breaks_the_protocol_resets_the_backend() -> None:
    """Its end has sent it the reason; nothing more is delivered on either side."""
    rig = TunnelRig()
    rig.tunnel.client_sent(b"valid")
    rig.tunnel.client_failed("unmasked frame")
    assert rig.transport.log[-1] == "reset"
    rig.tunnel.client_sent(b"after the failure")
    assert rig.transport.buffer == b"valid"
    rig.backend.dataReceived(b"x")
    assert rig.client.buffer == b""
    rig.backend.connectionLost(DONE)
    rig.tunnel.client_lost()
    rig.assert_closed()
    assert "unmasked frame" in rig.tunnel.ending.outcome


def test_failed_dial_closes_with_its_code_and_reason() -> None:
    """Page JavaScript can read why there is no tunnel."""
    rig = TunnelRig(dialed=False)
    rig.tunnel.client_sent(b"never delivered")
    rig.dialing.errback(Refused("127.0.0.1:1 refused the connection"))
    assert rig.client.log == ["4502 refused: 127.0.0.1:1 refused the connection"]
    rig.client_leaves()
    rig.assert_closed()
    assert rig.tunnel.to_backend.dropped_bytes == 15


def test_unexpected_error_of_a_dial_closes_with_1011_and_is_logged(logged: list[str]) -> None:
    """The client gets a code, the operator a traceback."""
    rig = TunnelRig(dialed=False)
    rig.dialing.errback(ZeroDivisionError("unexpected"))
    assert rig.client.log == ["1011 internal-error: see the gateway's log"]
    assert any("could not dial" in line for line in logged)


def test_unexpected_error_of_a_write_resets_both_ends(logged: list[str]) -> None:
    """An end that can't write any more can't be drained."""
    rig = TunnelRig()

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    rig.tunnel.client_sent(bytes(65 * KiB))
    rig.tunnel.client_sent(b"next")
    rig.transport.write = fail  # type: ignore[method-assign]
    rig.transport.drain()
    assert rig.transport.log[-1] == "reset"
    assert rig.client.log == ["reset"]
    assert any("could not write" in line for line in logged)


def test_shut_down_drains_and_says_1001() -> None:
    """A gateway that shuts down delivers what is queued, and stops reading."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(70 * KiB))
    rig.backend.dataReceived(b"queued")
    rig.tunnel.client_sent(b"queued too")
    rig.tunnel.shut_down()
    assert rig.transport.paused
    assert rig.client.log == []
    rig.client.drain()
    assert rig.client.log == ["1001 the gateway is shutting down"]
    rig.client_leaves()
    assert rig.transport.buffer == b"queued too"
    assert rig.transport.log[-1] == "close"


def test_shut_down_leaves_a_closing_tunnel_to_its_end() -> None:
    """A backend that is about to answer our FIN is still read."""
    rig = TunnelRig()
    rig.client_leaves()
    rig.tunnel.shut_down()
    assert not rig.transport.paused
    rig.backend.readConnectionLost()
    rig.backend.connectionLost(DONE)
    rig.assert_closed()


def test_shut_down_during_the_dial_ends_it() -> None:
    """There is nothing to drain yet."""
    rig = TunnelRig(dialed=False)
    rig.tunnel.shut_down()
    assert rig.client.log == ["1001 the gateway is shutting down"]
    rig.client_leaves()
    rig.assert_closed()


pieces = st.lists(st.tuples(st.sampled_from("ud"), st.binary(min_size=1, max_size=40)), max_size=60)


@given(pieces=pieces, open_after=st.integers(0, 20), closer=st.sampled_from(["client", "backend"]))
def test_every_byte_arrives_whichever_side_closes(
    pieces: list[tuple[str, bytes]], open_after: int, closer: str
) -> None:
    """Under any interleaving, all that was sent before the close is delivered before the close."""
    rig = TunnelRig(dialed=False, limits=Limits(high_water_bytes=50))
    rig.client.buffer_size = rig.transport.buffer_size = 30
    sent = {"u": b"", "d": b""}
    for step, (way, data) in enumerate(pieces):
        if step == open_after:
            rig.dialing.callback(rig.backend)
        if way == "u":
            while rig.client.paused and step > open_after:
                rig.transport.drain(7)
            if not rig.client.paused:
                rig.tunnel.client_sent(data)
                sent["u"] += data
        elif step > open_after:
            while rig.transport.paused:
                rig.client.drain(7)
            rig.backend.dataReceived(data)
            sent["d"] += data
    if not rig.dialing.called:
        rig.dialing.callback(rig.backend)
    if closer == "client":
        rig.client_leaves()
        while rig.transport.log[-1] != "fin":
            rig.transport.drain(7)
        assert rig.transport.delivered + rig.transport.buffer == sent["u"]
    else:
        rig.backend.readConnectionLost()
        while "1000" not in rig.client.log:
            rig.client.drain(7)
        assert rig.client.delivered + rig.client.buffer == sent["d"]
