"""Remembers which single-use tickets were used, until they expire."""

import heapq
import math
from typing import Final

from portofcall.errors import TooManyRequests, Unauthorized

#: How many used tickets are remembered.
MAX_SPENT: Final = 100_000


class SingleUse:
    """Remembers which tickets were used, until they expire.

    In memory only: a restart forgets them, and gateways with the same key do not know of each other's.

    Args:
        most: how many are remembered. Beyond that a further one is refused, because to forget one would let
            it be used again.
    """

    def __init__(self, most: int = MAX_SPENT) -> None:
        self._most = most
        self._spent: set[str] = set()
        self._by_end: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._spent)

    def spend(self, name: str, expires_at: float, now: float) -> None:
        """Use a ticket up.

        Args:
            name: the ticket's own.
            expires_at: from when it can't be used anyway, in seconds since 1970.
            now: the time, in seconds since 1970.

        Raises:
            Unauthorized: it was used before.
            TooManyRequests: there is no room to remember it.
        """
        while self._by_end and self._by_end[0][0] <= now:
            self._spent.discard(heapq.heappop(self._by_end)[1])
        if name in self._spent:
            raise Unauthorized("the ticket has been used")
        if len(self._spent) >= self._most:
            raise TooManyRequests(
                "too many tickets for single use are in use",
                retry_after_seconds=math.ceil(self._by_end[0][0] - now),
            )
        self._spent.add(name)
        heapq.heappush(self._by_end, (expires_at, name))
