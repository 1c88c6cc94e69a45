"""Polling on is tried while it pays, and given up where it does not."""

import itertools

from portofcall.relay.busy_poll import BusyPoll, Events

EVENT: Events = [(7, 1)]


class Answers:
    """A poll that has an answer when it has been asked so often, each time 10 microseconds later."""

    def __init__(self, *, after: int | None, pays: bool = True) -> None:
        self.after = after
        self.asked = 0
        self.seconds = 0.0
        self.poll_on = BusyPoll(self.poll, now=lambda: self.seconds, pays=pays)

    def poll(self) -> Events:
        self.asked += 1
        self.seconds += 10e-6
        return EVENT if self.after is not None and self.asked > self.after else []

    def turn(self) -> int:
        """Poll on once; tell how often that asked."""
        self.asked = 0
        self.poll_on()
        return self.asked


def test_what_comes_within_the_moment_is_returned() -> None:
    """An answer from nearby."""
    assert Answers(after=2).poll_on() == EVENT


def test_moment_is_short() -> None:
    """50 microseconds, of which each question takes 10 here."""
    answers = Answers(after=None)
    assert answers.poll_on() == ()
    assert answers.asked in (5, 6)


def test_each_time_in_vain_halves_how_often_it_is_tried() -> None:
    """Down to one turn in 256, so that it costs next to nothing where it does not pay."""
    answers = Answers(after=None)
    tried = [number for number in range(3000) if answers.turn()]
    gaps = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert gaps[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert set(gaps[8:]) == {256}


def test_it_is_tried_every_time_again_once_it_has_paid() -> None:
    """Whatever was before."""
    answers = Answers(after=None)
    for _ in range(20):
        answers.turn()
    answers.after = 0
    while not answers.turn():
        pass
    assert all(answers.turn() for _ in range(100))


def test_where_it_can_never_pay_nothing_is_asked() -> None:
    """On a single processor, which those who would answer need."""
    answers = Answers(after=0, pays=False)
    assert answers.turn() == 0
