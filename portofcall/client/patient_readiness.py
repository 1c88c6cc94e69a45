"""Readiness for a client, which waits for the answer to what it has just passed on.

A turn of the reactor takes as long as the work for a small message, so the next event is waited for within
the turn, for a moment. What else the reactor has to do is late by that.
"""

from typing import Any, Final

from portofcall.relay.busy_poll import Events
from portofcall.relay.readiness import Readiness

_PATIENCE_SECONDS: Final = 1e-3
#: The reactor gets its turn after this time in any case: a signal may have asked for something.
_TURN_SECONDS: Final = 10e-3
#: After so many polls the reactor is asked whether it has something to do. That takes as long as a read.
_MOST_POLLS: Final = 8
_MOST_EVENTS: Final = 16


class PatientReadiness(Readiness):
    """For a process with a single tunnel.

    The reactor gets its turn when nothing comes for a moment, when it has something to do (a timer that is
    due, or bytes that wait for a descriptor to take them), and after 10 ms.
    """

    def move(self, descriptor: int, *, bulk: bool) -> None:
        """Do nothing: there is one tunnel, so nothing waits for its bulk."""

    def doRead(self) -> None:
        """Read every readable descriptor, and those that become so within a moment."""
        readable, reactor, poll_on = self._readable, self._reactor, self._poll_on
        poll: Any = self._epoll.poll  # type: ignore[union-attr]
        turn_ends = self._now() + _TURN_SECONDS
        events = poll(0, _MOST_EVENTS)
        while True:
            for _ in range(_MOST_POLLS):
                if not events:
                    return
                for descriptor, event in events:
                    if descriptor in readable:
                        readable[descriptor](event)
                events = poll_on() or poll(_PATIENCE_SECONDS, _MOST_EVENTS)
            due = reactor.timeout()
            if self._now() >= turn_ends or reactor.getWriters() or (due is not None and due <= 0):
                return


class ForwardingReadiness(Readiness):
    """For a process with any number of tunnels and with listeners, which the reactor watches.

    It gets its turn after a millisecond, however much there is to read.
    """

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        self._poll_for_a_moment = self._poll_on
        self._poll_on = self._wait  # type: ignore[assignment]

    def _wait(self) -> Events:
        events = self._poll_for_a_moment()
        return events or (self._epoll.poll(_PATIENCE_SECONDS, _MOST_EVENTS) if self._epoll else ())
