"""Reloading files on SIGHUP: the policy, and what else the operator may change while the service runs."""

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted.application.service import Service
from twisted.logger import Logger

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloadable(Generic[_T]):
    """Something that is read from files, at the start and again at each reload.

    Attributes:
        name: a singular noun for the log, such as ``policy``.
        read: reads the files; raises `ValueError` with a reason that names the file. It changes nothing.
        use: puts in force what was read, and returns a summary for the log.
    """

    name: str
    read: Callable[[], _T]
    use: Callable[[_T], str]


class Reload(Service):
    """Reloads files when the process gets SIGHUP, while the service runs.

    If one of them can't be read, its previous state stays in force, the log has the reason, and the others
    are reloaded all the same.

    Args:
        reactor: reads the files in its own thread, not in the signal handler.
        reloadables: what is reloaded, in this order.
    """

    _log = Logger()

    def __init__(self, reactor: Any, reloadables: Sequence[Reloadable[Any]]) -> None:
        self._reactor = reactor
        self._reloadables = reloadables
        self._before: Any = None

    def startService(self) -> None:
        """Install the signal handler. Python can do that in the main thread only."""
        super().startService()
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGHUP, self._hang_up)

    def stopService(self) -> None:
        """Restore the previous signal handler."""
        super().stopService()
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGHUP, before)

    def reload(self) -> None:
        """Read everything now."""
        for reloadable in self._reloadables:
            try:
                state = reloadable.read()
            except ValueError as error:
                self._log.error(
                    "{name} not reloaded, the previous one stays in force: {error}",
                    name=reloadable.name,
                    error=error,
                )
                continue
            self._log.info("{name} reloaded: {summary}", name=reloadable.name, summary=reloadable.use(state))

    def _hang_up(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self.reload)
