"""Watches the ends of a tunnel that is closing, and reports when one takes too long."""

from collections.abc import Callable
from enum import Enum

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from portofcall.limits.values import Limits
from portofcall.relay.ends import Ends
from portofcall.relay.states import End, Event, ignore
from portofcall.relay.waits import Patience, Wait, backend_wait, client_wait, patience

#: How long until the next look: soon after an event, then less and less often.
_SOON_SECONDS, _LATER_SECONDS = 0.02, 1.0


class Over(Enum):
    """Why the wait for an end is over."""

    QUIET = "there was no progress for too long"
    TOTAL = "it took too long in all"


class Watch:
    """Measures how long one end has been waited for.

    Args:
        clock: keeps the time.
    """

    __slots__ = (
        "_began", "_clock", "_moved", "_seen", "_wait",
    )  # fmt: skip

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._wait = Wait.NOTHING
        self._seen: object = None
        self._began = self._moved = 0.0

    def look(self, wait: Wait, patience: Patience, seen: object) -> Over | None:
        """Look at the end.

        Args:
            wait: what this end is expected to do now. A change restarts the time.
            patience: how long it may take.
            seen: what has come of it so far; any change is progress.

        Returns:
            Why the wait is over, or None while it is not. The time then restarts.
        """
        now = self._clock.seconds()
        if wait is not self._wait:
            self._wait, self._began, self._seen = wait, now, self
        if seen != self._seen:
            self._seen, self._moved = seen, now
        if now - self._began >= patience.total_seconds:
            over = Over.TOTAL
        elif now - self._moved >= patience.quiet_seconds:
            over = Over.QUIET
        else:
            return None
        self._wait = Wait.NOTHING
        return over


class Closing:
    """Looks at both ends of a closing tunnel, soon after each event and then once a second.

    There is no event for "the peer has acknowledged this", so that it takes looking.

    Args:
        ends: the tunnel's.
        limits: the time limits.
        clock: keeps the time.
        happens: is called with what was found.
    """

    __slots__ = (
        "_backend", "_client", "_clock", "_discarded_bytes", "_ends", "_happens", "_interval",
        "_limits", "_next", "_received_bytes",
    )  # fmt: skip

    def __init__(
        self, ends: Ends, *, limits: Limits, clock: IReactorTime, happens: Callable[[Event], None]
    ) -> None:
        self._ends = ends
        self._limits = limits
        self._clock = clock
        self._happens = happens
        self._client = Watch(clock)
        self._backend = Watch(clock)
        self._next: IDelayedCall | None = None
        self._interval = _SOON_SECONDS
        self._discarded_bytes = self._received_bytes = 0

    def look_soon(self) -> None:
        """Take note that something has happened while the tunnel is closing."""
        ends = self._ends
        if ends.backend_state is End.CLOSED and not ends.backend_pending and not ends.backend_has_failed():
            self._happens(Event.BACKEND_ACKNOWLEDGED)
        elif ends.client_state is End.CLOSED and not ends.client_pending:
            self._happens(Event.CLIENT_ACKNOWLEDGED)
        elif self._next is None:
            self._look_later(_SOON_SECONDS)
        elif self._interval > _SOON_SECONDS:
            self._next.reset(_SOON_SECONDS)
            self._interval = _SOON_SECONDS

    def stop(self) -> None:
        """Look no more."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()
        self._happens = ignore

    def _look_later(self, seconds: float) -> None:
        self._interval = seconds
        self._next = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._look_later(min(2 * self._interval, _LATER_SECONDS))
        for look_at_end in (self._look_at_client, self._look_at_backend):
            event = look_at_end() if self._next is not None else None
            if event is not None:
                self._happens(event)

    def _look_at_client(self) -> Event | None:
        ends = self._ends
        progress = ends.client_progress
        pending = ends.client_pending and not progress.reset
        if ends.client_state is End.CLOSED and not pending:
            return Event.CLIENT_ACKNOWLEDGED
        wait = client_wait(ends.client_state, pending=pending, paused=ends.to_backend.backed_up)
        seen: object = (progress.acknowledged, ends.to_client.passed_bytes)
        if wait is Wait.ANSWER:
            # Payload that nobody takes any more is no sign that an answer will come.
            if self._discarded_bytes == ends.to_backend.dropped_bytes:
                self._received_bytes = progress.received
            self._discarded_bytes = ends.to_backend.dropped_bytes
            seen = (seen, self._received_bytes)
        if self._client.look(wait, patience(wait, self._limits), seen) is None:
            return None
        return Event.CLIENT_STUCK if wait is Wait.DELIVERY else Event.CLIENT_SILENT

    def _look_at_backend(self) -> Event | None:
        ends = self._ends
        progress, client_pending = ends.backend_progress, ends.client_pending
        pending = ends.backend_pending and not progress.reset
        if ends.backend_state is End.CLOSED and not pending:
            return None if ends.backend_has_failed() else Event.BACKEND_ACKNOWLEDGED
        wait = backend_wait(
            ends.backend_state, ends.client_state, pending=pending, client_pending=client_pending
        )
        seen: object = (progress.acknowledged, ends.to_backend.passed_bytes)
        if wait is Wait.GRACE:
            chain = ends.to_client
            to_client = (chain.waiting_bytes, chain.passed_bytes, ends.client_progress.acknowledged)
            seen = (seen, progress.received, to_client)
        over = self._backend.look(wait, patience(wait, self._limits, client_pending=client_pending), seen)
        if over is None:
            return None
        if wait is Wait.DELIVERY:
            return Event.BACKEND_STUCK
        return Event.GRACE_OVER if wait is Wait.GRACE and over is Over.TOTAL else Event.BACKEND_SILENT
