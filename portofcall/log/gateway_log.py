"""The observer that writes a gateway's events to the log."""

from collections.abc import Callable
from typing import NamedTuple

from twisted.logger import Logger

from portofcall.events import Caller, Event, LimitReached
from portofcall.limits.limit_warnings import LimitWarnings
from portofcall.limits.values import Limits
from portofcall.log.levels import Level, LogLevels
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

    Attributes:
        levels: how much is logged about each client.
    """

    _log = Logger()

    def __init__(self, limits: Limits, *, now: Callable[[], float]) -> None:
        self.levels = LogLevels(now=now)
        self._warnings = LimitWarnings(limits, now=now, warn=lambda line: self._log.warn("{line}", line=line))

    def __call__(self, event: Event) -> None:
        """Write an event."""
        if isinstance(event, LimitReached):
            self._warnings.reached(*event)
        elif self.levels.of(event.caller.address) <= Level.INFO:
            self._log.info("{record}", record=Record(event))

    def tracer(self, caller: Caller) -> Callable[[str], None] | None:
        """Return what logs each step of a new tunnel; None if its steps are not to be logged."""
        if self.levels.of(caller.address) > Level.DEBUG:
            return None
        request_id = caller.request_id
        return lambda step: self._log.debug("tunnel {id}: {step}", id=request_id, step=step)
