"""Readiness for a client, which waits for the answer to what it has just passed on.

A turn of the reactor takes as long as the work for a small message, so the next event is waited for within
the turn, for a moment. What else the reactor has to do is late by that.
"""

from typing import Any, Final

from portofcall.relay.busy_poll import Events
from portofcall.relay.readiness import Readiness

_PATIENCE_SECONDS: Final = 1e-3
#: After so many polls the reactor is asked whether it has something to do. That takes as long as a read.
_MOST_POLLS: Final = 8
_MOST_EVENTS: Final = 16


class PatientReadiness(Readiness):
    """For a process with any number of tunnels, and with listeners, which the reactor watches.

    The reactor gets its turn when nothing comes for a moment, when it has something to do (a timer that is
    due, or bytes that wait for a descriptor to take them), and after `turn_seconds`: a signal or a new
    connection may wait for it. Beside bulk it gets it as with any `Readiness`.

    Attributes:
        turn_seconds: see above.
        polls_first: whether to poll for a moment before sleeping (see `BusyPoll`). A local program that is
            connected by a socket needs the processor more.
    """

    turn_seconds = 2e-3
    polls_first = False

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self._busy_poll = self._poll_on if self.polls_first else None
        self._poll_on = self._wait  # type: ignore[assignment]

    def doRead(self) -> None:
        """Read every readable descriptor, and those that become so within a moment."""
        if self._bulk:
            super().doRead()
            return
        readable, reactor, busy_poll = self._readable, self._reactor, self._busy_poll
        poll: Any = self._epoll.poll  # type: ignore[union-attr]
        turn_ends = self._now() + self.turn_seconds
        events = poll(0, _MOST_EVENTS)
        while True:
            for _ in range(_MOST_POLLS):
                if not events:
                    return
                for descriptor, event in events:
                    if descriptor not in readable:
                        # Just forgotten, or it stands for bulk, which is read in the next turn.
                        return
                    readable[descriptor](event)
                events = (busy_poll and busy_poll()) or poll(_PATIENCE_SECONDS, _MOST_EVENTS)
            due = reactor.timeout()
            if self._now() >= turn_ends or reactor.getWriters() or (due is not None and due <= 0):
                return

    def _wait(self) -> Events:
        return self._epoll.poll(_PATIENCE_SECONDS, _MOST_EVENTS) if self._epoll else ()


class SingleTunnelReadiness(PatientReadiness):
    """For a process with a single tunnel, and without listeners."""

    turn_seconds = 10e-3
    polls_first = True

    def move(self, descriptor: int, *, bulk: bool) -> None:
        """Do nothing: there is one tunnel, so nothing waits for its bulk."""
