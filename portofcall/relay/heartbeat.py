"""Pings for a client that is idle, and the end of one that is gone or stuck.

Theory of operation
===================
Nothing is noted per message. What the client has sent, and what it has been sent, is counted in any case; a
look at the counts shows whether they have grown since the last look. So a client is pinged when it has sent
no payload since the last look, ``ping_interval_seconds`` ago: after at most twice that time without payload.

A missing pong proves little. A client that does not read gets no ping, and its kernel may hold megabytes in
front of the next one. So each ping has a mark, the count of the bytes that were sent before it, and its pong
returns the mark. Only a client that has returned the mark of the last byte had nothing left to read, and is
gone when it answers the next ping too late. Any other is waited for as long as its kernel acknowledges
anything (`portofcall.relay.tunnel.Tunnel.look_for_gone_peers`), or for ``client_stall_seconds`` without
progress. A client that is not read itself, because the backend does not read, can't be heard either: then
only what it acknowledges counts.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from portofcall.limits.values import Limits
from portofcall.relay.ends import Ends
from portofcall.relay.states import Event, ignore
from portofcall.relay.write_chain import WriteChain

#: A look that is so late shows that the process was held up; what has come meanwhile is read after it.
HELD_UP_SECONDS = 1.0
_NEVER = float("inf")


class Heartbeat:
    """Looks at the client of a live tunnel once per interval, and when a time limit ends.

    Args:
        ends: the tunnel's.
        limits: ``ping_interval_seconds``, ``ping_timeout_seconds``, ``client_stall_seconds``.
        clock: keeps the time.
        happens: is called with what was found, `Event.PING_TIMEOUT` or `Event.CLIENT_STUCK`.
    """

    __slots__ = (
        "_clock", "_delivered_bytes", "_due", "_ends", "_happens", "_limits", "_moved", "_next",
        "_payload_bytes", "_ping_due", "_signs", "_stalls", "_unanswered",
    )  # fmt: skip

    def __init__(
        self, ends: Ends, *, limits: Limits, clock: IReactorTime, happens: Callable[[Event], None]
    ) -> None:
        self._ends = ends
        self._limits = limits
        self._clock = clock
        self._happens = happens
        self._payload_bytes = self._delivered_bytes = self._signs = 0
        self._unanswered: float | None = None  # when the first ping was sent that is
        self._stalls = False
        self._moved = clock.seconds()
        self._ping_due = self._moved + (limits.ping_interval_seconds or _NEVER)
        self._next: IDelayedCall | None = None
        self._due = 0.0
        self._look_later(self._moved)

    def stop(self) -> None:
        """Look no more, as the tunnel is closing."""
        pending, self._next = self._next, None
        if pending is not None:
            pending.cancel()
        self._happens = ignore

    def _look(self) -> None:
        self._next = None
        now = self._clock.seconds()
        event = self._judge(now)
        if event is not None:
            self._happens(event)
            return
        if now >= self._ping_due:
            self._ping_due = now + self._limits.ping_interval_seconds
            self._ping_if_idle(now)
        self._stalls = self._owes_progress
        self._look_later(now)

    def _look_later(self, now: float) -> None:
        limits, due = self._limits, self._ping_due
        if self._unanswered is not None and self._has_read_all:
            due = min(due, self._unanswered + limits.ping_timeout_seconds)
        if limits.client_stall_seconds:
            due = min(due, (self._moved if self._stalls else now) + limits.client_stall_seconds)
        if due < _NEVER:
            self._due = due
            self._next = self._clock.callLater(due - now, self._look)

    def _judge(self, now: float) -> Event | None:
        """Note what has changed since the last look; return what follows from what has not."""
        ends, limits = self._ends, self._limits
        signs = _written_bytes(ends.to_backend) + ends.client.control_frames
        alive = signs != self._signs or now - self._due >= HELD_UP_SECONDS
        self._signs = signs
        if alive or ends.to_backend.backed_up:
            self._unanswered = None
        if self._unanswered is not None and self._has_read_all:
            # A client that has read all does not stall.
            self._moved = now
            return Event.PING_TIMEOUT if now >= self._unanswered + limits.ping_timeout_seconds else None
        if limits.client_stall_seconds:
            moves = self._has_moved() or alive or not (self._stalls and self._owes_progress)
            if moves:
                self._moved = now
            elif now >= self._moved + limits.client_stall_seconds:
                return Event.CLIENT_STUCK
        return None

    def _ping_if_idle(self, now: float) -> None:
        ends = self._ends
        payload_bytes = _written_bytes(ends.to_backend)
        if payload_bytes == self._payload_bytes:
            ends.client.ping(ends.to_client.passed_bytes)
            if self._unanswered is None and not ends.to_backend.backed_up:
                self._unanswered = now
        self._payload_bytes = payload_bytes

    def _has_moved(self) -> bool:
        """Return whether the client has acknowledged more payload; pings in the queue hide some of it."""
        sent_bytes = self._ends.to_client.passed_bytes
        delivered_bytes = sent_bytes - min(self._ends.client.unacknowledged_bytes, sent_bytes)
        before, self._delivered_bytes = self._delivered_bytes, max(delivered_bytes, self._delivered_bytes)
        return delivered_bytes > before

    @property
    def _has_read_all(self) -> bool:
        """Whether the client certainly has nothing left to read."""
        ends = self._ends
        return not ends.to_client.waiting_bytes and ends.client.answered_mark == ends.to_client.passed_bytes

    @property
    def _owes_progress(self) -> bool:
        """Whether the client should acknowledge something, or answer a ping that follows payload."""
        if self._unanswered is not None and not self._has_read_all:
            return True
        return bool(self._limits.client_stall_seconds) and self._ends.client_pending


def _written_bytes(chain: WriteChain) -> int:
    return chain.passed_bytes + chain.waiting_bytes + chain.dropped_bytes
