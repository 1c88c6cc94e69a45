"""The observer that writes a gateway's events to the log."""

from collections.abc import Callable

from twisted.logger import Logger

from portofcall.events import Event, LimitReached
from portofcall.limits.limit_warnings import LimitWarnings
from portofcall.limits.values import Limits


class GatewayLog:
    """Writes events to Twisted's log, each as ``record`` of a log event, whose text is the event's own.

    Args:
        limits: the values that warnings about limits show.
        now: returns monotonic time, in seconds.
    """

    _log = Logger()

    def __init__(self, limits: Limits, *, now: Callable[[], float]) -> None:
        self._warnings = LimitWarnings(limits, now=now, warn=lambda line: self._log.warn("{line}", line=line))

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if type(event) is LimitReached:
            self._warnings.reached(*event)
        else:
            self._log.info("{record}", record=event)
