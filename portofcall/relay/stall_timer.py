"""A timer for peers that may have stalled."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class StallTimer:
    """Waits as long as there is progress, and gives up after a whole period without any.

    Args:
        clock: keeps the time.
        progress: returns a count; any change of it is progress.
        give_up: called at the end of a period in which the count has not changed.
    """

    def __init__(
        self, clock: IReactorTime, *, progress: Callable[[], int], give_up: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._progress = progress
        self._give_up = give_up
        self._seen = 0
        self._timer: IDelayedCall | None = None

    def wait(self, seconds: float) -> None:
        """Start a period of this length now, instead of any earlier one."""
        self.stop()
        self._seen = self._progress()
        self._timer = self._clock.callLater(seconds, self._expire, seconds)

    def stop(self) -> None:
        """Stop waiting."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _expire(self, seconds: float) -> None:
        self._timer = None
        if self._progress() == self._seen:
            self._give_up()
        else:
            self.wait(seconds)
