"""Failed authentications per client, and the wait before the next attempt."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from portofcall.errors import TooManyRequests

#: How often a client may fail before it has to wait: passwords are mistyped.
FREE_FAILURES: Final = 5
#: The longest wait. Clients behind one address share it, so a long one would be a way to lock others out.
LONGEST_WAIT_SECONDS: Final = 60
#: After this long without a failure the earlier ones are forgotten.
WINDOW_SECONDS: Final = 15 * 60
#: How many clients are remembered. Beyond that, the one with the oldest failure is forgotten.
MAX_CLIENTS: Final = 10_000


class FailureBackoff:
    """Slows down guessing: a wait of 1 second after the fifth failure, then 2, 4, and so on up to a minute.

    The client is refused until then, not answered late: a response that is held back costs the gateway a
    connection and the client nothing, and a client that opens many at once would not even notice.

    A success resets the count, so a client with a valid password can guess others' faster.

    Args:
        monotonic: returns monotonic time, in seconds.
        most_clients: how many are remembered.
    """

    def __init__(self, *, monotonic: Callable[[], float], most_clients: int = MAX_CLIENTS) -> None:
        self._monotonic = monotonic
        self._most = most_clients
        #: Count and time of each client's last failure, in the order of those times.
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failed)

    def judge(self, client: str) -> None:
        """Check that a client may try now.

        Args:
            client: its key, see `portofcall.access.client_address.client_key`.

        Raises:
            TooManyRequests: it has to wait; the error has the seconds.
        """
        count, last = self._failed.get(client, (0, 0.0))
        wait = last + _wait_seconds(count) - self._monotonic() if count >= FREE_FAILURES else 0
        if wait > 0:
            raise TooManyRequests("too many failed attempts", retry_after_seconds=math.ceil(wait))

    def count(self, client: str) -> None:
        """Count a failure of a client."""
        now = self._monotonic()
        count, last = self._failed.pop(client, (0, now))
        self._failed[client] = (count + 1 if now - last < WINDOW_SECONDS else 1, now)
        if len(self._failed) > self._most:
            self._failed.popitem(last=False)

    def forget(self, client: str) -> None:
        """Reset the count of a client, because it has authenticated."""
        self._failed.pop(client, None)


def _wait_seconds(count: int) -> int:
    # The exponent is bounded, because the count is not.
    return min(1 << min(count - FREE_FAILURES, 10), LONGEST_WAIT_SECONDS)
