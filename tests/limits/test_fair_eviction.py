"""The client with the most guests makes room for others."""

from hypothesis import given
from hypothesis import strategies as st

from portofcall.limits.fair_eviction import FairEviction


def test_there_is_room_for_so_many() -> None:
    """Nothing is evicted before it is full."""
    room = FairEviction[int](3)
    assert [room.enter(guest, "a") for guest in range(3)] == [None] * 3
    assert len(room) == 3


def test_oldest_of_the_largest_crowd_goes() -> None:
    """Not the one connection of another client, however old."""
    room = FairEviction[str](4)
    for guest, client in (("alone", "a"), ("first", "b"), ("second", "b"), ("other", "c")):
        assert room.enter(guest, client) is None
    assert room.enter("new", "d") == "first"
    assert room.enter("newer", "b") == "second"
    assert len(room) == 4


def test_eviction_is_reported_with_its_client() -> None:
    """The one with the most guests, not the one that enters."""
    evicted: list[str] = []
    room = FairEviction[int](2, evicted=evicted.append)
    for guest, client in ((1, "a"), (2, "a")):
        room.enter(guest, client)
    room.leave(1, "a")
    room.enter(3, "a")
    assert evicted == []
    room.enter(4, "b")
    assert evicted == ["a"]


def test_room_is_made_by_leaving() -> None:
    """Leaving again changes nothing."""
    room = FairEviction[str](1)
    room.enter("one", "a")
    room.leave("one", "a")
    room.leave("one", "a")
    room.leave("one", "nobody")
    assert len(room) == 0
    assert room.enter("two", "a") is None


def test_no_limit_is_no_limit() -> None:
    """Zero means no limit."""
    room = FairEviction[int](0)
    assert not any(room.enter(guest, "a") for guest in range(1, 5000))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.sampled_from("abc")), max_size=200))
def test_count_is_that_of_the_guests(steps: list[tuple[bool, int, str]]) -> None:
    """In any order of entering, leaving and eviction there are never too many."""
    room = FairEviction[tuple[str, int]](5)
    inside: set[tuple[str, int]] = set()
    for enters, number, client in steps:
        guest = (client, number)
        if enters and guest not in inside:
            inside.add(guest)
            leaving = room.enter(guest, client)
            if leaving is not None:
                inside.remove(leaving)
        elif not enters:
            inside.discard(guest)
            room.leave(guest, client)
        assert len(room) == len(inside) <= 5
