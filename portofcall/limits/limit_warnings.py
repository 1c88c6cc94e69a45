"""A warning for the operator when a limit is reached, at most one a minute for each limit."""

from collections.abc import Callable
from typing import Final

from portofcall.limits.values import Limits

INTERVAL_SECONDS: Final = 60.0


class LimitWarnings:
    """Turns refusals into lines for the log that name the option to change.

    However many refusals there are, each limit has one line in `INTERVAL_SECONDS`. The first refusal is
    reported at once, the number of those in between with the next line.

    Args:
        limits: the values that the lines show.
        now: returns monotonic time, in seconds.
        warn: receives each line.
        listener: a listener whose limits no option changes, such as ``--admin``; empty for all others.
    """

    def __init__(
        self, limits: Limits, *, now: Callable[[], float], warn: Callable[[str], None], listener: str = ""
    ) -> None:
        self._limits = limits
        self._listener = listener
        self._now = now
        self._warn = warn
        self._warned_at: dict[str, float] = {}
        self._unreported: dict[str, int] = {}

    def reached(self, field: str, key: str = "") -> None:
        """Count a refusal.

        Args:
            field: the field of `Limits`. The option has the same name, with dashes.
            key: the client or target that reached the limit, if it has one each; safe to log.
        """
        now = self._now()
        warned_at = self._warned_at.get(field)
        if warned_at is not None and now - warned_at < INTERVAL_SECONDS:
            self._unreported[field] = self._unreported.get(field, 0) + 1
            return
        self._warned_at[field] = now
        unreported = self._unreported.pop(field, 0)
        who = f" for {key}" if key else ""
        more = f"; {unreported} more refused since the last warning" if unreported else ""
        name, value = field.replace("_", "-"), getattr(self._limits, field)
        limit = f" on {self._listener}{who}: {name}" if self._listener else f"{who}: --{name}"
        self._warn(f"limit reached{limit} {value}{more}")
