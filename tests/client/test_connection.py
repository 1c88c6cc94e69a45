"""A tunnel through a gateway in memory: opened, refused, and ended in every way."""

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.client.credentials import Login
from portofcall.client.problem import Problem, Status
from portofcall.client.tunnel import ClientTunnel
from portofcall.limits.values import Limits, Rate
from portofcall.target import Target, TargetName
from portofcall.testing import FakeTransport, World
from portofcall.websocket.half_close import BINARY, SUBPROTOCOL
from tests.client.support import Pair, result

KEY = TicketKey.load(b"k" * 32)


@pytest.fixture(autouse=True, params=[SUBPROTOCOL, BINARY])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The subprotocol that is offered: with half-close, and without."""
    monkeypatch.setattr("portofcall.client.connection.PROTOCOLS", (request.param,))
    return str(request.param)


def opened(world: World | None = None, **options: Any) -> tuple[Pair, ClientTunnel, FakeTransport]:
    """Open a tunnel, and return it with the connection to its target."""
    pair = Pair(world, **options)
    tunnel = pair.open()
    assert isinstance(tunnel, ClientTunnel), tunnel
    backend = pair.world.accept()
    return pair, tunnel, backend


def test_bytes_go_both_ways() -> None:
    """From the local end to the target, and back."""
    pair, _, backend = opened()
    pair.local.connection.send(b"up" * 40_000)
    pair.exchange()
    assert backend.take() == b"up" * 40_000
    backend.send(b"down" * 40_000)
    pair.exchange()
    assert pair.local.connection.take() == b"down" * 40_000


def test_small_messages_keep_their_order() -> None:
    """They wait behind what already waits, and are counted once, in both directions."""
    pair, tunnel, backend = opened()
    for chain, sender, receiver in (
        (tunnel.to_client, pair.local.connection, backend),
        (tunnel.to_backend, backend, pair.local.connection),
    ):
        chain.pauseProducing()
        sender.send(b"1")
        pair.exchange()
        assert (receiver.take(), chain.waiting_bytes) == (b"", 1)
        chain.resumeProducing()
        sender.send(b"2")
        pair.exchange()
        assert (receiver.take(), chain.passed_bytes) == (b"12", 2)


def test_a_payload_that_looks_like_a_message_is_none() -> None:
    """The rest of a message that comes in pieces is its payload."""
    pair, _, _ = opened()
    pair.client.send(b"\x82\x04")
    pair.client.send(b"\x82\x01x")
    pair.client.send(b"y")
    assert pair.local.connection.take() == b"\x82\x01xy"


def test_bytes_that_come_before_the_target_is_connected_arrive() -> None:
    """They wait at the gateway."""
    pair = Pair()
    pair.open()
    pair.local.connection.send(b"early")
    pair.exchange()
    assert pair.world.accept().take() == b"early"


def test_the_target_ends_first() -> None:
    """The local end gets everything and FIN, and then everything is over without a problem."""
    pair, tunnel, backend = opened()
    backend.send(b"last words")
    backend.protocol.readConnectionLost()
    pair.exchange()
    assert pair.local.connection.take() == b"last words"
    assert "fin" in pair.local.connection.log
    pair.local.readConnectionLost()
    pair.exchange()
    pair.local.connection.lose()
    pair.lose()
    assert tunnel.closed.called
    assert result(tunnel.closed) is None


def test_the_local_end_ends_first() -> None:
    """The target gets everything and FIN, and what it answers still arrives."""
    pair, tunnel, backend = opened()
    pair.local.connection.send(b"question")
    pair.local.readConnectionLost()
    pair.exchange()
    assert backend.take() == b"question"
    assert "fin" in backend.log
    pair.reactor.advance(30)
    backend.send(b"answer")
    backend.protocol.readConnectionLost()
    pair.exchange()
    assert pair.local.connection.take() == b"answer"
    pair.local.connection.lose()
    pair.lose()
    assert tunnel.closed.called
    assert result(tunnel.closed) is None


def test_success_is_reported_only_when_the_target_has_everything(protocol: str) -> None:
    """Both sides may have ended while the gateway still has something for it; only half-close shows that."""
    pair, tunnel, backend = opened()
    backend.protocol.readConnectionLost()
    pair.exchange()
    pair.local.connection.send(bytes(70_000))
    pair.exchange()
    pair.local.connection.send(b"the end")
    pair.local.readConnectionLost()
    pair.exchange()
    assert "fin" in pair.local.connection.log
    assert not tunnel.closed.called
    backend.lose(ConnectionLost())
    pair.exchange()
    pair.local.connection.lose()
    pair.lose()
    problem = result(tunnel.closed)
    assert getattr(problem, "slug", None) == ("backend-reset" if protocol == SUBPROTOCOL else None)


def test_a_target_that_refuses_is_a_problem() -> None:
    """With the gateway's slug and sentence; the local end is ended at once."""
    pair = Pair()
    tunnel = pair.open()
    pair.world.refuse(ConnectionRefusedError())
    pair.exchange()
    assert pair.local.ended_by_gateway
    assert "fin" in pair.local.connection.log
    pair.local.connection.lose()
    pair.lose()
    problem = result(tunnel.closed)
    assert (problem.slug, problem.status) == ("refused", Status.TARGET)


def test_a_blocked_target_is_a_problem() -> None:
    """The policy's reason is the sentence."""
    pair = Pair()
    tunnel = pair.open(Target.parse("10.0.0.1", 22))
    pair.local.connection.lose()
    pair.lose()
    problem = result(tunnel.closed)
    assert (problem.slug, problem.status) == ("blocked", Status.FORBIDDEN)


def test_a_named_target() -> None:
    """It is asked for by its name."""
    world = World(targets=["db=192.0.2.7:5432"])
    pair = Pair(world)
    assert isinstance(pair.open(TargetName.parse("db")), ClientTunnel)
    assert world.dialed == [("192.0.2.7", 5432)]


def test_a_refusal_before_the_upgrade_is_a_problem() -> None:
    """Its sentence is that of the gateway's JSON."""
    world = World(credentials=Credentials(ticket_key=KEY))
    problem = Pair(world).open()
    assert isinstance(problem, Problem)
    assert (problem.slug, problem.status) == ("unauthorized", Status.AUTHENTICATION)
    assert problem.sentence == "this gateway requires a ticket"


def test_a_rate_limit_says_when_to_try_again() -> None:
    """With the gateway's Retry-After."""
    world = World(limits=Limits(rate_per_client=Rate(0.1, 1)))
    assert isinstance(Pair(world).open(), ClientTunnel)
    problem = Pair(world).open()
    assert isinstance(problem, Problem)
    assert problem.status is Status.TRY_LATER
    assert problem.sentence.endswith("try again in 10 seconds")


def test_a_ticket_is_sent_in_a_header() -> None:
    """It is in no URL, and the gateway takes it there."""
    world = World(credentials=Credentials(ticket_key=KEY))
    pair = Pair(world, login=Login(ticket=KEY.issue(now=world.now, ttl_seconds=60)))
    assert isinstance(pair.open(), ClientTunnel)


def test_an_unreachable_gateway_is_a_problem() -> None:
    """The system's reason is in the sentence."""
    pair = Pair()
    opening = pair.opener.open(TargetName.parse("x"), lambda _: pair.local)
    *_, factory, _timeout, _bind = pair.reactor.tcpClients[-1]
    factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    problem = result(opening)
    assert (problem.slug, problem.status) == ("gateway-unreachable", Status.UNREACHABLE)


def test_a_gateway_that_does_not_answer_is_given_up() -> None:
    """After the time limit, with its connection reset."""
    pair = Pair()
    opening = pair.opener.open(TargetName.parse("x"), lambda _: pair.local)
    *_, factory, _timeout, _bind = pair.reactor.tcpClients[-1]
    silent = FakeTransport()
    silent.protocol = factory.buildProtocol(silent.getPeer())
    silent.protocol.makeConnection(silent)
    pair.reactor.advance(30)
    problem = result(opening)
    assert (problem.slug, problem.status) == ("gateway-timeout", Status.UNREACHABLE)
    assert silent.log[-1] == "reset"


@pytest.mark.parametrize("reason", [ConnectionDone(), ConnectionLost()])
def test_a_gateway_that_hangs_up_during_the_handshake(reason: Exception) -> None:
    """It is not reachable."""
    pair = Pair()
    opening = pair.opener.open(TargetName.parse("x"), lambda _: pair.local)
    *_, factory, _timeout, _bind = pair.reactor.tcpClients[-1]
    client = FakeTransport()
    client.protocol = factory.buildProtocol(client.getPeer())
    client.protocol.makeConnection(client)
    client.lose(reason)
    problem = result(opening)
    assert (problem.slug, problem.status) == ("gateway-lost", Status.UNREACHABLE)


def test_a_refusal_whose_body_never_ends_is_cut() -> None:
    """What has come within two seconds is what counts."""
    pair = Pair()
    opening = pair.opener.open(TargetName.parse("x"), lambda _: pair.local)
    *_, factory, _timeout, _bind = pair.reactor.tcpClients[-1]
    client = FakeTransport()
    client.protocol = factory.buildProtocol(client.getPeer())
    client.protocol.makeConnection(client)
    client.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n{")
    assert result(opening) is None
    pair.reactor.advance(2)
    assert result(opening).slug == "forbidden"


def test_a_gateway_that_is_killed_cuts_the_tunnel() -> None:
    """Without a Close frame it is no end, and the local end is reset."""
    pair, tunnel, _ = opened()
    pair.client.lose(ConnectionLost())
    pair.reactor.advance(0)
    assert pair.local.connection.log[-1] == "reset"
    pair.local.connection.lose()
    problem = result(tunnel.closed)
    assert (problem.slug, problem.status) == ("gateway-lost", Status.CUT_OFF)


def test_a_reset_of_the_target_cuts_the_tunnel() -> None:
    """What came before is delivered."""
    pair, tunnel, backend = opened()
    backend.send(b"a prefix")
    backend.lose(ConnectionLost())
    pair.exchange()
    assert pair.local.connection.take() == b"a prefix"
    pair.local.connection.lose()
    pair.lose()
    problem = result(tunnel.closed)
    assert (problem.slug, problem.status) == ("backend-reset", Status.CUT_OFF)


def test_a_gateway_that_breaks_the_protocol() -> None:
    """A masked frame, for one (RFC 6455 §5.1)."""
    pair, tunnel, _ = opened()
    pair.client.send(b"\x82\x81\x00\x00\x00\x00x")
    pair.reactor.advance(5)
    pair.local.connection.lose()
    pair.client.lose()
    problem = result(tunnel.closed)
    assert (problem.slug, problem.status) == ("protocol-error", Status.CUT_OFF)


def assert_missed_pings_cut(pair: Pair, tunnel: ClientTunnel) -> None:
    """The tunnel stays open while the gateway answers pings, and is cut when it stops."""
    for _ in range(60):
        pair.reactor.advance(0.5)
        pair.exchange()
    assert not tunnel.closed.called
    pair.reactor.pump([0.5] * 60)
    pair.local.connection.lose()
    pair.client.lose()
    problem = result(tunnel.closed)
    assert (problem.slug, problem.status) == ("ping-timeout", Status.CUT_OFF)


def test_a_gateway_that_answers_no_ping_cuts_the_tunnel() -> None:
    """As far as it had nothing left to read."""
    pair, tunnel, _ = opened(limits=Limits(ping_interval_seconds=10, ping_timeout_seconds=5))
    assert_missed_pings_cut(pair, tunnel)


def test_a_gateway_that_is_gone_after_both_sides_have_ended(protocol: str) -> None:
    """Its Close frame is waited for as long as it answers pings: the target may read slowly."""
    if protocol != SUBPROTOCOL:
        pytest.skip("it sends the Close frame first")
    pair, tunnel, backend = opened(limits=Limits(ping_interval_seconds=10, ping_timeout_seconds=5))
    pair.local.connection.send(bytes(70_000))
    pair.exchange()
    pair.local.connection.send(b"the end")
    pair.local.readConnectionLost()
    backend.protocol.readConnectionLost()
    pair.exchange()
    pair.local.connection.take()
    assert_missed_pings_cut(pair, tunnel)
    assert not pair.reactor.getDelayedCalls()


def test_a_slow_local_end_pauses_the_target() -> None:
    """Nothing more than the high-water mark is kept, here and at the gateway."""
    pair, _, backend = opened()
    for _ in range(60):
        if backend.paused:
            break
        backend.send(bytes(1 << 16))
        data = pair.gateway.take() if not pair.client.paused else b""
        if data:
            pair.client.send(data)
    assert pair.client.paused
    assert backend.paused or len(pair.gateway.buffer) > 0


def test_a_slow_gateway_pauses_the_local_end() -> None:
    """What it does not read stays with the local program."""
    pair, _, _ = opened()
    for _ in range(60):
        pair.local.connection.send(bytes(1 << 16))
        if pair.local.connection.paused:
            break
    assert pair.local.connection.paused
    pair.exchange()
    assert not pair.local.connection.paused


def test_an_interrupt_resets_both() -> None:
    """The reason is the caller's."""
    pair, tunnel, _ = opened()
    reason = Problem("interrupted", "Ctrl-C", Status.INTERRUPTED)
    tunnel.interrupt(reason)
    assert pair.client.log[-1] == pair.local.connection.log[-1] == "reset"
    pair.local.connection.lose()
    pair.client.lose()
    assert result(tunnel.closed) is reason


def test_a_local_end_that_fails_ends_the_tunnel() -> None:
    """Its problem is the reason, and the connection to the gateway is closed."""
    pair, tunnel, _ = opened()
    reason = Problem("stdout-closed", "closed", Status.UNREAD)
    pair.local.connection.lose(reason)
    assert pair.client.log[-1] == "close"
    pair.client.lose()
    assert result(tunnel.closed) is reason


def test_a_problem_is_known_before_the_local_end_is_ended() -> None:
    """ssh ends its ProxyCommand as soon as that closes its output: the reason has to be said before."""
    pair = Pair()
    tunnel = pair.open()
    seen: list[tuple[str, list[str]]] = []
    tunnel.on_problem = lambda problem: seen.append((problem.slug, list(pair.local.connection.log)))
    pair.world.refuse(ConnectionRefusedError())
    pair.exchange()
    ((slug, log),) = seen
    assert slug == "refused"
    assert "fin" not in log
    assert "fin" in pair.local.connection.log
