"""Two kinds of limit per key: a rate (token bucket), and a number in use at a time."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from portofcall.limits.values import Rate

#: Buckets that are full again are removed at most this often.
_SWEEP_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Bucket:
    """A token bucket: ``tokens`` at the time ``at``, in seconds."""

    tokens: float
    at: float


class RateLimit:
    """A rate per key, with bursts (token bucket).

    Args:
        rate: how fast tokens are refilled, and the most that a bucket holds.
        now: returns monotonic time, in seconds.
    """

    def __init__(self, rate: Rate, *, now: Callable[[], float]) -> None:
        self._per_second, self._burst = rate
        self._now = now
        #: By last use, the oldest first, so that a sweep ends at the first bucket that it keeps.
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """The number of keys that are remembered."""
        return len(self._buckets)

    def take(self, key: Hashable) -> float:
        """Take a token.

        Returns:
            0 if there was one, else the seconds until there will be.
        """
        if not self._per_second:
            return 0.0
        now = self._now()
        bucket = self._buckets.get(key)
        if bucket is None:
            self._sweep(now)
            bucket = self._buckets[key] = _Bucket(self._burst, now)
        else:
            self._buckets.move_to_end(key)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0

    def _sweep(self, now: float) -> None:
        """Remove the buckets that are full again: they are as good as new ones."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP_SECONDS
        full_since = now - self._burst / self._per_second
        while self._buckets and next(iter(self._buckets.values())).at <= full_since:
            self._buckets.popitem(last=False)


class UseLimit:
    """A number in use at a time, per key.

    Args:
        most: the limit for each key; 0 means no limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: dict[Hashable, int] = {}

    def enter(self, key: Hashable) -> bool:
        """Count one more and return True, or return False at the limit."""
        used = self._used.get(key, 0)
        if self._most and used >= self._most:
            return False
        self._used[key] = used + 1
        return True

    def leave(self, key: Hashable) -> None:
        """Count one less."""
        used = self._used[key] - 1
        if used:
            self._used[key] = used
        else:
            del self._used[key]

    def used(self, key: Hashable) -> int:
        """Return the number in use."""
        return self._used.get(key, 0)
