"""Look again at once, instead of sleeping until there is something: as long as that pays."""

from collections.abc import Callable, Sequence

#: What epoll tells: a descriptor, and what is the matter with it.
Events = Sequence[tuple[int, int]]

_MOMENT_SECONDS = 50e-6
#: Once it has been in vain this often in a row it is tried at one turn in 2 ** this.
_MOST_IN_VAIN = 8


class BusyPoll:
    """Polls for a moment, if that has been worth it lately.

    To sleep and to be woken takes longer than an answer from nearby does. Where answers come from far away
    the moment is wasted; so each time in vain halves how often it is tried.

    Args:
        poll: asks for events, and does not wait for any.
        now: a clock in seconds that never jumps.
        pays: whether it can ever pay: not where those who would answer wait for our processor.
    """

    def __init__(self, poll: Callable[[], Events], *, now: Callable[[], float], pays: bool) -> None:
        self._poll = poll
        self._now = now
        self._pays = pays
        self._in_vain = 0
        self._rest = 0

    def __call__(self) -> Events:
        """Return the first events that come within the moment, if any do."""
        if not self._pays:
            return ()
        if self._rest:
            self._rest -= 1
            return ()
        poll, now = self._poll, self._now
        late = now() + _MOMENT_SECONDS
        while now() < late:
            events = poll()
            if events:
                self._in_vain = 0
                return events
        self._in_vain = min(self._in_vain + 1, _MOST_IN_VAIN)
        self._rest = (1 << self._in_vain) - 1
        return ()
