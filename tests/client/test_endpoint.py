"""Any Twisted client runs through a gateway."""

from typing import Any

import pytest
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol, IPullProducer, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.client import Gateway, GatewayEndpoint, Problem, Status, connect
from portofcall.errors import InvalidTarget
from portofcall.testing import PUBLIC, FakeTransport
from portofcall.websocket.half_close import BINARY, SUBPROTOCOL
from tests.client.support import Pair, result


@pytest.fixture(autouse=True, params=[SUBPROTOCOL, BINARY])
def protocol(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The subprotocol that is offered: with half-close, and without."""
    monkeypatch.setattr("portofcall.client.connection.PROTOCOLS", (request.param,))
    return str(request.param)


class Application(Protocol):
    """What an application has seen of its connection."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        assert type(data) is bytes
        self.received += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        assert self.lost is None, "lost twice"
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Application):
    """One that sends on after the target has ended."""

    half_closed = False

    def readConnectionLost(self) -> None:
        self.half_closed = True

    def writeConnectionLost(self) -> None:
        raise AssertionError("nothing calls it")


class Through(Pair):
    """An application that is connected through a gateway in memory."""

    def __init__(self, kind: type[Application] = Application, *, accept: bool = True) -> None:
        super().__init__()
        factory = Factory.forProtocol(kind)
        connecting = GatewayEndpoint(self.reactor, self.opener, PUBLIC, 22).connect(factory)
        self.accept()
        self.app: Any = result(connecting)
        self.backend: FakeTransport = self.world.accept() if accept else FakeTransport()

    def settle(self) -> None:
        """Exchange everything, then let the ends of the connection between both be seen."""
        self.exchange()
        for side, other in ((self.client, self.gateway), (self.gateway, self.client)):
            if {"fin", "close", "reset"} & set(side.log):
                other.lose()
                side.lose()
                break
        self.reactor.advance(0)


def test_bytes_both_ways_and_the_end_of_the_target() -> None:
    """As over TCP: the end of what the target sends closes the connection."""
    through = Through()
    through.app.transport.writeSequence([b"que", b"stion"])
    through.exchange()
    assert through.backend.take() == b"question"
    through.backend.send(b"answer")
    through.backend.protocol.readConnectionLost()
    through.settle()
    assert through.app.received == b"answer"
    assert through.app.lost.check(ConnectionDone)


def test_the_application_closes() -> None:
    """Everything that it wrote arrives, and what still comes is not wanted."""
    through = Through()
    through.app.transport.write(b"last words")
    through.app.transport.loseConnection()
    through.app.transport.write(b"too late")
    through.settle()
    assert through.backend.take() == b"last words"
    assert "fin" in through.backend.log
    assert through.app.lost.check(ConnectionDone)


def test_half_close_both_ways() -> None:
    """The target's end is reported, and the application may send on; and the other way round."""
    through = Through(HalfCloseable)
    through.app.transport.write(b"all")
    through.app.transport.loseWriteConnection()
    through.exchange()
    assert through.backend.take() == b"all"
    assert "fin" in through.backend.log
    through.backend.send(b"result")
    through.backend.protocol.readConnectionLost()
    through.exchange()
    assert (through.app.received, through.app.half_closed) == (b"result", True)


def test_the_application_aborts() -> None:
    """Both connections are reset."""
    through = Through()
    through.app.transport.abortConnection()
    through.reactor.advance(0)
    assert through.client.log[-1] == "reset"
    through.client.lose()
    through.reactor.advance(0)
    assert through.app.lost.check(ConnectionAborted)


def test_a_target_that_refuses_ends_the_connection_with_its_problem() -> None:
    """The gateway's reason is the reason of the end."""
    through = Through(accept=False)
    through.world.refuse(ConnectionRefusedError())
    through.settle()
    assert through.app.lost.check(Problem)
    assert (through.app.lost.value.slug, through.app.lost.value.status) == ("refused", Status.TARGET)


def test_a_gateway_that_is_not_reachable_fails_the_connection() -> None:
    """As with any endpoint, with a `Problem`."""
    pair = Pair()
    connecting = GatewayEndpoint(pair.reactor, pair.opener, PUBLIC, 22).connect(
        Factory.forProtocol(Application)
    )
    *_, factory, _timeout, _bind = pair.reactor.tcpClients[-1]
    factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
    assert result(connecting).slug == "gateway-unreachable"


def test_a_paused_application_gets_nothing() -> None:
    """What comes waits, here and further up, and follows when it resumes."""
    through = Through()
    through.app.transport.pauseProducing()
    through.backend.send(b"wait")
    through.exchange()
    assert through.app.received == b""
    through.app.transport.resumeProducing()
    assert through.app.received == b"wait"


@implementer(IPushProducer)
class Push:
    """A push producer of the application's."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def pauseProducing(self) -> None:
        self.log.append("pause")

    def resumeProducing(self) -> None:
        self.log.append("resume")

    def stopProducing(self) -> None:
        self.log.append("stop")


def test_a_push_producer_is_paused_while_the_gateway_is_slow() -> None:
    """Past the high-water mark, and stopped at the end."""
    through, producer = Through(), Push()
    transport = through.app.transport
    transport.registerProducer(producer, True)
    with pytest.raises(RuntimeError):
        transport.registerProducer(producer, True)
    while not producer.log:
        transport.write(bytes(1 << 16))
    through.exchange()
    assert producer.log == ["pause", "resume"]
    transport.abortConnection()
    through.reactor.advance(0)
    through.client.lose()
    through.reactor.advance(0)
    assert producer.log[-1] == "stop"


@implementer(IPullProducer)
class Pull:
    """A pull producer of the application's: ten pieces."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.pieces = 10

    def resumeProducing(self) -> None:
        self.pieces -= 1
        self.transport.write(b"x")
        if not self.pieces:
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()

    def stopProducing(self) -> None:
        raise AssertionError("it has stopped by itself")


def test_a_pull_producer_is_asked_until_it_is_done() -> None:
    """Once in each turn of the reactor."""
    through = Through(HalfCloseable)
    through.app.transport.registerProducer(Pull(through.app.transport), False)
    through.reactor.pump([0] * 20)
    through.exchange()
    assert through.backend.take() == b"x" * 10


def test_addresses_say_where_it_goes() -> None:
    """Both are those of the target, with the gateway."""
    through = Through()
    shown = f"<{PUBLIC}:22 through ws://192.0.2.2:8080>"
    assert repr(through.app.transport.getPeer()) == repr(through.app.transport.getHost()) == shown


def test_gateways_are_given_by_url_or_ready_made() -> None:
    """`connect` is short for the endpoint."""
    pair = Pair()
    assert isinstance(connect(pair.reactor, "wss://gw.example", "db", 5432), GatewayEndpoint)
    assert isinstance(connect(pair.reactor, pair.opener.route, "db", 5432), GatewayEndpoint)
    with pytest.raises(ValueError, match="GATEWAY"):
        connect(pair.reactor, "ftp://gw", "db", 5432)
    with pytest.raises(InvalidTarget):
        connect(pair.reactor, "ws://gw", "db", 70000)


def test_a_factory_that_fails_fails_the_connection() -> None:
    """Nothing is opened for it."""
    pair = Pair()

    class Failing(Factory):
        def buildProtocol(self, addr: Any) -> None:
            return None

    assert (
        result(GatewayEndpoint(pair.reactor, pair.opener, PUBLIC, 22).connect(Failing())).slug
        == "no-protocol"
    )
    assert pair.reactor.tcpClients == []


def test_public_names_are_loaded_on_first_use() -> None:
    """A missing one is an `AttributeError`."""
    import portofcall.client

    assert portofcall.client.Gateway is Gateway
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = portofcall.client.Nothing
