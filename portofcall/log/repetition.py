"""Sums repeated events of a client, so that it can't fill the disk."""

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")

#: How many of a kind are written in one interval; the others are counted.
MOST: Final = 10
INTERVAL_SECONDS: Final = 60.0
#: How many kinds are distinguished in one interval; later ones are counted together.
_MOST_KINDS: Final = 10_000


class _Kind(Generic[T]):
    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last: T | None = None


class Repetition(Generic[T]):
    """Lets the first `MOST` of each kind in an interval through, and sums the others at its end.

    One interval is that of all kinds; it begins with the first that comes after the one before. There is a
    timer only while something is summed.

    Args:
        clock: for the timer.
        now: returns monotonic time, in seconds.
        summed: is called with the last of a kind that was not let through, and how many there were.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        now: Callable[[], float],
        summed: Callable[[T, int], None],
    ) -> None:
        self._clock = clock
        self._now = now
        self._summed = summed
        self._kinds: dict[Hashable, _Kind[T]] = {}
        self._ends_at = 0.0
        self._timer: IDelayedCall | None = None

    def admits(self, kind: Hashable, rest: Hashable, thing: T) -> bool:
        """Count a thing; return whether it is let through.

        Args:
            kind: things of the same kind are counted together.
            rest: the kind that is used when there are too many.
            thing: is kept until the end of the interval if it is not let through.
        """
        now = self._now()
        if now >= self._ends_at:
            self.flush()
            self._ends_at = now + INTERVAL_SECONDS
        if kind not in self._kinds and len(self._kinds) >= _MOST_KINDS:
            kind = rest
        counted = self._kinds.setdefault(kind, _Kind())
        counted.count += 1
        if counted.count <= MOST:
            return True
        counted.last = thing
        if self._timer is None:
            self._timer = self._clock.callLater(self._ends_at - now, self.flush)
        return False

    def flush(self) -> None:
        """End the interval: report the sums."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        kinds, self._kinds = self._kinds, {}
        self._ends_at = 0.0
        for kind in kinds.values():
            if kind.last is not None:
                self._summed(kind.last, kind.count - MOST)
