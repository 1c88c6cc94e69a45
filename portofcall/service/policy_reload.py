"""Reloading the gateway's policy on SIGHUP."""

import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from portofcall.egress.policy import Policy
from portofcall.egress.policy_file import PolicyFileError
from portofcall.egress.rules import Rule


class PolicyReload(Service):
    """Reloads the policy when the process gets SIGHUP, while the service runs.

    If it can't be read, the previous policy stays in force, and the log has the reason.

    Args:
        reactor: reads the file in its own thread, not in the signal handler.
        read: reads the policy.
        use: is called with each policy that was read.
        description: names the file, for the log.
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
        """Read the policy now."""
        try:
            policy = self._read()
        except PolicyFileError as error:
            self._log.error(
                "policy not reloaded, the previous one stays in force: {file}: {error}",
                file=self._description,
                error=error,
            )
            return
        self._use(policy)
        self._log.info(
            "policy reloaded: {allow}, {deny}",
            allow=_count(policy.allow, "allow"),
            deny=_count(policy.deny, "deny"),
        )

    def _hang_up(self, _number: int, _frame: object) -> None:
        self._reactor.callFromThread(self.reload)


def _count(rules: Sequence[Rule], effect: str) -> str:
    return f"{len(rules)} {effect} rule{'' if len(rules) == 1 else 's'}"
