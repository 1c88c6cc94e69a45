"""One turn of the reactor is shared by all connections that have something left to parse."""

from functools import partial

from twisted.internet.task import Clock

from portofcall.websocket.turns import UNITS_PER_TURN, Turns
from tests.support import turn


def test_those_that_wait_continue_in_order_as_far_as_the_budget_goes() -> None:
    """A turn ends with the one that used it up; the others have the next ones."""
    clock = Clock()
    turns = Turns(clock)
    served: list[int] = []

    def work(number: int) -> None:
        served.append(number)
        turns.spend(UNITS_PER_TURN // 2)

    for number in range(5):
        turns.wait(partial(work, number))
    per_turn = []
    while clock.calls:
        turn(clock)
        per_turn.append(served.copy())
        served.clear()
    assert per_turn[:3] == [[0, 1], [2, 3], [4]]


def test_one_that_waits_again_comes_after_the_others() -> None:
    """Also within one turn; and only one that waits alone may go on without waiting again."""
    clock = Clock()
    turns = Turns(clock)
    served: list[str] = []

    def greedy() -> None:
        served.append("greedy")
        while turns.spend(UNITS_PER_TURN // 4):
            served.append("still greedy")
        turns.wait(greedy)

    turns.wait(greedy)
    turns.wait(lambda: served.append("modest"))
    turn(clock)
    assert served == ["greedy", "modest", "greedy", "still greedy", "still greedy"]


def test_units_that_are_spent_by_all_count_together() -> None:
    """Until the next turn begins; then the budget is whole again."""
    clock = Clock()
    turns = Turns(clock)
    assert turns.spend(UNITS_PER_TURN - 1)
    assert not turns.spend(1)
    assert not turns.spend(1)
    turn(clock)
    assert turns.left == UNITS_PER_TURN
    assert not clock.calls, "a reactor with nothing to do may sleep"
