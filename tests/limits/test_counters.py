"""Token buckets and use counts."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portofcall.limits.counters import RateLimit
from portofcall.limits.values import Rate
from tests.support import Time


def test_keys_that_are_not_used_again_are_forgotten() -> None:
    """A million addresses that came once do not stay in memory: at 100 a second, those of two seconds do."""
    time = Time()
    limit = RateLimit(Rate(10, 10), now=time)
    for number in range(30_000):
        time.now += 0.01
        limit.take(str(number))
        assert len(limit) <= 202


def test_key_that_is_used_is_remembered() -> None:
    """A sweep removes full buckets only, or the rate would be forgotten."""
    time = Time()
    limit = RateLimit(Rate(1, 2), now=time)
    for number in range(100):
        time.now += 0.5
        limit.take("steady")
        limit.take(str(number))
    assert limit.take("steady") > 0
    assert len(limit) <= 7, "although it is older than all that were removed"


def test_sweeps_are_a_second_apart() -> None:
    """In between, a bucket that is full again stays."""
    time = Time()
    limit = RateLimit(Rate(10, 10), now=time)
    sizes = []
    for step in range(13):
        limit.take(str(step))
        sizes.append(len(limit))
        time.now += 0.25
    assert sizes == [1, 2, 3, 4, 4, 5, 6, 7, 4, 5, 6, 7, 4]


class CountingDict(OrderedDict[Hashable, Any]):
    """Counts the values that are looked at in order."""

    seen = 0

    def values(self) -> Any:
        for value in super().values():
            self.seen += 1
            yield value


def test_sweep_costs_what_it_removes() -> None:
    """With 20,000 buckets in use, ten new keys a second look at one of them a second."""
    time = Time()
    limit = RateLimit(Rate(1, 3600), now=time)
    limit._buckets = buckets = CountingDict()
    for number in range(20_000):
        limit.take(number)
    buckets.seen = 0
    for number in range(100):
        time.now += 0.1
        limit.take(f"new {number}")
    assert len(limit) == 20_100
    assert buckets.seen <= 11
    time.now += 3601
    limit.take("last")
    assert len(limit) == 1
    assert buckets.seen <= 11 + 20_100


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
