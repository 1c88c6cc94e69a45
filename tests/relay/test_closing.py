"""A closing tunnel waits for a peer that makes progress, and for no other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from portofcall.errors import Refused
from portofcall.limits.values import KiB
from portofcall.relay import closing
from portofcall.relay.delivery import Progress
from portofcall.relay.states import End, Phase
from portofcall.relay.waits import Wait, client_wait
from tests.support import TunnelRig

DONE = Failure(ConnectionDone())


def fin(rig: TunnelRig, *, unacknowledged: int = 0) -> None:
    """Let the backend end, with so much on its way to the client."""
    rig.client.delivery.sent(unacknowledged)
    rig.backend.readConnectionLost()
    assert rig.client.log == ["1000"]


def test_client_that_acknowledges_slowly_is_waited_for() -> None:
    """A byte every 28 seconds, for ten minutes: nothing that it was sent is lost."""
    rig = TunnelRig()
    fin(rig, unacknowledged=20)
    for _ in range(20):
        rig.wait(28)
        rig.client.delivery.acknowledge(1)
    assert rig.client.log == ["1000"]
    rig.tunnel.client_closed()
    assert rig.client.log == ["1000", "close"]
    rig.tunnel.client_lost()
    assert rig.tunnel.traffic.undelivered_bytes == 0


def test_queue_that_is_refilled_is_progress() -> None:
    """Its length stands still, the count of acknowledged bytes does not."""
    rig = TunnelRig()
    for _ in range(3):
        rig.backend.dataReceived(bytes(65 * KiB))
    rig.client.delivery.sent(100)
    rig.backend.readConnectionLost()
    for _ in range(3):
        rig.wait(28)
        rig.client.delivery.acknowledge(50)
        rig.client.delivery.sent(50)
    assert rig.client.log == []


def test_slow_client_in_memory_is_waited_for_while_its_transport_drains() -> None:
    """Where the kernel's counts are not known, what is handed to the transport counts."""
    rig = TunnelRig()
    for _ in range(5):
        rig.backend.dataReceived(bytes(65 * KiB))
    rig.backend.readConnectionLost()
    for _ in range(5):
        rig.wait(28)
        rig.client.drain()
    assert len(rig.client.delivered) == 5 * 65 * KiB
    assert rig.client.log == ["1000"]


def test_client_that_acknowledges_nothing_is_reset_after_30_seconds() -> None:
    """Its pings do not count, and neither does what it sends."""
    rig = TunnelRig()
    fin(rig, unacknowledged=1000)
    for _ in range(29):
        rig.wait(1)
        rig.client.delivery.hear(6)
        rig.tunnel.client_sent(b"x")
    assert rig.client.log == ["1000"]
    rig.wait(2.5)
    assert rig.client.log == ["1000", "reset"]
    assert rig.transport.log[-1] == "reset"
    assert rig.tunnel.ending.outcome == "the backend closed; timed out: client acknowledged nothing"


def test_what_a_reset_client_has_not_acknowledged_is_undelivered() -> None:
    """The log calls delivered only what was acknowledged, and says that the count is an upper bound."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(5000))
    rig.backend.dataReceived(bytes(61 * KiB))
    rig.backend.dataReceived(b"in the chain")
    rig.client.delivery.sent(1000)
    rig.tunnel.client_lost()
    rig.backend.connectionLost(DONE)
    assert rig.tunnel.phase is Phase.CLOSED
    assert rig.tunnel.traffic.down_bytes == 5000 + 61 * KiB - 1000
    assert rig.tunnel.traffic.undelivered_bytes == 1000 + len(b"in the chain")
    assert not rig.tunnel.traffic.undelivered_is_exact


def test_what_a_lost_backend_has_not_acknowledged_is_undelivered_exactly() -> None:
    """There is nothing but payload in its queue."""
    rig = TunnelRig()
    rig.tunnel.client_sent(bytes(5000))
    rig.delivery.sent(700)
    rig.backend.connectionLost(DONE)
    rig.client_leaves()
    assert rig.tunnel.traffic.up_bytes == 4300
    assert rig.tunnel.traffic.undelivered_bytes == 700
    assert rig.tunnel.traffic.undelivered_is_exact


def test_mute_client_gets_fin_5_seconds_after_it_has_everything() -> None:
    """A client that does not answer its Close frame holds up neither its backend nor a restart."""
    rig = TunnelRig()
    fin(rig, unacknowledged=10)
    rig.wait(20)
    rig.client.delivery.acknowledge(10)
    rig.wait(4)
    assert rig.client.log == ["1000"]
    rig.wait(3)
    assert rig.client.log == ["1000", "close"]
    assert rig.transport.log[-2:] == ["fin", "close"]
    rig.tunnel.client_lost()
    rig.backend.connectionLost(DONE)
    rig.assert_closed()
    assert rig.tunnel.ending.outcome == "the backend closed; timed out: client did not answer the Close frame"


def test_mute_client_does_not_hold_up_a_shutdown() -> None:
    """After 1001 it has 5 seconds as well."""
    rig = TunnelRig()
    rig.tunnel.shut_down()
    rig.wait(7)
    assert rig.client.log == ["1001 the gateway is shutting down", "close"]


def test_client_that_breaks_the_protocol_and_stays_gets_5_seconds() -> None:
    """Then its connection is closed, and reset if that does not help, whatever its end does by itself."""
    rig = TunnelRig()
    rig.tunnel.client_failed("unmasked frame")
    assert rig.client.log == []
    rig.wait(7)
    assert rig.client.log == ["close"]
    rig.wait(7)
    assert rig.client.log[:2] == ["close", "reset"]


def test_pinging_client_that_has_everything_gets_5_minutes_to_answer() -> None:
    """It may read slowly what a proxy holds, which has acknowledged for it; but not for ever."""
    rig = TunnelRig()
    fin(rig)
    for _ in range(74):
        rig.wait(4)
        rig.client.delivery.hear(6)
    assert rig.client.log == ["1000"]
    rig.wait(4.5)
    assert rig.client.log == ["1000", "close"]


def test_client_that_goes_on_sending_in_vain_is_closed_after_5_seconds() -> None:
    """What it sends is discarded, as its backend is gone; it does not read the Close frame."""
    rig = TunnelRig()
    rig.backend.connectionLost(DONE)
    for _ in range(7):
        rig.tunnel.client_sent(b"and on")
        rig.client.delivery.hear(14)
        rig.wait(1)
    assert rig.client.log[1:] == ["close"]


def test_client_that_has_answered_is_closed_once_it_has_acknowledged_everything() -> None:
    """Its answer may have crossed our Close frame."""
    rig = TunnelRig()
    fin(rig, unacknowledged=10)
    rig.tunnel.client_closed()
    rig.wait(2)
    assert rig.client.log == ["1000"]
    rig.client.delivery.acknowledge(10)
    rig.wait(1)
    assert rig.client.log == ["1000", "close"]


def test_backend_is_closed_only_after_it_has_acknowledged_everything() -> None:
    """A socket that is closed earlier can't report what became of the rest."""
    rig = TunnelRig()
    rig.tunnel.client_sent(b"the end")
    rig.delivery.sent(7)
    rig.tunnel.client_closed()
    rig.backend.readConnectionLost()
    rig.wait(28)
    assert rig.transport.log[-1] == "fin"
    rig.delivery.acknowledge(7)
    rig.wait(1)
    assert rig.transport.log[-1] == "close"


def test_backend_that_stops_reading_does_not_cut_what_the_client_still_gets() -> None:
    """The backend has ended, so that nothing is expected of it; its last bytes are on their way."""
    rig = TunnelRig()
    rig.tunnel.client_sent(b"unread")
    rig.delivery.sent(6)
    fin(rig, unacknowledged=100)
    for _ in range(10):
        rig.wait(20)
        rig.client.delivery.acknowledge(10)
    assert rig.client.log == ["1000"]
    assert rig.transport.log[-1] == "keepalive=True"


def test_reset_peer_is_not_waited_for() -> None:
    """Nothing more will be acknowledged, whatever is in the queue."""
    rig = TunnelRig()
    rig.delivery.sent(7)
    rig.tunnel.client_closed()
    rig.backend.readConnectionLost()
    rig.delivery.progress = Progress(reset=True)
    rig.wait(1)
    assert rig.transport.log[-1] == "close"


def test_program_gets_the_answer_of_a_backend_that_ends_after_its_close_frame() -> None:
    """All of it, then the reply: a Close frame of a client that is no page ends one direction only."""
    rig = TunnelRig()
    rig.tunnel.client_sent(b"request")
    rig.tunnel.client_closed()
    assert rig.transport.log[-1] == "fin"
    for _ in range(5):
        rig.wait(4)
        rig.backend.dataReceived(b"answer")
    assert rig.client.log == []
    rig.backend.readConnectionLost()
    assert rig.client.buffer == b"answer" * 5
    assert rig.client.log == ["reply", "fin"]


def test_page_is_answered_at_once() -> None:
    """A browser discards what comes after its Close frame."""
    rig = TunnelRig(page=True)
    rig.backend.dataReceived(bytes(65 * KiB))
    rig.backend.dataReceived(b"in the chain")
    rig.tunnel.client_sent(b"the last")
    rig.tunnel.client_closed()
    assert rig.client.log == ["reply", "fin"]
    assert rig.transport.buffer == b"the last"
    assert rig.transport.log[-1] == "fin"
    assert rig.tunnel.to_client.dropped_bytes == len(b"in the chain")


def test_page_frees_its_place_although_the_backend_never_stops() -> None:
    """The backend has 5 seconds in all to end."""
    rig = TunnelRig(page=True)
    rig.tunnel.client_closed()
    rig.tunnel.client_lost()
    for _ in range(7):
        rig.backend.dataReceived(b"and on")
        rig.wait(1)
    assert rig.transport.log[-1] == "close"
    rig.backend.connectionLost(DONE)
    rig.assert_closed()


def test_silent_backend_of_a_program_is_waited_for_5_seconds() -> None:
    """A chat server, for example, ends nothing by itself."""
    rig = TunnelRig()
    rig.tunnel.client_closed()
    rig.wait(4)
    assert rig.client.log == []
    rig.wait(3)
    assert rig.client.log == ["reply", "fin"]
    assert rig.transport.log[-1] == "close"


def test_slow_program_is_not_taken_for_a_silent_backend() -> None:
    """The backend is paused, because the client reads slowly; for that it has 30 seconds."""
    rig = TunnelRig()
    rig.client.delivery.sent(100)
    rig.tunnel.client_closed()
    rig.wait(7)
    rig.client.delivery.acknowledge(1)
    rig.wait(7)
    assert rig.client.log == []


def test_backend_that_never_stops_is_cut_when_the_grace_is_over() -> None:
    """The program gets what had arrived, and a code that says that there was more."""
    rig = TunnelRig()
    rig.tunnel.client_closed()
    for _ in range(22):
        rig.backend.dataReceived(b"and on")
        rig.wait(1)
    sentence = "the backend was still sending 20 seconds after it got FIN"
    assert rig.client.log == [f"1011 grace-over: {sentence}", "fin"]
    assert rig.transport.log[-1] == "reset"
    assert rig.tunnel.ending.outcome == f"the client closed; timed out: {sentence}"


def test_program_that_reads_nothing_is_given_up_but_what_it_sent_is_delivered() -> None:
    """An echo server that can't send does not read either: what it sends is discarded in the end."""
    rig = TunnelRig()
    for _ in range(6):
        rig.backend.dataReceived(bytes(65 * KiB))
    assert rig.transport.paused
    rig.tunnel.client_sent(bytes(65 * KiB))
    rig.tunnel.client_sent(b"the end")
    rig.tunnel.client_closed()
    rig.wait(32)
    assert rig.client.log == ["reset"]
    assert not rig.transport.paused
    rig.tunnel.client_lost()
    rig.transport.drain()
    rig.transport.drain()
    assert rig.transport.delivered == bytes(65 * KiB) + b"the end"
    assert rig.transport.log[-1] == "fin"


def test_paused_backend_stays_paused_at_a_shutdown() -> None:
    """It is not resumed for its bytes to be thrown away."""
    rig = TunnelRig()
    for _ in range(6):
        rig.backend.dataReceived(bytes(65 * KiB))
    assert rig.transport.paused
    rig.tunnel.shut_down()
    while rig.client.buffer:
        rig.client.drain()
    assert rig.client.log == ["1001 the gateway is shutting down"]
    rig.client_leaves()
    assert rig.transport.paused
    assert rig.transport.log[-1] == "close"


@pytest.mark.parametrize("unread", [0, 1])
def test_paused_backend_of_a_closed_page_is_resumed_only_if_it_has_something_to_read(unread: int) -> None:
    """Otherwise its bytes would be read for nothing."""
    rig = TunnelRig(page=True)
    for _ in range(6):
        rig.backend.dataReceived(bytes(65 * KiB))
    assert rig.transport.paused
    rig.delivery.sent(unread)
    rig.tunnel.client_closed()
    assert rig.transport.paused is not bool(unread)


def test_close_frame_of_a_paused_client_lets_it_be_read() -> None:
    """It sends nothing more, but its connection may end, which only reading shows."""
    rig = TunnelRig()
    rig.tunnel.client_sent(bytes(65 * KiB))
    rig.tunnel.client_sent(bytes(257 * KiB))
    assert rig.client.paused
    rig.tunnel.client_closed()
    assert not rig.client.paused


def test_tunnel_that_closes_is_looked_at_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stuck one costs next to nothing, however many there are."""
    rig = TunnelRig()
    fin(rig, unacknowledged=1)
    looks = 0

    def count(*args: Any, **kwargs: Any) -> Wait:
        nonlocal looks
        looks += 1
        return client_wait(*args, **kwargs)

    monkeypatch.setattr(closing, "client_wait", count)
    rig.wait(25)
    assert 24 <= looks <= 31


GONE = Progress(silent_seconds=181)


def test_live_client_whose_machine_is_gone_is_cut() -> None:
    """Its kernel has acknowledged nothing for 3 minutes; the backend must learn that the stream was cut."""
    rig = TunnelRig()
    rig.client.delivery.sent(1)
    rig.client.delivery.progress = GONE
    rig.tunnel.look_for_gone_peers()
    assert rig.client.log == ["reset"]
    assert rig.transport.log[-1] == "reset"
    assert rig.tunnel.ending.outcome == "client is gone: no acknowledgement for 180 seconds"


def test_client_of_a_backend_that_is_gone_gets_what_had_arrived() -> None:
    """And a code that says that there may have been more."""
    rig = TunnelRig()
    rig.backend.dataReceived(bytes(65 * KiB))
    rig.backend.dataReceived(b"in the chain")
    rig.delivery.sent(1)
    rig.delivery.progress = GONE
    rig.tunnel.look_for_gone_peers()
    assert rig.transport.log[-1] == "reset"
    rig.backend.connectionLost(DONE)
    rig.client.drain()
    assert rig.client.log == ["1011 backend-gone: no acknowledgement from the backend for 180 seconds"]
    rig.client.drain()
    assert rig.client.delivered == bytes(65 * KiB) + b"in the chain"


@pytest.mark.parametrize("reset", [True, False])
def test_reset_of_a_backend_that_has_sent_fin_is_noticed(reset: bool) -> None:
    """It is not read any more, so that the reactor does not report it."""
    rig = TunnelRig(half_closes=True)
    rig.backend.readConnectionLost()
    rig.delivery.failed = reset
    rig.tunnel.look_for_gone_peers()
    assert ("reset" in rig.transport.log) is reset
    assert rig.tunnel.phase is Phase.OPEN
    if reset:
        rig.backend.connectionLost(Failure(ConnectionAborted()))
        assert rig.client.log == ["eof", "1011 backend-reset: the backend reset the connection"]
        assert rig.tunnel.ending.outcome == "the backend was lost: it reset the connection"


def test_backend_that_was_reset_before_the_client_ended_gets_no_fin() -> None:
    """Even if its kernel has acknowledged everything."""
    rig = TunnelRig(half_closes=True)
    rig.backend.readConnectionLost()
    rig.tunnel.client_sent(b"acknowledged, but not read")
    rig.delivery.failed = True
    rig.tunnel.client_ended()
    assert "fin" not in rig.transport.log
    rig.backend.connectionLost(Failure(ConnectionAborted()))
    assert rig.client.log == ["eof", "1011 backend-reset: the backend reset the connection"]


@pytest.mark.parametrize("failed", [True, False])
def test_connection_that_is_over_after_both_ends_may_have_been_reset(failed: bool) -> None:
    """Its state is the same; only the error shows whether the backend may have lost something."""
    rig = TunnelRig(half_closes=True)
    rig.delivery.sent(1)
    rig.backend.readConnectionLost()
    rig.tunnel.client_ended()
    rig.wait(1)
    assert rig.client.log == ["eof"]
    rig.delivery.progress = Progress(reset=True)
    rig.delivery.failed = failed
    rig.wait(1)
    if failed:
        assert rig.transport.log[-1] == "reset"
        rig.backend.connectionLost(Failure(ConnectionAborted()))
        assert rig.client.log == ["eof", "1011 backend-reset: the backend reset the connection"]
    else:
        assert rig.transport.log[-1] == "close"
        assert rig.client.log == ["eof", "1000"]


@pytest.mark.parametrize("end", ["client", "backend"])
def test_peer_that_has_nothing_to_acknowledge_may_be_silent(end: str) -> None:
    """An idle tunnel is left to keepalive."""
    rig = TunnelRig()
    (rig.client.delivery if end == "client" else rig.delivery).progress = GONE
    rig.tunnel.look_for_gone_peers()
    assert rig.tunnel.phase is Phase.OPEN


@pytest.mark.parametrize("end", ["client", "backend"])
def test_peer_that_does_not_read_is_not_gone(end: str) -> None:
    """Its kernel acknowledges the probes of its window."""
    rig = TunnelRig()
    delivery = rig.client.delivery if end == "client" else rig.delivery
    delivery.sent(1)
    delivery.progress = Progress(silent_seconds=121)
    rig.tunnel.look_for_gone_peers()
    assert rig.tunnel.phase is Phase.OPEN


class Life:
    """A tunnel whose peers do any of the things that peers can do, in any order that is possible.

    Args:
        client: what kind it is: ``program``, ``page`` or ``v1``.
        dies: whether a peer's connection ends when the gateway closes it; otherwise only when it is reset.

    Attributes:
        has_fin: whether the backend has sent FIN.
    """

    has_fin = False

    def __init__(self, *, client: str, dies: bool) -> None:
        self.rig = TunnelRig(dialed=False, page=client == "page", half_closes=client == "v1")
        self._dies = dies
        self._client_sends = self._client_talks = self._client_there = self._backend_talks = True

    def do(self, what: str) -> None:  # noqa: PLR0912 - one branch for each thing
        """Do one thing, if it is possible now."""
        rig = self.rig
        dialed = rig.dialing.called and rig.tunnel._ends.backend is not None
        backend = dialed and rig.ends.backend_state is not End.GONE
        match what:
            case "dial" if not rig.dialing.called:
                rig.dialing.callback(rig.backend)
            case "refuse" if not rig.dialing.called:
                rig.dialing.errback(Refused("refused"))
            case "up" if self._client_talks and self._client_sends and not rig.client.paused:
                rig.tunnel.client_sent(bytes(65 * KiB))
                rig.delivery.sent(1)
            case "down" if backend and self._backend_talks and not rig.transport.paused:
                rig.backend.dataReceived(bytes(65 * KiB))
                rig.client.delivery.sent(1)
            case "eof" if self._client_talks and self._client_sends and rig.client.half_closes:
                self._client_sends = False
                rig.tunnel.client_ended()
            case "Close" if self._client_talks:
                self._client_talks = False
                rig.tunnel.client_closed()
            case "fail" if self._client_talks:
                self._client_talks = False
                rig.tunnel.client_failed("unmasked frame")
            case "lose client" if self._client_there:
                self._client_talks = self._client_there = False
                rig.tunnel.client_lost()
            case "FIN" if backend and self._backend_talks and not rig.transport.paused:
                self._backend_talks = False
                self.has_fin = True
                rig.backend.readConnectionLost()
            case "lose backend" if backend:
                self._backend_talks = False
                rig.backend.connectionLost(DONE)
            case "client reads":
                rig.client.drain()
                rig.client.delivery.unacknowledged_bytes = 0
            case "backend reads" if backend:
                rig.transport.drain()
                rig.delivery.unacknowledged_bytes = 0
            case "shut down":
                rig.tunnel.shut_down()
            case "wait":
                rig.wait(1)
        self.end()

    def end(self) -> None:
        """Let the connections end that the gateway ends."""
        ends = {"reset", "close"} if self._dies else {"reset"}
        if self._client_there and ends & set(self.rig.client.log):
            self._client_talks = self._client_there = False
            self.rig.tunnel.client_lost()
        if self.rig.ends.backend_state not in (End.DIALING, End.GONE) and ends & set(self.rig.transport.log):
            self._backend_talks = False
            self.rig.backend.connectionLost(DONE)


@given(
    client=st.sampled_from(["program", "page", "v1"]),
    dies=st.booleans(),
    steps=st.lists(
        st.sampled_from(
            [
                *("dial", "refuse", "up", "down", "Close", "fail", "lose client", "FIN", "lose backend"),
                *("client reads", "backend reads", "shut down", "wait", "eof"),
            ]
        ),
        max_size=25,
    ),
)
def test_closing_tunnel_ends_whatever_its_peers_have_done(client: str, dies: bool, steps: list[str]) -> None:
    """Although they do nothing more from then on, it ends within minutes, once, and nothing of it is left."""
    life = Life(client=client, dies=dies)
    for step in steps:
        life.do(step)
    if not life.rig.dialing.called:
        life.do("dial")
    life.do("shut down")
    for _ in range(100):
        life.rig.wait(1)
        life.end()
    life.rig.assert_closed()
    closes = [what for what in life.rig.client.log if what[0].isdigit() or what == "reply"]
    assert len(closes) <= 1
    assert life.rig.client.log.count("eof") <= life.has_fin
