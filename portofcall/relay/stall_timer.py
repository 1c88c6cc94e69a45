"""How long to wait for a peer that may have stopped."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class StallTimer:
    """Waits, and gives up when nothing has moved for a whole waiting time.

    Args:
        clock: keeps the time.
        progress: tells how far things have come; any change of it counts.
        give_up: called when the time is over and that has not changed.
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
        """Wait from now on, whatever was waited for before."""
        self.stop()
        self._seen = self._progress()
        self._timer = self._clock.callLater(seconds, self._expire, seconds)

    def stop(self) -> None:
        """Wait no longer."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _expire(self, seconds: float) -> None:
        self._timer = None
        if self._progress() == self._seen:
            self._give_up()
        else:
            self.wait(seconds)
