"""One thread that watches the time limit of every test.

pytest-timeout starts and joins a thread for each test: for a test of a millisecond that is most of its time.
"""

import threading
import time
from typing import NamedTuple

import pytest
import pytest_timeout

#: How often the time is looked at, in seconds: a test may take that much longer than its limit.
INTERVAL_SECONDS = 0.5


class Watch(NamedTuple):
    """A running test: the monotonic time at which it is over, and what pytest-timeout knows about it."""

    due: float
    item: pytest.Item
    settings: pytest_timeout.Settings


class Watchdog(threading.Thread):
    """Ends the run, with the stack of every thread, when the running test exceeds its limit."""

    def __init__(self) -> None:
        super().__init__(name="watchdog", daemon=True)
        self.watch: Watch | None = None

    def run(self) -> None:
        while True:
            time.sleep(INTERVAL_SECONDS)
            watch = self.watch
            if watch is not None and time.monotonic() > watch.due:
                self.watch = None
                pytest_timeout.timeout_timer(watch.item, watch.settings)


_watchdog = Watchdog()
_watchdog.start()


def pytest_timeout_set_timer(item: pytest.Item, settings: pytest_timeout.Settings) -> bool:
    """Begin to watch a test, in place of pytest-timeout."""
    _watchdog.watch = Watch(time.monotonic() + settings.timeout, item, settings)
    return True


def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    """Stop watching: the test has ended, or a debugger has stopped it."""
    _watchdog.watch = None
    return True
