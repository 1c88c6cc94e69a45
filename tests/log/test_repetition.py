"""What a client repeats is summed after the tenth in a minute."""

from twisted.internet.task import Clock

from portofcall.log.repetition import INTERVAL_SECONDS, MOST, Repetition


class Sums:
    """A `Repetition` of numbers, with what it let through and what it summed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.through: list[int] = []
        self.summed: list[tuple[int, int]] = []
        self.repetition: Repetition[int] = Repetition(
            self.clock, now=self.clock.seconds, summed=lambda thing, more: self.summed.append((thing, more))
        )

    def add(self, count: int, kind: str = "a") -> None:
        """Count so many numbers of a kind."""
        for number in range(count):
            if self.repetition.admits(kind, "rest", number):
                self.through.append(number)


def test_the_first_ten_are_let_through_and_the_others_summed() -> None:
    """At the end of the minute, with the last of them."""
    sums = Sums()
    sums.add(MOST + 4312)
    assert sums.through == list(range(10))
    sums.clock.advance(INTERVAL_SECONDS)
    assert sums.summed == [(4321, 4312)]
    assert not sums.clock.getDelayedCalls()


def test_ten_are_not_summed() -> None:
    """And there is no timer for them."""
    sums = Sums()
    sums.add(MOST)
    assert not sums.clock.getDelayedCalls()
    sums.clock.advance(INTERVAL_SECONDS)
    sums.add(1)
    assert (len(sums.through), sums.summed) == (MOST + 1, [])


def test_each_kind_is_counted_by_itself() -> None:
    """A client that floods hides no other."""
    sums = Sums()
    sums.add(1000, "flood")
    sums.add(1, "other")
    assert len(sums.through) == MOST + 1


def test_the_next_minute_begins_anew() -> None:
    """Also if nobody asked for the sums."""
    sums = Sums()
    sums.add(20)
    sums.clock.advance(INTERVAL_SECONDS)
    sums.add(20)
    assert len(sums.through) == 2 * MOST
    sums.repetition.flush()
    assert [more for _, more in sums.summed] == [10, 10]
    assert not sums.clock.getDelayedCalls()


def test_kinds_without_number_take_no_memory_without_bound() -> None:
    """An attacker with a /48 has 65536 networks: those beyond the most are summed together."""
    sums = Sums()
    for number in range(10_000 + 500):
        sums.add(1, str(number))
    assert len(sums.through) == 10_000 + MOST
    sums.clock.advance(INTERVAL_SECONDS)
    assert sums.summed == [(0, 490)]
