"""A first signal drains the tunnels, a second one resets them."""

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from portofcall.service.drain import Drain
from portofcall.testing import WebSocketClient, World


class FakeReactor(MemoryReactorClock):
    """A reactor with handlers of its own, which it installs when it starts, after its services."""

    def __init__(self) -> None:
        super().__init__()
        self.stops: list[int] = []
        self.later: list[Any] = []

    def start(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: self.stops.append(number))
        for call in self.whenRunningHooks:
            call[0](*call[1], **call[2])

    def callFromThread(self, call: Any, *args: Any, **kwargs: Any) -> None:
        self.later.append((call, args))


class Rig:
    """A drained service around a gateway in memory."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.world = World()
        self.drain = Drain(self.reactor, self.world.gateway)
        self.over: list[None] = []

    def stop(self) -> None:
        self.drain.stopService().addCallback(self.over.append)

    def turn(self) -> None:
        """Do what was put off until the reactor's next turn."""
        later, self.reactor.later = self.reactor.later, []
        for call, args in later:
            call(*args)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig, with the test's own signal handlers restored afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    rig = Rig()
    yield rig
    for number, handler in before.items():
        signal.signal(number, handler)


def close(*clients: WebSocketClient) -> None:
    """Let both connections of tunnels end."""
    for client in clients:
        client.transport.lose()
        client.backend.lose()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_resets_every_tunnel(
    rig: Rig, first: signal.Signals, second: signal.Signals, logged: list[str]
) -> None:
    """The first one is the reactor's, which stops; the second must not reach it."""
    rig.drain.startService()
    rig.reactor.start()
    client = WebSocketClient(rig.world)
    signal.raise_signal(first)
    assert rig.reactor.stops == [first]
    rig.stop()
    assert client.close_frame()[0] == 1001
    assert client.backend.log[-1] != "reset"
    signal.raise_signal(second)
    assert client.backend.log[-1] != "reset", "a signal handler does nothing itself"
    rig.turn()
    assert client.transport.log[-1] == "reset"
    assert client.backend.log[-1] == "reset"
    close(client)
    assert rig.over == [None]
    assert rig.reactor.stops == [first]
    assert f"received {second.name} again: resetting all tunnels" in logged


def test_signal_after_a_stop_by_other_means_resets_them_as_well(rig: Rig) -> None:
    """The service is stopping, whatever stopped it."""
    rig.drain.startService()
    rig.reactor.start()
    client = WebSocketClient(rig.world)
    rig.stop()
    signal.raise_signal(signal.SIGTERM)
    rig.turn()
    assert client.transport.log[-1] == "reset"


def test_handlers_are_restored_when_the_last_tunnel_is_closed(rig: Rig) -> None:
    """They have nothing left to do."""
    rig.drain.startService()
    rig.reactor.start()
    client = WebSocketClient(rig.world)
    rig.stop()
    close(client)
    signal.raise_signal(signal.SIGTERM)
    assert rig.reactor.stops == [signal.SIGTERM]


def test_ignored_signal_stays_ignored(rig: Rig) -> None:
    """As of a process that nohup started."""
    rig.drain.startService()
    rig.reactor.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rig.drain._install()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_signals_are_left_alone_outside_the_main_thread(rig: Rig) -> None:
    """Python has no signals there."""
    before = signal.getsignal(signal.SIGTERM)
    rig.drain.startService()
    thread = threading.Thread(target=rig.drain._install)
    thread.start()
    thread.join(10)
    assert signal.getsignal(signal.SIGTERM) is before
