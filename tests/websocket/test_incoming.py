"""Bytes from a client are parsed in order, however they arrive, and only so much of them in one turn."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from portofcall.testing import FakeTransport
from portofcall.websocket.incoming import Incoming
from portofcall.websocket.turns import UNITS_PER_TURN, Turns
from tests.support import turn


class Rig:
    """An `Incoming` whose parser takes a few bytes at a time, each for so many units.

    Attributes:
        parsed: the bytes that were parsed.
        then: called after each part.
    """

    def __init__(self, *, part: int = 10, units: int = UNITS_PER_TURN // 4) -> None:
        self.clock = Clock()
        self.transport = FakeTransport()
        self.parsed = b""
        self.then: Callable[[], object] = lambda: None
        self._part, self._units = part, units
        transport: Any = self.transport
        self.incoming = Incoming(transport, self._parse, Turns(self.clock))

    def _parse(self, data: memoryview) -> tuple[memoryview, int]:
        self.parsed += data[: self._part]
        self.then()
        return data[self._part :], self._units

    def add(self, data: bytes) -> None:
        """Add bytes in a buffer that is overwritten afterwards."""
        buffer = bytearray(data)
        self.incoming.add(memoryview(buffer))
        buffer[:] = bytes(len(buffer))

    def settle(self) -> None:
        """Turn the reactor until nothing is due."""
        while self.clock.calls:
            turn(self.clock)


def test_only_a_budget_is_parsed_in_one_turn_and_the_transport_is_not_read_meanwhile() -> None:
    """Four parts a turn here; the turn that parses the last ones lets it be read again."""
    rig = Rig()
    rig.add(bytes(range(100)))
    progress = [(len(rig.parsed), rig.transport.paused)]
    for _ in range(3):
        turn(rig.clock)
        progress.append((len(rig.parsed), rig.transport.paused))
    assert progress == [(40, True), (80, True), (100, False), (100, False)]
    assert rig.parsed == bytes(range(100))


def test_what_covers_the_budget_is_parsed_at_once() -> None:
    """Nothing is kept, and reading goes on."""
    rig = Rig()
    rig.add(bytes(range(30)))
    assert rig.parsed == bytes(range(30))
    assert rig.incoming.idle
    assert not rig.transport.paused


def test_consumer_that_pauses_stops_parsing_and_reading() -> None:
    """In the middle of what was read; it goes on where it stopped, and reading follows last."""
    rig = Rig()
    rig.then = rig.incoming.pause
    rig.add(bytes(range(25)))
    rig.settle()
    assert (len(rig.parsed), rig.transport.paused, rig.incoming.idle) == (10, True, False)
    rig.incoming.resume()
    assert rig.transport.paused, "not read before what was kept is parsed"
    rig.then = lambda: None
    rig.settle()
    assert (rig.parsed, rig.transport.paused) == (bytes(range(25)), False)


def test_consumer_that_pauses_at_the_last_byte_keeps_the_transport_paused() -> None:
    """In a later turn as well as at once; nothing is kept that would hold it back."""
    rig = Rig()
    rig.then = lambda: rig.incoming.pause() if len(rig.parsed) == 100 else None
    rig.add(bytes(range(100)))
    rig.settle()
    assert (len(rig.parsed), rig.transport.paused) == (100, True)
    rig.incoming.resume()
    assert not rig.transport.paused


def test_end_comes_after_the_last_byte() -> None:
    """Also if the consumer has paused, as nobody else would see that the client is gone."""
    rig = Rig()
    ended: list[int] = []
    rig.add(bytes(range(100)))
    rig.incoming.pause()
    rig.incoming.end(lambda: ended.append(len(rig.parsed)))
    rig.then = rig.incoming.pause
    assert not ended
    rig.settle()
    assert ended == [100]


def test_end_with_nothing_kept_is_passed_on_at_once() -> None:
    """There is nothing to wait for."""
    rig = Rig()
    ended: list[int] = []
    rig.incoming.end(lambda: ended.append(1))
    assert ended == [1]


def test_nothing_is_parsed_after_drop_but_the_transport_is_read() -> None:
    """What was kept is gone, and what comes still is, too."""
    rig = Rig()
    rig.add(bytes(range(100)))
    rig.incoming.pause()
    rig.incoming.drop()
    rig.settle()
    rig.add(bytes(100))
    rig.settle()
    assert (len(rig.parsed), rig.transport.paused, rig.incoming.idle) == (40, False, False)


def test_drop_while_parsing_ends_it() -> None:
    """A parser that finds the end of the connection sees no byte after it."""
    rig = Rig()
    rig.then = rig.incoming.drop
    rig.add(bytes(range(100)))
    rig.settle()
    assert len(rig.parsed) == 10


def test_end_of_a_dropped_connection_is_passed_on() -> None:
    """With what was kept until then discarded."""
    rig = Rig()
    ended: list[int] = []
    rig.add(bytes(range(100)))
    rig.incoming.end(lambda: ended.append(len(rig.parsed)))
    rig.incoming.drop()
    rig.settle()
    assert ended == [40]


def test_error_of_the_parser_ends_this_connection_only(logged: list[str]) -> None:
    """In a later turn, too: it is logged, and others have their turn."""
    rig = Rig()
    rig.add(bytes(range(100)))
    rig.then = lambda: 1 // 0
    other = list[str]()
    rig.incoming._turns.wait(lambda: other.append("served"))
    rig.settle()
    assert rig.transport.log == ["reset"]
    assert other == ["served"]
    assert any("could not parse" in line for line in logged)


STEPS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=60),
        st.sampled_from(["pause", "resume", "turn", "pause while parsing"]),
    ),
    max_size=30,
)


@given(steps=STEPS, part=st.integers(1, 20), units=st.integers(1, UNITS_PER_TURN), ends=st.booleans())
def test_bytes_in_are_bytes_out_under_any_chunking_and_any_pauses(
    steps: list[bytes | str], part: int, units: int, ends: bool
) -> None:
    """Each once, in order, at most a turn's budget at a time, and the end after all of them."""
    rig = Rig(part=part, units=units)
    sent = b""
    paused = False
    ended: list[bytes] = []
    most = -(-UNITS_PER_TURN // units) * part
    for step in steps:
        before = len(rig.parsed)
        if isinstance(step, bytes):
            rig.add(step)
            sent += step
        elif step == "turn":
            turn(rig.clock)
        elif step == "pause while parsing":
            rig.then = rig.incoming.pause
        elif step == "pause":
            paused = True
            rig.incoming.pause()
        else:
            paused = False
            rig.then = lambda: None
            rig.incoming.resume()
        assert len(rig.parsed) - before <= most
        assert sent.startswith(rig.parsed)
        assert rig.transport.paused or rig.parsed == sent, "it is read although something is kept"
        if paused:
            assert rig.transport.paused
    rig.then = lambda: None
    if ends:
        rig.incoming.end(lambda: ended.append(rig.parsed))
    else:
        rig.incoming.resume()
    rig.settle()
    assert rig.parsed == sent
    assert ended == [sent] * ends
    if not ends:
        assert rig.incoming.idle
        assert not rig.transport.paused
