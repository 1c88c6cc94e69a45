"""The lag of the event loop is measured by one timer."""

from twisted.internet.task import Clock

from portofcall.admin.event_loop_lag import INTERVAL_SECONDS, EventLoopLag


def test_lag_is_how_much_later_the_timer_fires() -> None:
    """0 while the loop has time, and as long as it was held up."""
    clock, seen = Clock(), list[float]()
    lag = EventLoopLag(clock, seen.append)
    lag.start()
    clock.advance(INTERVAL_SECONDS)
    clock.advance(INTERVAL_SECONDS + 0.25)
    assert seen == [0, 0.25]
    clock.advance(INTERVAL_SECONDS)
    assert seen == [0, 0.25, 0]


def test_stopped_measurement_leaves_no_timer() -> None:
    """Stopping again does nothing."""
    clock, seen = Clock(), list[float]()
    lag = EventLoopLag(clock, seen.append)
    lag.start()
    lag.stop()
    lag.stop()
    assert clock.getDelayedCalls() == []
    assert seen == []
