"""The observer that writes a gateway's events to the log."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.logger import Logger

from portofcall.events import Event, LimitReached
from portofcall.limits.limit_warnings import LimitWarnings
from portofcall.limits.values import Limits
from portofcall.log.lines import line


class Record(NamedTuple):
    """An event in the log: ``record`` of a log event. Its text is made when something asks for it.

    Attributes:
        event: what happened.
    """

    event: Event

    def __str__(self) -> str:
        """Return the event as one line."""
        return line(self.event)


class GatewayLog:
    """Writes events to Twisted's log, each as a `Record`.

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
            self._log.info("{record}", record=Record(event))
