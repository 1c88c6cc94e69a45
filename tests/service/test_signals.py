"""Signals stop, end, reload and reopen; a terminal that is gone stops."""

import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.testing import MemoryReactorClock

from portofcall.service import signals
from portofcall.service.signals import Signals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


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
    """Signals of a service that is running, and what they called."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.running = True
        self.calls: list[str] = []
        self.signals = Signals(
            self.reactor,
            is_running=lambda: self.running,
            end=lambda: self.calls.append("end"),
            reload=lambda: self.calls.append("reload"),
            reopen=lambda: self.calls.append("reopen"),
        )

    def start(self) -> None:
        self.signals.install()
        self.reactor.start()

    def turn(self) -> None:
        """Do what was put off until the reactor's next turn, and let a second pass."""
        later, self.reactor.later = self.reactor.later, []
        for call, args in later:
            call(*args)
        self.reactor.advance(1)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig, with the test's own signal handlers restored afterwards."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield Rig()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the process has a terminal: the last item. It has one at first."""
    state = [True]
    monkeypatch.setattr(signals, "has_terminal", lambda: state[-1])
    return state


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_ends(
    rig: Rig, first: signal.Signals, second: signal.Signals, logged: list[str]
) -> None:
    """The first one is the reactor's, which stops; the second must not reach it."""
    rig.start()
    signal.raise_signal(first)
    rig.running = False
    assert rig.reactor.stops == [first]
    signal.raise_signal(second)
    assert rig.calls == [], "a signal handler does nothing itself"
    rig.turn()
    assert rig.calls == ["end"]
    assert rig.reactor.stops == [first]
    assert f"received {second.name} again: resetting all tunnels" in logged


def test_signal_after_a_stop_by_other_means_ends_as_well(rig: Rig) -> None:
    """The service is stopping, whatever stopped it."""
    rig.start()
    rig.running = False
    signal.raise_signal(signal.SIGTERM)
    rig.turn()
    assert (rig.reactor.stops, rig.calls) == ([], ["end"])


def test_handlers_are_restored(rig: Rig) -> None:
    """All of them, the reactor's among them."""
    before = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)]
    rig.start()
    rig.signals.restore()
    assert [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1)] == before
    signal.raise_signal(signal.SIGTERM)
    assert rig.reactor.stops == [signal.SIGTERM]


def test_ignored_signal_stays_ignored(rig: Rig) -> None:
    """As SIGINT of a process that a shell started in the background."""
    rig.start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rig.signals._install_last()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_signals_are_left_alone_outside_the_main_thread(rig: Rig) -> None:
    """Python has no signals there."""
    before = [signal.getsignal(number) for number in NUMBERS]
    thread = threading.Thread(target=rig.signals.install)
    thread.start()
    thread.join(10)
    assert rig.reactor.whenRunningHooks == []
    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.parametrize("has_one", [True, False])
def test_sighup_reloads(rig: Rig, terminal: list[bool], has_one: bool) -> None:
    """With a terminal that is still there, and without one; two at once are one."""
    terminal.append(has_one)
    rig.start()
    for _ in range(2):
        signal.raise_signal(signal.SIGHUP)
    rig.turn()
    assert rig.calls == ["reload"]
    signal.raise_signal(signal.SIGHUP)
    rig.turn()
    assert rig.calls == ["reload", "reload"]


def test_sighup_stops_when_the_terminal_is_gone(rig: Rig, terminal: list[bool], logged: list[str]) -> None:
    """As SIGTERM does, once: the kernel's second one does not end a drain."""
    rig.start()
    signal.raise_signal(signal.SIGHUP)
    terminal.append(False)
    rig.turn()
    assert rig.reactor.stops == [signal.SIGTERM]
    assert "the terminal is gone: stopping" in logged
    for running in (True, False):
        rig.running = running
        signal.raise_signal(signal.SIGHUP)
        rig.turn()
    assert (rig.reactor.stops, rig.calls) == ([signal.SIGTERM], [])


def test_sighup_never_stops_a_process_that_ignored_it_at_its_start(rig: Rig, terminal: list[bool]) -> None:
    """That is what nohup is for; files are reloaded all the same."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    rig.start()
    terminal.append(False)
    signal.raise_signal(signal.SIGHUP)
    rig.turn()
    assert (rig.reactor.stops, rig.calls) == ([], ["reload"])


def test_sigusr1_reopens_the_log(rig: Rig) -> None:
    """In the reactor's thread."""
    rig.start()
    signal.raise_signal(signal.SIGUSR1)
    assert rig.calls == []
    rig.turn()
    assert rig.calls == ["reopen"]


def test_sigusr1_is_left_alone_where_the_log_is_another_ones(rig: Rig) -> None:
    """The process of an application has its own use for it."""
    before = signal.getsignal(signal.SIGUSR1)
    rig.signals._reopen = None
    rig.start()
    assert signal.getsignal(signal.SIGUSR1) is before
