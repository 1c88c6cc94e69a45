"""The observer that writes a gateway's events to the log."""

from collections.abc import Callable, Hashable
from time import time
from typing import Final, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from portofcall.events import (
    Caller,
    Event,
    LimitReached,
    ProbeEnded,
    Refused,
    RequestServed,
    Stage,
    TunnelEnded,
)
from portofcall.limits.limit_warnings import LimitWarnings
from portofcall.limits.values import Limits
from portofcall.log.levels import Level, LogLevels
from portofcall.log.lines import line, summary
from portofcall.log.repetition import Repetition

_FIRST_ERROR: Final = 400

_log = Logger()


class Record(NamedTuple):
    """An event in the log: ``record`` of a log event. Its text is made on demand.

    Attributes:
        event: what happened.
        more: 0, or how many events like this one were not written; this stands for them.
    """

    event: Event
    more: int = 0

    def __str__(self) -> str:
        """Return the event as one line."""
        return summary(self.event, self.more) if self.more else line(self.event)


class GatewayLog:
    """Writes events to Twisted's log, each as a `Record`.

    A client's refusals and failures are summed by their reason after the tenth in a minute; see
    `portofcall.log.repetition`. Warnings about limits are at most one a minute for each limit.

    Args:
        limits: the values that warnings about limits show.
        clock: for the sums.
        now: returns monotonic time, in seconds.
        levels: how much is logged about each client; None means levels of its own.
        listener: see `portofcall.limits.limit_warnings.LimitWarnings`.

    Attributes:
        levels: how much is logged about each client.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        levels: LogLevels | None = None,
        listener: str = "",
    ) -> None:
        self.levels = levels or LogLevels(now=now)
        self._warnings = LimitWarnings(
            limits, now=now, warn=lambda line: _log.warn("{line}", line=line), listener=listener
        )
        self._repetition: Repetition[Event] = Repetition(clock, now=now, summed=self._write)

    def __call__(self, event: Event) -> None:
        """Write an event, or count it."""
        if isinstance(event, LimitReached):
            self._warnings.reached(*event)
            return
        if self.levels.of(event.caller.address) > Level.INFO:
            return
        kind = failure_kind(event)
        if kind is None or self._repetition.admits((event.caller.key, *kind), kind, event):
            self._write(event)

    def tracer(self, caller: Caller) -> Callable[[str], None] | None:
        """Return what logs each step of a new tunnel; None if its steps are not to be logged."""
        if self.levels.of(caller.address) > Level.DEBUG:
            return None
        request_id = caller.request_id
        return lambda step: _log.debug("tunnel {id}: {step}", id=request_id, step=step)

    def flush(self) -> None:
        """Write what has been summed so far."""
        self._repetition.flush()

    def _write(self, event: Event, more: int = 0) -> None:
        # As `Logger.info` does, without its checks.
        _log.observer(
            {
                "log_logger": _log,
                "log_level": LogLevel.info,
                "log_namespace": _log.namespace,
                "log_source": None,
                "log_format": "{record}",
                "log_time": time(),
                "record": Record(event, more),
            }
        )


def failure_kind(event: Event) -> tuple[Hashable, ...] | None:
    """Return the key under which a client's failures are summed; None for an event that is always written.

    It has the reason without its sentence, which quotes text that the client chose, such as its origin.
    """
    match event:
        case Refused(slug=slug):
            return (Refused, slug)
        case TunnelEnded(stage=Stage.DNS | Stage.DIAL, slug=slug):
            return (TunnelEnded, slug)
        case ProbeEnded(slug=slug) if slug != "ok":
            return (ProbeEnded, slug)
        case RequestServed(status=status) if status >= _FIRST_ERROR:
            return (RequestServed, status)
        case RequestServed(result=result) if result not in ("", "ok"):
            return (RequestServed, result)
    return None
