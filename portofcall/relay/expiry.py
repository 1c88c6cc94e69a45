"""The end of a tunnel that carries nothing for too long, or that has lived for long enough."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from portofcall.limits.values import Limits
from portofcall.relay.ends import CloseCode, Ends, LastWord
from portofcall.relay.heartbeat import HELD_UP_SECONDS

#: In one idle timeout, a tunnel's counts are looked at so often.
_LOOKS = 4
_NEVER = float("inf")


class Expiry:
    """Ends a live tunnel after ``idle_seconds`` without payload, ``lifetime_seconds`` in all, or its session.

    Nothing is noted per message: looks at the counts show whether payload was received or passed on, in
    either direction. So a tunnel is idle for up to a quarter longer.

    Args:
        ends: the tunnel's.
        limits: ``idle_seconds`` and ``lifetime_seconds``; 0 means no limit.
        session_seconds: how long its session lasts; None means no limit.
        clock: keeps the time. The lifetime begins now.
        over: is called once with the Close frame that says which limit it was.
    """

    __slots__ = (
        "_clock", "_due", "_ends", "_ends_at", "_limits", "_moved", "_next", "_over", "_seen", "_sentence",
    )  # fmt: skip

    def __init__(
        self,
        ends: Ends,
        *,
        limits: Limits,
        session_seconds: float | None,
        clock: IReactorTime,
        over: Callable[[LastWord], None],
    ) -> None:
        self._ends = ends
        self._limits = limits
        self._clock = clock
        self._over = over
        self._seen = 0
        self._moved = self._due = clock.seconds()
        lifetime_seconds = limits.lifetime_seconds or _NEVER
        self._sentence = f"the tunnel has reached its lifetime of {lifetime_seconds:g} seconds"
        if session_seconds is not None and session_seconds < lifetime_seconds:
            lifetime_seconds, self._sentence = session_seconds, "the session of the ticket is over"
        self._ends_at = self._moved + lifetime_seconds
        self._next: IDelayedCall | None = None
        self._look_later(self._moved)

    def stop(self) -> None:
        """Look no more, as the tunnel is closing."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()

    def _look_later(self, now: float) -> None:
        idle_seconds = self._limits.idle_seconds
        due = min(self._ends_at, now + idle_seconds / _LOOKS if idle_seconds else _NEVER)
        if due < _NEVER:
            self._due = due
            self._next = self._clock.callLater(due - now, self._look)

    def _look(self) -> None:
        self._next = None
        now, limits = self._clock.seconds(), self._limits
        up, down = self._ends.to_backend, self._ends.to_client
        # What is passed on after it has waited changes the sum as well.
        seen = sum(2 * chain.passed_bytes + chain.waiting_bytes + chain.dropped_bytes for chain in (up, down))
        if seen != self._seen or now - self._due >= HELD_UP_SECONDS:
            self._seen, self._moved = seen, now
        if now >= self._ends_at:
            self._over((CloseCode.LIFETIME_OVER, f"lifetime-over: {self._sentence}"))
        elif limits.idle_seconds and now >= self._moved + limits.idle_seconds:
            sentence = f"the tunnel carried nothing for {limits.idle_seconds:g} seconds"
            self._over((CloseCode.IDLE_TIMEOUT, f"idle-timeout: {sentence}"))
        else:
            self._look_later(now)
