"""Load balancers learn of the end first; then listeners close, then tunnels, and one line sums it up."""

from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from portofcall.access.authenticator import Credentials
from portofcall.service.drain import Drain
from portofcall.testing import Response, WebSocketClient, World, request, upgrade_request
from tests.support import SlowChecker, basic


class FakeListener(Service):
    """A listener that takes a turn of the reactor to stop."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return deferLater(self._reactor, 0)


class Rig:
    """A drained service around a gateway in memory, with one listener."""

    def __init__(self, *, delay: float = 0, drain: float = 0, credentials: Credentials | None = None) -> None:
        self.world = World(credentials=credentials)
        self.gateway = self.world.gateway
        self.listener = FakeListener(self.world.reactor)
        self.drain = Drain(self.world.reactor, self.gateway, delay_seconds=delay, drain_seconds=drain)
        self.listener.setServiceParent(self.drain)
        self.drain.startService()
        self.over: list[None] = []

    def stop(self) -> None:
        stopping: Deferred[None] = self.drain.stopService()
        stopping.addCallback(self.over.append)
        self.wait(0)

    def wait(self, seconds: float) -> None:
        self.world.reactor.advance(seconds)

    def client(self) -> Any:
        return WebSocketClient(self.world)

    def readiness(self) -> int:
        return request(self.world, "GET", "/readyz").status


def close(*clients: WebSocketClient) -> None:
    """Let both connections of tunnels end."""
    for client in clients:
        client.transport.lose()
        client.backend.lose()


def summary(logged: list[str]) -> str:
    """Return the last line of the log, which is the only one of its kind."""
    (line,) = [line for line in logged if line.startswith("stopped after ")]
    assert line == logged[-1]
    return line


def test_without_options_listeners_close_and_tunnels_are_closed_at_once() -> None:
    """With 1001, once what is queued has been delivered."""
    rig = Rig()
    client = rig.client()
    client.backend.protocol.dataReceived(b"the last")
    rig.stop()
    assert not rig.listener.running
    assert [frame[0] for frame in client.received()] == [2, 8]
    assert rig.over == []
    close(client)
    assert rig.over == [None]


def test_during_the_delay_clients_are_admitted_to_a_gateway_that_is_not_ready() -> None:
    """Those that a load balancer sends before it has looked."""
    rig = Rig(delay=5)
    rig.stop()
    assert (rig.gateway.accepting, rig.gateway.draining) == (False, False)
    rig.wait(4.9)
    assert rig.listener.running
    client = rig.client()
    assert client.response.status == 101
    rig.wait(0.2)
    assert not rig.listener.running
    assert rig.client().response.status == 503
    assert client.close_frame()[0] == 1001
    close(client)
    assert rig.over == [None]


def test_readiness_ends_at_the_beginning_of_the_delay() -> None:
    """Load balancers ask for nothing else."""
    rig = Rig(delay=5)
    assert rig.readiness() == 200
    rig.stop()
    assert rig.readiness() == 503


def test_tunnels_live_on_for_the_drain_and_are_closed_then() -> None:
    """Both directions go on, without new ones; no byte is lost."""
    rig = Rig(drain=10)
    client = rig.client()
    rig.stop()
    assert not rig.listener.running
    assert rig.client().response.headers["retry-after"] == "5"
    rig.wait(9.9)
    client.backend.protocol.dataReceived(b"still here")
    assert client.received() == [(2, b"still here")]
    rig.wait(0.2)
    assert client.close_frame()[0] == 1001
    close(client)
    assert rig.over == [None]


def test_drain_ends_with_the_last_tunnel() -> None:
    """Nothing is waited for, and no timer is left."""
    rig = Rig(drain=1000)
    client = rig.client()
    rig.stop()
    assert rig.over == []
    client.backend.protocol.readConnectionLost()
    close(client)
    assert rig.over == [None]
    assert rig.world.reactor.getDelayedCalls() == []


def test_gateway_without_tunnels_does_not_wait_for_their_end() -> None:
    """The delay is waited for all the same: a load balancer may still send clients."""
    rig = Rig(delay=5, drain=1000)
    rig.stop()
    assert rig.over == []
    rig.wait(5)
    assert rig.over == [None]


@pytest.mark.parametrize("at", [1, 6, 16])
def test_second_signal_resets_everything(logged: list[str], at: float) -> None:
    """During the delay, the drain and the close."""
    rig = Rig(delay=5, drain=10)
    client = rig.client()
    rig.stop()
    rig.wait(at)
    rig.drain.end()
    assert client.transport.log[-1] == "reset"
    assert client.backend.log[-1] == "reset"
    assert not rig.listener.running
    close(client)
    rig.wait(0)
    assert rig.over == [None]
    assert "tunnels in flight: 1, ended by themselves: 0, reset: 1," in summary(logged)


def test_request_whose_authentication_outlasts_the_end_opens_no_tunnel() -> None:
    """It would hold up the end, or be cut by it."""
    checker = SlowChecker()
    rig = Rig(credentials=Credentials(checkers=[checker]))
    client = rig.world.connect()
    client.send(upgrade_request(Authorization=basic("ada", "lovelace")[0].decode()))
    rig.stop()
    assert rig.over == [None]
    checker.decision.callback(b"ada")
    assert Response(client.take()).json["code"] == "draining"
    assert rig.gateway.admission.used == 0


def test_one_line_says_what_was_in_flight_and_what_was_dropped(logged: list[str]) -> None:
    """A tunnel that ended by itself, one that was closed, and one whose client is gone with bytes for it."""
    rig = Rig(drain=10)
    before = rig.client()
    close(before)
    first, second, third = (rig.client() for _ in range(3))
    rig.stop()
    assert logged[-1] == "stopping; until listeners close: 0 s, then for tunnels: 10 s, open now: 3"
    rig.wait(2)
    first.backend.protocol.readConnectionLost()
    close(first)
    for sent in (bytes(70_000), b"in the chain"):
        third.backend.protocol.dataReceived(sent)
    rig.wait(9)
    close(second, third)
    assert rig.over == [None]
    assert summary(logged) == (
        "stopped after 11.0 s; tunnels in flight: 3, ended by themselves: 1, reset: 0, incomplete: 1 "
        "(12 bytes undelivered); requests dropped: 0"
    )


def test_late_failure_of_a_listener_waits_for_nobody() -> None:
    """The gateway never ran."""
    rig = Rig(delay=5, drain=1000)
    client = rig.client()
    rig.drain.skip()
    rig.stop()
    assert client.close_frame()[0] == 1001
    close(client)
    assert rig.over == [None]
