"""Token buckets and use counts."""

from hypothesis import given
from hypothesis import strategies as st

from portofcall.limits.counters import RateLimit
from portofcall.limits.values import Rate
from tests.support import Time


def test_buckets_of_those_who_left_are_forgotten() -> None:
    """A million addresses that came once do not stay in memory."""
    time = Time()
    limit = RateLimit(Rate(10, 10), now=time)
    for number in range(30_000):
        time.now += 0.01
        limit.take(str(number))
    assert len(limit._buckets) <= 10_000


@given(st.lists(st.floats(0, 2), max_size=50))
def test_no_pattern_beats_the_rate(waits: list[float]) -> None:
    """In any time, at most the burst and the rate's worth pass."""
    time = Time()
    limit = RateLimit(Rate(3, 4), now=time)
    passed = 0
    for wait in waits:
        time.now += wait
        passed += not limit.take("a")
    assert passed <= 4 + 3 * sum(waits) + 1e-6
