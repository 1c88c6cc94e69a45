"""Shutting down: tunnels are drained, and a second signal ends them at once."""

import signal
import threading
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from portofcall.gateway import Gateway


class Drain(Service):
    """Drains the tunnels when the service stops, and resets them at the next SIGINT or SIGTERM.

    The reactor's own handlers call `reactor.stop` at every signal, which is an error from the second one on.

    Args:
        reactor: installs its signal handlers when it starts, after its services.
        gateway: is shut down.
    """

    _log = Logger()

    def __init__(self, reactor: Any, gateway: Gateway) -> None:
        self._reactor = reactor
        self._gateway = gateway
        self._signalled = False
        self._before: dict[int, Any] = {}

    def startService(self) -> None:
        """Put handlers before those of the reactor, once they are installed."""
        super().startService()
        self._reactor.callWhenRunning(self._install)

    def stopService(self) -> Deferred[None]:
        """Stop admitting clients, and close the tunnels.

        Returns:
            A Deferred that fires when the last one is closed.
        """
        super().stopService()
        return self._gateway.shut_down().addCallback(self._restore)

    def _install(self) -> None:
        """Python can do that in the main thread only. Signals that somebody ignores stay ignored."""
        if not self.running or threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if callable(before):
                self._before[number] = before
                signal.signal(number, self._signal)

    def _restore(self, _: None) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _signal(self, number: int, frame: object) -> None:
        if self.running and not self._signalled:
            self._signalled = True
            self._before[number](number, frame)
        else:
            self._reactor.callFromThread(self._end, signal.Signals(number).name)

    def _end(self, name: str) -> None:
        self._log.warn("received {name} again: resetting all tunnels", name=name)
        self._gateway.abort()
