"""Busy polling is tried while it finds events, and ever less while it does not."""

import itertools

from portofcall.relay.busy_poll import BusyPoll, Events

EVENT: Events = [(7, 1)]


class Polls:
    """A poll that finds an event after a number of calls, each of which takes 10 microseconds."""

    def __init__(self, *, after: int | None, pays: bool = True) -> None:
        self.after = after
        self.calls = 0
        self.seconds = 0.0
        self.poll_on = BusyPoll(self.poll, now=lambda: self.seconds, pays=pays)

    def poll(self) -> Events:
        self.calls += 1
        self.seconds += 10e-6
        return EVENT if self.after is not None and self.calls > self.after else []

    def turn(self) -> int:
        """Busy-poll once; return the number of calls."""
        self.calls = 0
        self.poll_on()
        return self.calls


def test_event_within_the_moment_is_returned() -> None:
    """As from a nearby peer."""
    assert Polls(after=2).poll_on() == EVENT


def test_moment_is_short() -> None:
    """50 microseconds, and each call takes 10 here."""
    polls = Polls(after=None)
    assert polls.poll_on() == ()
    assert polls.calls in (5, 6)


def test_each_miss_halves_how_often_it_is_tried() -> None:
    """Down to one turn in 256, so that it costs next to nothing with distant peers."""
    polls = Polls(after=None)
    tried = [number for number in range(3000) if polls.turn()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert gaps[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(gaps[8:]) == {256}


def test_a_hit_brings_it_back_to_every_turn() -> None:
    """However many misses there were before."""
    polls = Polls(after=None)
    for _ in range(20):
        polls.turn()
    polls.after = 0
    while not polls.turn():
        pass
    assert all(polls.turn() for _ in range(100))


def test_one_miss_after_a_hit_costs_one_turn_only() -> None:
    """A hit resets the back-off, however many misses were before it."""
    polls = Polls(after=None)
    for _ in range(3000):
        polls.turn()
    polls.after = 0
    while not polls.turn():
        pass
    polls.after = None
    assert polls.turn(), "the miss"
    polls.after = 0
    assert [bool(polls.turn()) for _ in range(3)] == [False, True, True]


def test_on_a_single_processor_it_never_polls() -> None:
    """The peers may need that processor in order to answer."""
    polls = Polls(after=0, pays=False)
    assert polls.turn() == 0
