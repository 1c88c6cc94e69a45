"""Work on many things takes several turns."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from portofcall.admin.portions import in_portions
from tests.support import turn


def test_each_portion_has_a_turn_of_its_own() -> None:
    """The first at once; nothing at all takes none."""
    clock, seen = Clock(), list[Sequence[int]]()

    async def work(items: Sequence[int]) -> str:
        async for portion in in_portions(items, 2, clock):
            seen.append(portion)
        return "done"

    working = Deferred.fromCoroutine(work([1, 2, 3, 4, 5]))
    assert seen == [[1, 2]]
    turn(clock)
    assert seen == [[1, 2], [3, 4]]
    turn(clock)
    assert seen == [[1, 2], [3, 4], [5]]
    assert working.result == "done"
    assert Deferred.fromCoroutine(work([])).result == "done"
