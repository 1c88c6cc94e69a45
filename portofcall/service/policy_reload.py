"""A gateway's policy from a file, read again on SIGHUP."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from portofcall.egress.policy import Policy
from portofcall.egress.policy_file import PolicyFileError


class PolicyReload(Service):
    """Reads the policy again whenever the process gets SIGHUP, while it runs.

    A file that has become unreadable changes nothing: the policy stays as it is, and the log has the line.

    Args:
        reactor: reads the file in its own thread, not in the signal's handler.
        read: reads the policy.
        use: is given each policy that was read.
        description: what is read, for the log.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, read: Callable[[], Policy], use: Callable[[Policy], None], description: str
    ) -> None:
        self._reactor = reactor
        self._read = read
        self._use = use
        self._description = description
        self._before: Any = None

    def startService(self) -> None:
        """Listen for SIGHUP. Python can do that in the main thread only."""
        super().startService()
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGHUP, self._hang_up)

    def stopService(self) -> None:
        """Leave SIGHUP to whoever had it before."""
        super().stopService()
        before, self._before = self._before, None
        if before is not None:
            signal.signal(signal.SIGHUP, before)

    def reload(self) -> None:
        """Read the policy again."""
        try:
            policy = self._read()
        except PolicyFileError as error:
            self._log.error(
                "{what}: {error}; the policy stays as it was", what=self._description, error=error
            )
            return
        self._use(policy)
        self._log.info(
            "{what}: {allow} rules allow, {deny} deny",
            what=self._description,
            allow=len(policy.allow),
            deny=len(policy.deny),
        )

    def _hang_up(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self.reload)
