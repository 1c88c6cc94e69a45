"""A limit that is reached is one line a minute that names its option."""

import pytest

from portofcall.limits.limit_warnings import INTERVAL_SECONDS, LimitWarnings
from portofcall.limits.values import Limits
from tests.support import Time


def make() -> tuple[LimitWarnings, list[str], Time]:
    """Make warnings, the lines that they write, and their clock."""
    lines: list[str] = []
    time = Time()
    return LimitWarnings(Limits(), now=time, warn=lines.append), lines, time


def test_first_refusal_is_one_line_at_once() -> None:
    """With the option, its value, and the client or target."""
    warnings, lines, _ = make()
    warnings.reached("max_per_client", "192.0.2.1")
    warnings.reached("max_tunnels")
    warnings.reached("rate_per_target", "192.0.2.2:22")
    assert lines == [
        "limit reached for 192.0.2.1: --max-per-client 256",
        "limit reached: --max-tunnels 10000",
        "limit reached for 192.0.2.2:22: --rate-per-target 200:800",
    ]


def test_flood_is_one_line_a_minute() -> None:
    """From a million clients too; the next line has the number of refusals in between."""
    warnings, lines, time = make()
    for number in range(1000):
        warnings.reached("max_per_client", str(number))
        time.now += INTERVAL_SECONDS / 1001
    assert lines == ["limit reached for 0: --max-per-client 256"]
    time.now += INTERVAL_SECONDS
    warnings.reached("max_per_client", "again")
    assert lines[1:] == [
        "limit reached for again: --max-per-client 256; 999 more refused since the last warning"
    ]


def test_each_limit_has_its_own_minute() -> None:
    """A flood against one does not hide another."""
    warnings, lines, _ = make()
    for _ in range(3):
        warnings.reached("max_per_client", "a")
        warnings.reached("max_per_target", "b")
    assert len(lines) == 2


def test_counts_start_again_after_a_line() -> None:
    """Refusals are reported once."""
    warnings, lines, time = make()
    for _ in range(2):
        warnings.reached("max_tunnels")
    for _ in range(2):
        time.now += INTERVAL_SECONDS
        warnings.reached("max_tunnels")
    assert ["more" in line for line in lines] == [False, True, False]


def test_only_limits_can_be_reached() -> None:
    """A misspelled name is a bug of the caller."""
    warnings, _, _ = make()
    with pytest.raises(AttributeError):
        warnings.reached("max_bananas")
