"""What the process does at signals while the service runs, and until its last tunnel is closed."""

import signal
import threading
from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

from portofcall.service.terminal import has_terminal

#: A terminal is looked at so long after SIGHUP: the kernel may send that first, and take it away then. And
#: a shell and the kernel may both send one.
_TERMINAL_SECONDS: Final = 0.1


class Signals:
    """Handles signals: SIGTERM and SIGINT, also a second one; SIGHUP and SIGUSR1, in all kinds of processes.

    - The first SIGTERM or SIGINT goes to the handler that was there before: the reactor's, which stops it.
      The next ones, and any while the service is stopping, call ``end``; for the reactor they are an error.
    - SIGHUP calls ``reload``, in the background and in the foreground. It counts as a first SIGTERM if the
      process had a controlling terminal that is gone: its window was closed, or its connection was lost.
    - SIGUSR1 calls ``reopen``.

    Signals that are ignored when the process starts, as with nohup, don't end it.

    Args:
        reactor: calls all of these in its own thread, not in a signal handler. It installs its own handlers
            when it starts, after its services.
        is_running: returns False once the service is stopping.
        end: resets all tunnels.
        reload: reads files again.
        reopen: reopens the log file; None leaves SIGUSR1 alone.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        is_running: Callable[[], bool],
        end: Callable[[], None],
        reload: Callable[[], None],
        reopen: Callable[[], None] | None,
    ) -> None:
        self._reactor = reactor
        self._is_running = is_running
        self._end = end
        self._reload = reload
        self._reopen = reopen
        self._before: dict[int, Any] = {}
        self._signalled = False
        self._had_terminal = False
        self._hung_up = False

    def install(self) -> None:
        """Install the handlers. Python can do that in the main thread only; in another one, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        self._had_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and has_terminal()
        self._handle(signal.SIGHUP, lambda _number, _frame: self._soon(self._hang_up))
        if self._reopen is not None:
            reopen = self._reopen
            self._handle(signal.SIGUSR1, lambda _number, _frame: self._soon(reopen))
        self._reactor.callWhenRunning(self._install_last)

    def restore(self) -> None:
        """Restore the previous handlers."""
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _install_last(self) -> None:
        if self._is_running() and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(signal.getsignal(number)):
                    self._handle(number, self._stop)

    def _handle(self, number: signal.Signals, handler: Callable[[int, Any], None]) -> None:
        # A handler that was not installed from Python can't be restored.
        self._before[number] = signal.signal(number, handler) or signal.SIG_DFL

    def _soon(self, call: Callable[..., object], *arguments: object) -> None:
        self._reactor.callFromThread(call, *arguments)

    def _stop(self, number: int, frame: object) -> None:
        if self._is_running() and not self._signalled:
            self._signalled = True
            self._before[number](number, frame)
        else:
            self._soon(self._stop_again, signal.Signals(number).name)

    def _stop_again(self, name: str) -> None:
        self._log.warn("received {name} again: resetting all tunnels", name=name)
        self._end()

    def _hang_up(self) -> None:
        if not self._hung_up:
            self._hung_up = True
            self._reactor.callLater(_TERMINAL_SECONDS, self._after_hang_up)

    def _after_hang_up(self) -> None:
        self._hung_up = False
        if not self._had_terminal or has_terminal():
            self._reload()
        elif self._is_running() and not self._signalled:
            self._log.warn("the terminal is gone: stopping")
            signal.raise_signal(signal.SIGTERM)
