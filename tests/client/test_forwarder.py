"""Local listeners and a gateway, in memory: tunnels, failures, SOCKS, retries and bounds."""

from typing import Any

import pytest
from twisted.internet.error import CannotListenError, ConnectionLost, ConnectionRefusedError

from portofcall.client import Forwarder, Rule
from portofcall.client import forwarder as module
from portofcall.client.report import Report
from portofcall.client.socks import Reply, SOCKSLogin, reply
from portofcall.testing import PUBLIC, FakeTransport, World
from portofcall.websocket.half_close import BINARY, SUBPROTOCOL
from tests.client.support import Pair, result
from tests.support import FakeDelivery

GREETING = b"\x05\x01\x00"
REQUEST = b"\x05\x01\x00\x03\x0adb.example\x00\x16"
SELECTED = b"\x05\x00"


class Forwarding(Pair):
    """A forwarder with one listener, and a gateway in memory."""

    def __init__(self, rule: Rule | None = None, *, world: World | None = None, **options: Any) -> None:
        super().__init__(world or World(allow=["public", "db.example"], names={"db.example": [PUBLIC]}))
        self.lines: list[str] = []
        self.forwarder = Forwarder(
            self.reactor,
            self.opener,
            [rule or Rule.local(f"5432:{PUBLIC}:22")],
            report=Report("forward", write=self.lines.append),
            **options,
        )
        assert result(self.forwarder.start()) is None

    def connect(self) -> FakeTransport:
        """Connect a local program."""
        program = FakeTransport()
        program.protocol = self.reactor.tcpServers[0][1].buildProtocol(None)
        program.protocol.makeConnection(program)
        return program

    def tunnel(self) -> tuple[FakeTransport, FakeTransport]:
        """Return the connections of a local program and of its target."""
        program = self.connect()
        self.accept()
        return program, self.world.accept()

    def refuse_gateway(self) -> None:
        """Have the client's latest connection attempt fail."""
        *_, factory, _timeout, _bind = self.reactor.tcpClients[-1]
        factory.clientConnectionFailed(None, _failure(ConnectionRefusedError()))

    def close(self, *programs: FakeTransport) -> None:
        """Let the ends of all connections be seen."""
        for side in (*programs, self.client, self.gateway):
            side.lose()
        self.reactor.advance(0)


def _failure(error: Exception) -> Any:
    from twisted.python.failure import Failure

    return Failure(error)


def test_a_connection_is_a_tunnel() -> None:
    """Bytes go both ways, those too that come before there is a tunnel; FIN is passed on, both ways."""
    forwarding = Forwarding()
    program = forwarding.connect()
    program.send(b"early ")
    forwarding.accept()
    target = forwarding.world.accept()
    program.send(b"question")
    program.protocol.readConnectionLost()
    forwarding.exchange()
    assert target.take() == b"early question"
    assert "fin" in target.log
    target.send(b"answer")
    target.protocol.readConnectionLost()
    forwarding.exchange()
    assert program.take() == b"answer"
    assert "fin" in program.log
    assert "reset" not in program.log
    forwarding.close(program)
    assert forwarding.lines == []


def test_fin_before_the_tunnel_is_there_is_passed_on() -> None:
    """As of `nc -N`, which sends everything at once."""
    forwarding = Forwarding()
    program = forwarding.connect()
    program.send(b"all")
    program.fin()
    forwarding.accept()
    target = forwarding.world.accept()
    forwarding.exchange()
    assert target.take() == b"all"
    assert "fin" in target.log


def test_a_program_that_sends_before_the_tunnel_is_there_has_to_wait() -> None:
    """What is kept is bounded."""
    forwarding = Forwarding()
    program = forwarding.connect()
    program.send(bytes(64 * 1024))
    assert not program.paused
    program.send(b"x")
    assert program.paused
    forwarding.accept()
    assert not program.paused


def test_a_target_that_refuses_resets_the_connection() -> None:
    """And one line says why."""
    forwarding = Forwarding()
    program = forwarding.connect()
    forwarding.accept()
    forwarding.world.refuse(ConnectionRefusedError())
    forwarding.exchange()
    assert program.log[-1] == "reset"
    assert "fin" not in program.log
    forwarding.close(program)
    assert forwarding.lines == [f"forward: {PUBLIC}:22: refused: {PUBLIC}:22 refused the connection\n"]


def test_a_gateway_that_is_not_reachable_resets_the_connection() -> None:
    """And the next one may find it again."""
    forwarding = Forwarding()
    program = forwarding.connect()
    forwarding.refuse_gateway()
    assert program.log[-1] == "reset"
    assert forwarding.lines == [
        f"forward: {PUBLIC}:22: gateway-unreachable: can't connect to ws://192.0.2.2:8080: "
        "Connection was refused by other side\n"
    ]
    program, target = forwarding.tunnel()
    target.send(b"back")
    forwarding.exchange()
    assert program.take() == b"back"


def test_a_tunnel_that_is_cut_off_resets_the_connection() -> None:
    """After everything that came before was delivered."""
    forwarding = Forwarding()
    program, target = forwarding.tunnel()
    target.send(b"a prefix")
    target.lose(ConnectionLost())
    forwarding.exchange()
    assert program.take() == b"a prefix"
    assert program.log[-1] == "reset"
    forwarding.close(program)
    assert [line.split(": ")[2] for line in forwarding.lines] == ["backend-reset"]


def test_a_lost_gateway_resets_the_connection() -> None:
    """A clean end would look like the target's."""
    forwarding = Forwarding()
    program, _ = forwarding.tunnel()
    forwarding.client.lose(ConnectionLost())
    assert program.log[-1] == "reset"
    program.lose()
    assert [line.split(": ")[2] for line in forwarding.lines] == ["gateway-lost"]


def test_a_reset_by_the_program_resets_the_target() -> None:
    """It is the program's own doing: no line says so."""
    forwarding = Forwarding()
    program, _ = forwarding.tunnel()
    program.lose(ConnectionLost())
    assert forwarding.client.log[-1] == "reset"
    forwarding.client.lose()
    assert forwarding.lines == []


def test_a_program_that_goes_away_early_ends_the_attempt() -> None:
    """Nothing is left of it."""
    forwarding = Forwarding(retry_seconds=60)
    forwarding.connect().lose(ConnectionLost())
    assert result(forwarding.forwarder.stop()) is None
    assert forwarding.reactor.getDelayedCalls() == []
    assert forwarding.lines == []


def test_retries_until_the_gateway_is_back() -> None:
    """Each later than the one before; the program notices nothing."""
    forwarding = Forwarding(retry_seconds=60)
    program = forwarding.connect()
    for attempt in range(1, 8):
        assert len(forwarding.reactor.tcpClients) == attempt
        forwarding.refuse_gateway()
        forwarding.reactor.advance(5)
    program.send(b"patience")
    forwarding.accept()
    forwarding.exchange()
    assert forwarding.world.accept().take() == b"patience"
    assert forwarding.lines == []


def test_retries_end() -> None:
    """With the reason of the last one."""
    forwarding = Forwarding(retry_seconds=1)
    program = forwarding.connect()
    for _ in range(4):
        forwarding.refuse_gateway()
        forwarding.reactor.advance(0.4)
    assert program.log[-1] == "reset"
    assert len(forwarding.lines) == 1


def test_too_many_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is reset at once."""
    monkeypatch.setattr(module, "MOST_OPENING", 2)
    forwarding = Forwarding()
    assert [forwarding.connect().log[-1:] for _ in range(3)] == [[], [], ["reset"]]
    assert [line.split(": ")[2] for line in forwarding.lines] == ["too-many-connections"]


@pytest.fixture(params=[SUBPROTOCOL, BINARY])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The subprotocol that is offered: with a report of the connection, and without."""
    monkeypatch.setattr("portofcall.client.connection.PROTOCOLS", (request.param,))
    return str(request.param)


def test_a_socks_client_gets_its_tunnel(protocol: str) -> None:
    """The reply follows once the target is connected, if the gateway reports that; then data both ways."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program = forwarding.connect()
    for byte in GREETING + REQUEST:
        program.send(bytes((byte,)))
    forwarding.accept()
    reported = protocol == SUBPROTOCOL
    assert program.take() == (SELECTED if reported else SELECTED + reply(Reply.SUCCEEDED))
    target = forwarding.world.accept()
    target.send(b"hello")
    forwarding.exchange()
    assert program.take() == (reply(Reply.SUCCEEDED) if reported else b"") + b"hello"
    program.send(b"world")
    forwarding.exchange()
    assert target.take() == b"world"


def test_a_socks_client_may_send_ahead() -> None:
    """Greeting, request and data in one segment."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program = forwarding.connect()
    program.send(GREETING + REQUEST + b"ahead")
    forwarding.accept()
    target = forwarding.world.accept()
    forwarding.exchange()
    assert target.take() == b"ahead"
    assert program.take() == SELECTED + reply(Reply.SUCCEEDED)


def test_a_refused_target_is_a_reply() -> None:
    """And FIN, not a reset, which could overtake the reply."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program = forwarding.connect()
    program.send(GREETING + REQUEST)
    forwarding.accept()
    forwarding.world.refuse(ConnectionRefusedError())
    forwarding.exchange()
    assert program.take() == SELECTED + reply(Reply.REFUSED)
    assert program.log[-1] == "close"
    forwarding.close(program)
    assert len(forwarding.lines) == 1


def test_a_blocked_target_is_a_reply() -> None:
    """Not allowed by the ruleset."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program = forwarding.connect()
    program.send(GREETING + b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x16")
    forwarding.accept()
    assert program.take() == SELECTED + reply(Reply.NOT_ALLOWED)


def test_a_lost_gateway_is_a_reply() -> None:
    """Before the target is connected; and so is one that is not reachable at all."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program, other = forwarding.connect(), forwarding.connect()
    program.send(GREETING + REQUEST)
    forwarding.accept()
    forwarding.client.lose(ConnectionLost())
    other.send(GREETING + REQUEST)
    forwarding.refuse_gateway()
    assert program.take() == other.take() == SELECTED + reply(Reply.FAILURE)
    assert program.log[-1] == other.log[-1] == "close"


def test_a_socks_client_has_to_log_in() -> None:
    """If there is a login."""
    forwarding = Forwarding(Rule.dynamic("1080"), login=SOCKSLogin(user=b"me", password=b"secret"))
    program = forwarding.connect()
    program.send(b"\x05\x01\x02\x01\x02me\x05wrong")
    assert program.take() == b"\x05\x02\x01\x01"
    assert program.log[-1] == "close"
    program.lose()
    program = forwarding.connect()
    program.send(b"\x05\x01\x02\x01\x02me\x06secret" + REQUEST)
    forwarding.accept()
    forwarding.world.accept()
    forwarding.exchange()
    assert program.take() == b"\x05\x02\x01\x00" + reply(Reply.SUCCEEDED)


def test_a_handshake_that_never_ends_is_ended() -> None:
    """However steadily its bytes come."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program = forwarding.connect()
    for byte in GREETING:
        program.send(bytes((byte,)))
        forwarding.reactor.advance(module.HANDSHAKE_SECONDS / 4)
    assert "reset" not in program.log
    forwarding.reactor.advance(module.HANDSHAKE_SECONDS / 4)
    assert program.log[-1] == "reset"
    program.lose()
    assert forwarding.reactor.getDelayedCalls() == []


def test_fin_ends_a_handshake() -> None:
    """Nothing more can come."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    program = forwarding.connect()
    program.fin()
    assert program.log[-1] == "reset"
    program.lose()
    assert forwarding.reactor.getDelayedCalls() == []


def test_a_flood_of_handshakes_ends_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one always finds a place, and the number is bounded."""
    monkeypatch.setattr(module, "MOST_HANDSHAKES", 3)
    forwarding = Forwarding(Rule.dynamic("1080"))
    programs = [forwarding.connect() for _ in range(5)]
    assert [program.log[-1:] for program in programs] == [["reset"], ["reset"], [], [], []]
    programs[-1].send(GREETING + REQUEST)
    forwarding.accept()
    assert programs[-1].take() == SELECTED
    assert forwarding.lines == []


def test_stopping_resets_everything() -> None:
    """It is over once all connections are gone; nothing is reported."""
    forwarding = Forwarding(Rule.dynamic("1080"))
    shaking, opening, open_ = (forwarding.connect() for _ in range(3))
    open_.send(GREETING + REQUEST)
    forwarding.accept()
    opening.send(GREETING + REQUEST)
    stopped = forwarding.forwarder.stop()
    for program in (shaking, opening):
        assert program.log[-1] == "reset"
        program.lose()
    assert not stopped.called
    assert open_.log[-1] == "close"
    forwarding.close(open_)
    assert stopped.called
    assert forwarding.lines == []


def test_a_port_that_is_taken_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names it; nothing listens then."""
    pair = Pair()

    def taken(*_: object, **__: object) -> None:
        raise CannotListenError("", 5432, OSError(98, "Address already in use"))

    monkeypatch.setattr(pair.reactor, "listenTCP", taken)
    forwarder = Forwarder(pair.reactor, pair.opener, [Rule.local(f"5432:{PUBLIC}:22")])
    problem = result(forwarder.start())
    assert str(problem) == "cannot-listen: can't listen on localhost:5432: Address already in use"
    assert forwarder.addresses == []


def test_a_slow_program_gets_everything_before_the_reset() -> None:
    """A reset discards what the kernel still has to send."""
    forwarding = Forwarding()
    program, target = forwarding.tunnel()
    delivery = FakeDelivery()
    program.protocol.transport.delivery = delivery
    delivery.sent(8)
    target.send(b"a prefix")
    target.lose(ConnectionLost())
    forwarding.exchange()
    forwarding.reactor.pump([1] * 600)
    assert "reset" not in program.log
    delivery.acknowledge(8)
    forwarding.reactor.advance(1)
    assert program.log[-1] == "reset"


def test_a_failure_of_ours_ends_one_connection(monkeypatch: pytest.MonkeyPatch, logged: list[str]) -> None:
    """It is logged, and the others go on."""
    forwarding = Forwarding()
    monkeypatch.setattr(forwarding.opener, "open", lambda *_, **__: 1 / 0)
    program = forwarding.connect()
    assert program.log[-1] == "reset"
    assert any("could not serve a connection" in line for line in logged)
    monkeypatch.undo()
    forwarding.tunnel()


def test_a_gateway_by_url() -> None:
    """An application needs no more than that."""
    forwarder = Forwarder(Forwarding().reactor, "ws://192.0.2.2", [Rule.dynamic("1080")])
    assert result(forwarder.start()) is None
    with pytest.raises(ValueError, match="GATEWAY"):
        Forwarder(None, "gopher://192.0.2.2", [])
