"""Failures are counted per client, in bounded memory, and the wait has a maximum."""

import pytest

from portofcall.errors import TooManyRequests
from portofcall.limits.failure_backoff import FREE_FAILURES, LONGEST_WAIT_SECONDS, MAX_CLIENTS, FailureBackoff


def test_memory_is_bounded() -> None:
    """Many addresses do not fill it, and the latest failures are remembered."""
    failures = FailureBackoff(monotonic=lambda: 0.0, most_clients=10)
    for number in range(1000):
        for _ in range(FREE_FAILURES):
            failures.count(str(number))
    assert len(failures) == 10
    with pytest.raises(TooManyRequests):
        failures.judge("999")
    failures.judge("0")
    assert MAX_CLIENTS <= 100_000


def test_wait_has_a_maximum() -> None:
    """However often a client fails."""
    failures = FailureBackoff(monotonic=lambda: 0.0)
    for _ in range(5000):
        failures.count("a")
    with pytest.raises(TooManyRequests) as caught:
        failures.judge("a")
    assert caught.value.retry_after_seconds == LONGEST_WAIT_SECONDS
