"""The state of a connection that speaks HTTP: what it waits for, for how long, and whether it counts.

=========  =======  =================================  ==================================================
state      counted  at the deadline                    otherwise
=========  =======  =================================  ==================================================
WAITING    yes      within a request 408 and DROPPING  ANSWERING when a request is complete
                    between requests CLOSING           DROPPING when it is refused
                    before TLS is up reset
ANSWERING  no       (resources have time limits)       WAITING, CLOSING, or after the last request of a
                                                       connection DROPPING, when the response is written;
                                                       forgotten when a tunnel takes the connection over
DROPPING   yes      CLOSING                            CLOSING when too much was dropped
CLOSING    yes      reset
GONE       no
=========  =======  =================================  ==================================================

A connection is GONE when it is lost, or reset to make room for another one. In each state that waits for the
client, the connection takes one of a bounded number of places and has a deadline.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from portofcall.limits.fair_eviction import FairEviction


class State(Enum):
    """What a connection does; see the table in the module's docstring."""

    WAITING = auto()
    ANSWERING = auto()
    DROPPING = auto()
    CLOSING = auto()
    GONE = auto()


_COUNTED: Final = (State.WAITING, State.DROPPING, State.CLOSING)


class ConnectionState:
    """The one owner of a connection's state, its deadline and its place.

    Args:
        clock: for deadlines.
        waiting: the connections that count, of all sites of a gateway.
        client: the key under which the connection counts.
        reset: resets the connection.

    Attributes:
        now: the current state.
    """

    def __init__(
        self,
        clock: IReactorTime,
        waiting: "FairEviction[ConnectionState]",
        *,
        client: str,
        reset: Callable[[], None],
    ) -> None:
        self.now = State.GONE
        self._clock = clock
        self._waiting = waiting
        self._client = client
        self._reset = reset
        self._deadline: IDelayedCall | None = None

    def become(
        self, state: State, seconds: float | None = None, too_late: Callable[[], None] | None = None
    ) -> None:
        """Enter a state.

        Args:
            state: the new state; may be the current one, for a new deadline.
            seconds: until the deadline; None means that there is none.
            too_late: is called at the deadline; None means that the connection is reset.
        """
        was_counted, self.now = self.now in _COUNTED, state
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None if seconds is None else self._clock.callLater(seconds, too_late or self._reset)
        if was_counted and state not in _COUNTED:
            self._waiting.leave(self, self._client)
        elif state in _COUNTED and not was_counted:
            evicted = self._waiting.enter(self, self._client)
            if evicted is not None:
                evicted.evict()

    def evict(self) -> None:
        """Reset the connection; its place is taken by another one."""
        self.become(State.GONE)
        self._reset()

    def abort(self) -> None:
        """Reset the connection, which counts until it is lost."""
        self.become(State.CLOSING)
        self._reset()
