"""Single-use tickets are used once, and memory for them is bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.errors import TooManyRequests, Unauthorized
from portofcall.limits.single_use import SingleUse

NOW = 1_800_000_000.25


def test_a_single_use_ticket_is_used_once() -> None:
    """A ticket with another id is not affected."""
    spent = SingleUse()
    spent.spend("a", NOW + 60, NOW)
    spent.spend("b", NOW + 60, NOW)
    with pytest.raises(Unauthorized, match="the ticket has been used"):
        spent.spend("a", NOW + 60, NOW + 59)


def test_used_tickets_are_forgotten_when_they_have_ended() -> None:
    """Memory is needed for tickets that have not expired only."""
    spent = SingleUse()
    spent.spend("short", NOW + 10, NOW)
    spent.spend("long", NOW + 100, NOW)
    spent.spend("other", NOW + 60, NOW + 9)
    assert len(spent) == 3
    spent.spend("another", NOW + 60, NOW + 10)
    assert len(spent) == 3
    with pytest.raises(Unauthorized):
        spent.spend("long", NOW + 100, NOW + 50)


def test_a_full_memory_refuses_and_forgets_nothing() -> None:
    """The error reports when there will be room."""
    spent = SingleUse(most=2)
    spent.spend("a", NOW + 30, NOW)
    spent.spend("b", NOW + 60, NOW)
    with pytest.raises(TooManyRequests) as caught:
        spent.spend("c", NOW + 60, NOW)
    wait = caught.value.retry_after_seconds
    assert wait is not None
    assert wait <= 31
    with pytest.raises(Unauthorized):
        spent.spend("a", NOW + 30, NOW)
    spent.spend("c", NOW + 60, NOW + wait)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 50), st.integers(0, 20)), max_size=40))
def test_no_ticket_is_used_twice_while_it_counts(steps: list[tuple[str, int, int]]) -> None:
    """In any order of use and expiry."""
    spent, now, used = SingleUse(most=4), NOW, dict[str, float]()
    for name, ttl, passed in steps:
        now += passed
        expires_at = used.get(name, now + ttl)
        if expires_at <= now:
            used.pop(name, None)
            continue
        try:
            spent.spend(name, expires_at, now)
        except (Unauthorized, TooManyRequests):
            continue
        assert name not in used
        used[name] = expires_at
