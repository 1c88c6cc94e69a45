"""Busy polling: poll again for a moment before sleeping, as long as that pays."""

from collections.abc import Callable, Sequence

#: What epoll returns: pairs of a descriptor and its event mask.
Events = Sequence[tuple[int, int]]

_MOMENT_SECONDS = 50e-6
#: After this many misses in a row, poll on only one turn in 2**N.
_MOST_MISSES = 8


class BusyPoll:
    """Polls for a moment, if that has found events lately.

    Sleeping and being woken takes longer than a nearby peer needs to answer. With distant peers the moment is
    wasted, so each miss halves how often it is tried.

    Args:
        poll: returns the events there are, without waiting.
        now: a monotonic clock, in seconds.
        pays: whether it can pay at all: not on a single processor, which the peers may be waiting for.
    """

    def __init__(self, poll: Callable[[], Events], *, now: Callable[[], float], pays: bool) -> None:
        self._poll = poll
        self._now = now
        self._pays = pays
        self._misses = 0
        self._rest = 0

    def __call__(self) -> Events:
        """Return the first events within the moment, or none."""
        if not self._pays:
            return ()
        if self._rest:
            self._rest -= 1
            return ()
        poll, now = self._poll, self._now
        ends = now() + _MOMENT_SECONDS
        while now() < ends:
            events = poll()
            if events:
                self._misses = 0
                return events
        self._misses = min(self._misses + 1, _MOST_MISSES)
        self._rest = (1 << self._misses) - 1
        return ()
