"""The single-use tickets that were used, until they expire."""

import heapq
import math
from typing import Final

from portofcall.errors import TooManyRequests, Unauthorized

#: How many used tickets are remembered.
MAX_SPENT: Final = 100_000


class SingleUse:
    """Remembers which tickets were used, until they expire.

    In memory only: a restart forgets them, and gateways with the same key do not share them.

    Args:
        most: how many are remembered. Beyond that a further ticket is refused: to forget one would allow its
            second use.
    """

    def __init__(self, most: int = MAX_SPENT) -> None:
        self._most = most
        self._spent: set[str] = set()
        self._by_end: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._spent)

    def spend(self, name: str, expires_at: float, now: float) -> None:
        """Mark a ticket as used.

        Args:
            name: the ticket's id.
            expires_at: when it expires, in seconds since 1970.
            now: the time, in seconds since 1970.

        Raises:
            Unauthorized: it was used before.
            TooManyRequests: too many used tickets have not expired.
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
