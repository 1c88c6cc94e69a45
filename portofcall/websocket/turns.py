"""One budget for all that connections parse in one turn of the reactor."""

from collections import deque
from collections.abc import Callable
from typing import Any

#: What may be parsed in one turn, in plain frames or an equal amount of work: 1 to 2 ms.
UNITS_PER_TURN = 1024


class Turns:
    """Shares each turn of the reactor among the connections that have something left to parse.

    Contract: the units that are spent in one turn are counted for all connections together. Those that `wait`
    continue in the following turns, in rotation and within the budget of each turn, however much each has
    left.

    A turn in which less than half of its budget is spent costs no timer: what it has left is also all that is
    left for the next ones, until half of it is spent.

    Args:
        reactor: its `callLater` with no delay is the next turn.

    Attributes:
        left: the units that are left in this turn.
    """

    def __init__(self, reactor: Any) -> None:
        self.left = UNITS_PER_TURN
        self._call_later = reactor.callLater
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False

    def spend(self, units: int) -> bool:
        """Count work that was done in this turn.

        Args:
            units: one or more.

        Returns:
            Whether more may be done at once: there is budget left, and no other connection waits for it.
        """
        self.left -= units
        if self.left <= UNITS_PER_TURN // 2:
            self._schedule()
        return self.left > 0 and not self._waiting

    def wait(self, go_on: Callable[[], None]) -> None:
        """Call ``go_on`` when its turn comes. It raises nothing, and spends something if it waits again."""
        self._waiting.append(go_on)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_later(0, self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        self.left = UNITS_PER_TURN
        while self._waiting and self.left > 0:
            self._waiting.popleft()()
        if self._waiting:
            self._schedule()
