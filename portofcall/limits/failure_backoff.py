"""Who has failed to prove who they are, how often, and how long they have to wait for the next attempt."""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from portofcall.errors import TooManyRequests

#: How often a client may fail before it has to wait: people mistype.
FREE_FAILURES: Final = 5
#: The longest wait. Clients behind one address share it, so it must not become a way to lock others out.
LONGEST_WAIT_SECONDS: Final = 60
#: After so long without a failure the earlier ones are forgotten.
WINDOW_SECONDS: Final = 15 * 60
#: How many clients are remembered. Beyond that the one whose last failure is the longest ago is forgotten.
MAX_CLIENTS: Final = 10_000


class FailureBackoff:
    """Slows clients down that guess: 1 second after the fifth failure, then 2, 4, and so on up to a minute.

    The client is told to wait, instead of being answered late: an answer that is held back costs a connection
    here and nothing there, and a client that opens many at once would not even notice.

    A success starts the count anew, so whoever has a password of their own can guess faster at others'.

    Args:
        monotonic: tells the time, in seconds.
        most_clients: how many are remembered.
    """

    def __init__(self, *, monotonic: Callable[[], float], most_clients: int = MAX_CLIENTS) -> None:
        self._monotonic = monotonic
        self._most = most_clients
        #: How often each client failed, and when last; the one that failed last is the last.
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failed)

    def judge(self, client: str) -> None:
        """Let a client try, or not yet.

        Args:
            client: what it is counted as, see `portofcall.access.client_key`.

        Raises:
            TooManyRequests: it has to wait, for as long as the error says.
        """
        count, last = self._failed.get(client, (0, 0.0))
        wait = last + _wait_seconds(count) - self._monotonic() if count >= FREE_FAILURES else 0
        if wait > 0:
            raise TooManyRequests("too many failed attempts", retry_after_seconds=math.ceil(wait))

    def count(self, client: str) -> None:
        """Remember that a client has failed."""
        now = self._monotonic()
        count, last = self._failed.pop(client, (0, now))
        self._failed[client] = (count + 1 if now - last < WINDOW_SECONDS else 1, now)
        if len(self._failed) > self._most:
            self._failed.popitem(last=False)

    def forget(self, client: str) -> None:
        """Begin anew with a client, because it has proved who it is."""
        self._failed.pop(client, None)


def _wait_seconds(count: int) -> int:
    # The exponent is bounded, as a client may fail for ever.
    return min(1 << min(count - FREE_FAILURES, 10), LONGEST_WAIT_SECONDS)
