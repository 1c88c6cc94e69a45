"""The whole service: its start, which may fail, its signals, and its end."""

import atexit
import gc
import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, Logger
from twisted.python.logfile import LogFile

from portofcall.errors import printable
from portofcall.service.drain import Drain
from portofcall.service.listener import NotListening
from portofcall.service.log_file import LogFormat, make_observer, open_log_file, reopen
from portofcall.service.option_warnings import option_warnings
from portofcall.service.options import Options
from portofcall.service.reload import Reload
from portofcall.service.signals import Signals
from portofcall.twisted_internals import skip_log_context

#: How many objects are made between two collections of the youngest. A tunnel makes hundreds and most go with
#: it; Python's 700 to 2000 would look at those of live tunnels again and again.
_OBJECTS_PER_COLLECTION = 10_000


class Root(MultiService):
    """Runs the listeners and what else there is. Under twistd, a failed start ends the process with status 1.

    Args:
        reactor: is stopped when a failure is known later only.
        options: parsed; their ``parent`` is twistd's, or None where some other process runs the service.
        drain: the listeners.
        reload: what SIGHUP reads again.

    Attributes:
        reload: as given.
        describe: returns the line that is logged once the service has started.
    """

    describe: Callable[[], str]

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: Options,
        *,
        drain: Drain,
        reload: Reload,
    ) -> None:
        super().__init__()
        self.reload = reload
        self._reactor = reactor
        self._options = options
        self._drain = drain
        self._given_up = False
        self._log_file: LogFile | None = None
        self._signals = Signals(
            reactor,
            is_running=lambda: bool(self.running),
            end=drain.end,
            reload=reload,
            reopen=None if options.parent is None else lambda: reopen(self._log_file),
        )
        drain.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """Become a part of twistd's application, and make its log file; twistd begins to log afterwards.

        Raises:
            SystemExit: the log file can't be opened.
        """
        if self._options.parent is not None:
            try:
                self._log_file = open_log_file(self._options.parent)
            except OSError as problem:
                path = printable(str(problem.filename))
                raise SystemExit(f"twistd portofcall: --logfile {path}: {problem.strerror}") from None
            try:
                format = self._options["log-format"] or LogFormat.TEXT
                observer = make_observer(self._options.parent, self._log_file, format)
            except ValueError as problem:
                raise SystemExit(f"twistd portofcall: {problem}") from None
            if observer is not None:
                parent.setComponent(ILogObserver, observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            NotListening: the process is not twistd's, or is in the background: there, twistd shows the first
                100 bytes of an exception, and nothing of an exit.
            SystemExit: twistd is in the foreground. The message is one line.
        """
        for line in option_warnings(self._options):
            self._log.warn("{line}", line=line)
        try:
            super().privilegedStartService()
        except NotListening as problem:
            if self._options.parent is None:
                raise
            if self._options.parent.get("nodaemon"):
                raise SystemExit(f"twistd portofcall: {problem}") from None
            self._log.critical("{problem}", problem=problem)
            raise

    def startService(self) -> None:
        """Handle signals from now on."""
        super().startService()
        if self._options.parent is not None:
            gc.set_threshold(_OBJECTS_PER_COLLECTION)
            skip_log_context(self._reactor)
        self._signals.install()
        self._log.info("{line}", line=self.describe())

    def stopService(self) -> Deferred[None]:
        """Drain, and handle signals until that is over."""
        stopping: Deferred[Any] = super().stopService()
        return stopping.addCallback(lambda _: self._signals.restore())

    def give_up(self, problem: NotListening) -> None:
        """Log the problem and stop the process, if it is twistd's."""
        self._log.critical("{problem}", problem=problem)
        if self._options.parent is not None and not self._given_up:
            self._given_up = True
            atexit.register(_fail)
            self._drain.skip()
            self._reactor.callWhenRunning(self._reactor.stop)


def _fail() -> None:
    """Exit with status 1. Whatever stopped its reactor, twistd itself exits with 0."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
