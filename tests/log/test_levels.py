"""The operator can have more or less logged, for a time."""

import pytest

from portofcall.log.levels import ALL, MOST_CLIENTS, Level, LogLevels
from tests.support import Time

HOUR = 3600


def test_level_of_a_client_counts_more_than_that_of_all() -> None:
    """While it lasts."""
    time = Time()
    levels = LogLevels(now=time)
    assert levels.of("192.0.2.1") is Level.INFO
    levels.set(Level.WARN, client=ALL, seconds=HOUR)
    levels.set(Level.DEBUG, client="192.0.2.1", seconds=60)
    assert (levels.of("192.0.2.1"), levels.of("192.0.2.2")) == (Level.DEBUG, Level.WARN)
    time.now += 60
    assert (levels.of("192.0.2.1"), levels.of("192.0.2.2")) == (Level.WARN, Level.WARN)
    time.now += HOUR
    assert levels.of("192.0.2.1") is Level.INFO
    assert list(levels) == []


def test_setting_it_again_replaces_it() -> None:
    """A shorter time counts from now."""
    time = Time()
    levels = LogLevels(now=time)
    levels.set(Level.DEBUG, client="192.0.2.1", seconds=HOUR)
    levels.set(Level.INFO, client="192.0.2.1", seconds=10)
    assert [(setting.level, setting.ends_at - time.now) for setting in levels] == [(Level.INFO, 10)]


def test_there_are_levels_for_so_many_clients() -> None:
    """One whose time is over makes room."""
    time = Time()
    levels = LogLevels(now=time)
    for number in range(MOST_CLIENTS):
        levels.set(Level.DEBUG, client=f"192.0.2.{number}", seconds=10 + number)
    with pytest.raises(ValueError, match="100 clients"):
        levels.set(Level.DEBUG, client="198.51.100.1", seconds=10)
    levels.set(Level.WARN, client="192.0.2.5", seconds=HOUR)
    time.now += 10
    levels.set(Level.DEBUG, client="198.51.100.1", seconds=10)
