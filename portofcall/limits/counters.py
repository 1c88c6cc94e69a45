"""Two ways to count per key: a token bucket, and a number in use at a time. They know no clock."""

from collections.abc import Callable
from dataclasses import dataclass

from portofcall.limits.values import Rate

#: How many buckets are kept before the full ones are swept out: they are as good as new ones.
_SWEEP_AT = 10_000


@dataclass(slots=True)
class _Bucket:
    """A token bucket: ``tokens`` at the time ``at``, in seconds."""

    tokens: float
    at: float


class RateLimit:
    """So many per second for each key, with bursts.

    Args:
        rate: how fast tokens come back, and how many there are at most.
        now: tells the time, in seconds.
    """

    def __init__(self, rate: Rate, *, now: Callable[[], float]) -> None:
        self._per_second, self._burst = rate
        self._now = now
        self._buckets: dict[str, _Bucket] = {}

    def take(self, key: str) -> float:
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
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0

    def _sweep(self, now: float) -> None:
        if len(self._buckets) >= _SWEEP_AT:
            full_after = self._burst / self._per_second
            self._buckets = {key: b for key, b in self._buckets.items() if now - b.at < full_after}


class UseLimit:
    """So many at a time for each key.

    Args:
        most: how many; 0 means no limit.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: dict[str, int] = {}

    def enter(self, key: str) -> bool:
        """Count one more, unless there are as many as may be."""
        used = self._used.get(key, 0)
        if self._most and used >= self._most:
            return False
        self._used[key] = used + 1
        return True

    def leave(self, key: str) -> None:
        """Count one less."""
        used = self._used[key] - 1
        if used:
            self._used[key] = used
        else:
            del self._used[key]

    def used(self, key: str) -> int:
        """Tell how many there are."""
        return self._used.get(key, 0)
