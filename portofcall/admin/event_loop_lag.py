"""How late the event loop is."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

#: One timer for the whole process: the price is two calls a second.
INTERVAL_SECONDS: Final = 0.5


class EventLoopLag:
    """Measures how much later than asked for a timer fires.

    Args:
        clock: the event loop's.
        observe: receives each lag, in seconds.
    """

    def __init__(self, clock: IReactorTime, observe: Callable[[float], None]) -> None:
        self._clock = clock
        self._observe = observe
        self._due = 0.0
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._due = self._clock.seconds() + INTERVAL_SECONDS
        self._next = self._clock.callLater(INTERVAL_SECONDS, self._fire)

    def stop(self) -> None:
        """Measure no more."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()

    def _fire(self) -> None:
        self._observe(max(0.0, self._clock.seconds() - self._due))
        self.start()
