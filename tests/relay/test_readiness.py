"""Small messages come before bulk, bulk has half of the time, and each socket has its turn."""

import errno
import itertools
import select
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest

from portofcall.relay.readiness import Readiness
from tests.support import FakeReactor

SMALL_SECONDS = 10e-6
BULK_SECONDS = 100e-6


class Sockets:
    """Sockets that are watched, with a clock that only their reads and work advance.

    Attributes:
        order: the names of the sockets that were read, in that order.
        seconds: the clock.
        on_read: called with each of these names.
    """

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.readiness = Readiness(self.reactor)
        self.seconds = 0.0
        clock = lambda: self.seconds  # noqa: E731
        self.readiness._now = self.readiness._spent = clock
        self.readiness._poll_on = self.readiness._poll  # type: ignore[assignment]
        self.order: list[str] = []
        self.on_read: Callable[[str], object] = lambda _: None
        self.ends: dict[str, tuple[socket.socket, socket.socket]] = {}

    def add(self, name: str, *, bulk: bool = False, takes: float | None = None, drains: bool = False) -> int:
        """Watch a socket.

        Args:
            name: in `order`.
            bulk: whether it is one of bulk.
            takes: how long a read takes.
            drains: whether a read takes all there is; otherwise it stays readable for ever.
        """
        self.ends[name] = socket.socketpair()
        ours = self.ends[name][0]
        ours.setblocking(False)
        seconds = (BULK_SECONDS if bulk else SMALL_SECONDS) if takes is None else takes

        def read(_event: int) -> None:
            self.order.append(name)
            self.seconds += seconds
            if drains:
                ours.recv(1000)
            self.on_read(name)

        self.readiness.watch(ours.fileno(), read, bulk=bulk)
        return ours.fileno()

    def send(self, name: str) -> None:
        """Make it readable."""
        self.ends[name][1].send(b"x")

    def turn(self) -> list[str]:
        """Let the reactor have one turn; return who was read."""
        self.order.clear()
        self.reactor.turn()
        return list(self.order)

    def close(self) -> None:
        for pair in self.ends.values():
            for end in pair:
                end.close()


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    """No sockets yet."""
    made = Sockets()
    yield made
    made.close()


def test_small_messages_come_before_bulk(sockets: Sockets) -> None:
    """In whichever order they were watched and have become readable."""
    for number in range(8):
        sockets.add(f"bulk{number}", bulk=True)
        sockets.send(f"bulk{number}")
    for number in range(3):
        sockets.add(f"small{number}", drains=True)
        sockets.send(f"small{number}")
    order = sockets.turn()
    assert order[:3] == ["small0", "small1", "small2"]
    assert len(set(order[3:11])) == 8


def test_small_message_waits_for_one_read_of_bulk_at_most(sockets: Sockets) -> None:
    """However many sockets of bulk can be read."""
    for number in range(30):
        sockets.add(f"bulk{number}", bulk=True)
        sockets.send(f"bulk{number}")
    sockets.add("typed", drains=True)

    def type_(name: str) -> None:
        if name != "typed":
            sockets.send("typed")

    sockets.on_read = type_
    order = [name for _ in range(5) for name in sockets.turn()]
    assert len(order) >= 40
    assert all("typed" in pair for pair in itertools.pairwise(order))


def test_sockets_of_bulk_take_turns(sockets: Sockets) -> None:
    """None is read again before each of the others was."""
    for number in range(5):
        sockets.add(f"bulk{number}", bulk=True)
        sockets.send(f"bulk{number}")
    order = [name for _ in range(10) for name in sockets.turn()]
    assert len(order) >= 50
    assert max(Counter(order).values()) - min(Counter(order).values()) <= 1


@pytest.mark.parametrize("seconds", [SMALL_SECONDS, 1e-3], ids=["cheap", "expensive"])
@pytest.mark.parametrize("senders", [1, 16, 100])
def test_stream_of_small_messages_leaves_half_of_the_time_to_bulk(
    sockets: Sockets, senders: int, seconds: float
) -> None:
    """Even if there is always one more, and however long each takes."""
    for number in range(senders):
        sockets.add(f"small{number}", takes=seconds)
        sockets.send(f"small{number}")
    sockets.add("bulk", bulk=True)
    sockets.send("bulk")
    order = [name for _ in range(200) for name in sockets.turn()]
    bulk = order.count("bulk") * BULK_SECONDS
    assert bulk >= sockets.seconds * 0.49
    small = Counter(name for name in order if name != "bulk")
    assert len(small) == senders
    assert max(small.values()) - min(small.values()) <= 1


def test_bulk_leaves_time_to_small_messages(sockets: Sockets) -> None:
    """One is read after each read of bulk, if there is always one more."""
    for number in range(8):
        sockets.add(f"bulk{number}", bulk=True)
        sockets.send(f"bulk{number}")
    sockets.add("small")
    sockets.send("small")
    order = [name for _ in range(20) for name in sockets.turn()]
    assert order.count("small") >= len(order) // 2


def test_turn_ends_however_much_bulk_there_is(sockets: Sockets) -> None:
    """The rest of the reactor waits a millisecond, and one read."""
    sockets.add("bulk", bulk=True)
    sockets.send("bulk")
    assert len(sockets.turn()) <= 11


def test_less_bulk_is_read_at_a_time_beside_small_messages(sockets: Sockets) -> None:
    """And as much as there is once these have ceased for a while."""
    sockets.add("bulk", bulk=True, takes=1e-6)
    sockets.send("bulk")
    sockets.turn()
    assert sockets.readiness.most_bytes == 0
    sockets.add("typed", drains=True)
    sockets.send("typed")
    reads = sockets.turn().count("bulk")
    assert sockets.readiness.most_bytes == 128 * 1024
    while sockets.readiness.most_bytes:
        reads += len(sockets.turn())
        assert reads < 10_000
    assert reads > 4000


def test_socket_changes_its_kind(sockets: Sockets) -> None:
    """From one turn to the next; doing it twice changes nothing."""
    descriptor = sockets.add("a")
    sockets.add("b", drains=True)
    sockets.send("a")
    for bulk in (True, False, True):
        for _ in range(2):
            sockets.readiness.move(descriptor, bulk=bulk)
        sockets.on_read = lambda _: setattr(sockets, "seconds", sockets.seconds + 1)
        sockets.send("b")
        order = sockets.turn()
        assert order[:2] == ["b", "a"] if bulk else set(order) == {"a", "b"}


@pytest.mark.parametrize("bulk", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_forgotten_socket_is_read_no_more(sockets: Sockets, bulk: bool, closed: bool) -> None:
    """Of either kind, and another with the same number can be watched."""
    descriptor = sockets.add("gone", bulk=bulk)
    sockets.send("gone")
    if closed:
        sockets.ends["gone"][0].close()
    sockets.readiness.forget(descriptor, closed=closed)
    assert sockets.reactor.readers == []
    assert sockets.turn() == []
    sockets.readiness.move(descriptor, bulk=True)
    for end in sockets.ends.pop("gone"):
        end.close()
    sockets.add("other", bulk=bulk)
    sockets.send("other")
    assert set(sockets.turn()) == {"other"}


def test_socket_that_is_forgotten_by_another_in_the_same_turn_is_not_read(sockets: Sockets) -> None:
    """Although it is readable, and whichever of them is first."""
    descriptors = {name: sockets.add(name, bulk=True) for name in ("a", "b")}
    others = {"a": "b", "b": "a"}
    sockets.send("a")
    sockets.send("b")

    def forget_other(name: str) -> None:
        if others[name] in descriptors:
            sockets.readiness.forget(descriptors.pop(others[name]))

    sockets.on_read = forget_other
    assert len(set(sockets.turn())) == 1


@pytest.mark.parametrize("missing", ["epoll", "register", "nested"])
def test_socket_of_bulk_is_read_with_the_others_without_a_descriptor_for_bulk(
    sockets: Sockets, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is late, but not lost; and it is of bulk once there is one."""
    descriptor = sockets.add("a")
    lost = OSError(errno.EMFILE, "no descriptors left")
    with monkeypatch.context() as patch:
        if missing == "epoll":
            patch.setattr(select, "epoll", Mock(side_effect=lost))
        elif missing == "register":
            sockets.readiness._bulk_epoll = Mock(register=Mock(side_effect=lost))
        else:
            real: Any = sockets.readiness._epoll
            sockets.readiness._epoll = Mock(register=Mock(side_effect=lost))
        sockets.readiness.move(descriptor, bulk=True)
        if missing == "register":
            sockets.readiness._bulk_epoll = None
        if missing == "nested":
            sockets.readiness._epoll = real
    sockets.send("a")
    assert "a" in sockets.turn()
    sockets.readiness.move(descriptor, bulk=True)
    assert "a" in sockets.turn()
    assert sockets.readiness._bulk == {descriptor}


def test_work_comes_after_small_messages(sockets: Sockets) -> None:
    """Those that arrive before each piece of it."""
    sockets.add("typed", drains=True)

    def work() -> None:
        sockets.order.append("work")
        sockets.send("typed")

    for _ in range(3):
        sockets.readiness.in_turn(work)
    sockets.send("typed")
    ((call, _arguments),) = sockets.reactor.later
    sockets.reactor.later.clear()
    call()
    assert sockets.order == ["typed", "work", "typed", "work", "typed", "work"]


def test_work_of_more_than_a_turn_is_continued_in_the_next(sockets: Sockets) -> None:
    """The reactor gets its turn in between; work that fails does not stop the rest."""
    done = []

    def work(number: int) -> None:
        done.append(number)
        sockets.seconds += 0.4e-3
        if number == 1:
            raise ZeroDivisionError

    for number in range(7):
        sockets.readiness.in_turn(lambda number=number: work(number))  # type: ignore[misc]
    turns = []
    while sockets.reactor.later:
        ((call, _arguments),) = sockets.reactor.later
        sockets.reactor.later.clear()
        try:
            call()
        except ZeroDivisionError:
            assert done == [0, 1]
        turns.append(len(done))
    assert done == list(range(7))
    assert turns == [2, 5, 7]


def test_without_anything_to_watch_work_is_done_at_once() -> None:
    """There is no reading to come before it."""
    done: list[int] = []
    Readiness(object()).in_turn(lambda: done.append(1))
    assert done == [1]


def test_work_beside_nothing_is_done_at_once(sockets: Sockets) -> None:
    """It waits for its turn only while there are small messages beside bulk."""
    done: list[int] = []
    sockets.readiness.in_turn_beside(lambda: done.append(1))
    assert done == [1]
    sockets.add("bulk", bulk=True)
    sockets.add("typed", drains=True)
    sockets.send("bulk")
    sockets.send("typed")
    sockets.turn()
    sockets.readiness.in_turn_beside(lambda: done.append(2))
    assert done == [1]
    ((call, _arguments),) = sockets.reactor.later
    call()
    assert done == [1, 2]
