"""Readiness for a process with a single tunnel, which has little else to do."""

from typing import Any, Final

from portofcall.relay.readiness import Readiness

#: How long the next event is waited for within a turn of the reactor, whose work is late by that.
_PATIENCE_SECONDS: Final = 1e-3
#: The reactor gets its turn after this time in any case.
_TURN_SECONDS: Final = 10e-3
#: How often it is asked whether it has something to do. That takes as long as a small read.
_ASK_SECONDS: Final = 200e-6
_MOST_EVENTS: Final = 16


class PatientReadiness(Readiness):
    """Waits for the next event itself for a moment, without a turn of the reactor in between.

    A turn takes about as long as the work for a small message. The reactor gets one when it has something to
    do: a timer that is due, or bytes that wait for a descriptor to take them.
    """

    def move(self, descriptor: int, *, bulk: bool) -> None:
        """Do nothing: there is one tunnel, so nothing waits for its bulk."""

    def doRead(self) -> None:
        """Read every readable descriptor, and those that become so within a moment."""
        readable, reactor, now = self._readable, self._reactor, self._now
        epoll: Any = self._epoll
        turn_ends = now() + _TURN_SECONDS
        ask = 0.0
        events = epoll.poll(0, _MOST_EVENTS)
        while events:
            for descriptor, event in events:
                if descriptor in readable:
                    readable[descriptor](event)
            time = now()
            if time >= ask:
                due = reactor.timeout()
                if time >= turn_ends or reactor.getWriters() or (due is not None and due <= 0):
                    return
                ask = time + _ASK_SECONDS
            events = epoll.poll(_PATIENCE_SECONDS, _MOST_EVENTS)
