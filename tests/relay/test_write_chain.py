"""A chain of writes keeps order, bounds what waits, and ends once."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from portofcall.limits.values import KiB, MiB
from portofcall.relay.write_chain import WriteChain
from tests.support import FakeClient, FakeSink, FakeSource, Outcome


def make(high_water_bytes: int = 1 * MiB, buffer_size: int = 64 * KiB) -> tuple[Any, ...]:
    """Make a chain with a source, a sink to open it with, and a record of its end."""
    chain = WriteChain(high_water_bytes=high_water_bytes)
    source, sink = FakeSource(), FakeSink(buffer_size=buffer_size)
    chain.registerProducer(source, True)
    return chain, source, sink, Outcome(chain.done)


def test_is_what_transports_take_it_for() -> None:
    """A chain is a consumer on one side and a push producer on the other."""
    chain = WriteChain(high_water_bytes=1)
    chain.done.addErrback(lambda _: None)
    assert verifyObject(IConsumer, chain)
    assert verifyObject(IPushProducer, chain)


def test_open_and_idle_writes_go_straight_through() -> None:
    """While the sink takes bytes, nothing waits."""
    chain, source, sink, _ = make()
    chain.open(sink)
    chain.write(b"at once")
    assert sink.buffer == b"at once"
    assert chain.waiting_bytes == 0
    assert chain.passed_bytes == 7
    assert source.pauses == 0


def test_what_comes_before_the_sink_is_open_is_kept_in_order() -> None:
    """The first link of the chain is the opening of the sink."""
    chain, _, sink, _ = make()
    chain.write(b"one ")
    chain.write(b"two ")
    chain.open(sink)
    chain.write(b"three")
    assert sink.buffer == b"one two three"


def test_time_in_which_the_source_is_paused_is_counted() -> None:
    """Also while it is paused, and up to the end of a chain that leaves it so."""
    clock = Clock()
    chain = WriteChain(high_water_bytes=1, monotonic=clock.seconds, leaves_paused=True)
    chain.registerProducer(FakeSource(), True)
    chain.write(b"more")
    clock.advance(1.5)
    assert (chain.pauses, chain.paused_seconds) == (1, 1.5)
    sink: Any = FakeSink()
    chain.open(sink)
    clock.advance(10)
    assert (chain.pauses, chain.paused_seconds) == (1, 1.5)
    chain.pauseProducing()
    chain.write(b"more")
    clock.advance(0.25)
    chain.done.addErrback(lambda _: None)
    chain.abandon()
    clock.advance(10)
    assert (chain.pauses, chain.paused_seconds) == (2, 1.75)


def test_source_is_paused_past_the_high_water_mark_and_not_before() -> None:
    """Exactly the mark may wait; one byte more pauses the source."""
    chain, source, _, _ = make(high_water_bytes=1 * MiB)
    chain.write(bytes(1 * MiB - 1))
    chain.write(b"x")
    assert not source.paused
    chain.write(b"y")
    assert source.paused


def test_source_is_resumed_when_all_has_been_handed_over_and_not_before() -> None:
    """A source that was paused runs again after the drain."""
    chain, source, sink, _ = make(high_water_bytes=100 * KiB)
    chain.open(sink)
    for _ in range(4):
        chain.write(bytes(70 * KiB))
    assert source.paused
    sink.drain()
    assert source.paused, "the second of four pieces is in the transport, two wait"
    sink.drain()
    assert source.paused
    sink.drain()
    assert not source.paused
    assert chain.waiting_bytes == 0


def test_a_sink_that_never_opens_pauses_the_source_too() -> None:
    """Bytes that arrive during the dial are bounded by the same mark."""
    chain, source, _, _ = make(high_water_bytes=10)
    chain.write(b"01234567890")
    assert source.paused


def test_a_sink_that_is_paused_often_gets_every_byte_in_order() -> None:
    """Each pause adds two links to the chain; the order stays."""
    chain, _, sink, _ = make(buffer_size=3)
    chain.open(sink)
    for number in range(50):
        chain.write(f"{number},".encode() * (number % 3 + 1))
        if number % 5 == 4:
            sink.drain()
    while sink.buffer:
        sink.drain()
    expected = "".join(f"{number}," * (number % 3 + 1) for number in range(50))
    assert sink.delivered == expected.encode()


def test_small_pieces_that_wait_are_joined() -> None:
    """A peer that sends single bytes must not make us keep an object for each."""
    chain, _, sink, _ = make()
    for _ in range(100_000):
        chain.write(b"xy")
    assert len(chain._waiting) < 100
    chain.open(sink)
    while sink.buffer:
        sink.drain()
    assert sink.delivered == b"xy" * 100_000


def test_is_done_at_once_when_nothing_waits() -> None:
    """Finishing an idle chain finishes it."""
    chain, _, sink, ending = make()
    chain.open(sink)
    chain.write(b"all")
    chain.finish()
    assert ending.results == [None]
    assert sink.buffer == b"all"
    assert sink.producer is None


def test_is_done_only_when_the_sink_has_taken_everything() -> None:
    """Nothing is closed before the drain."""
    chain, _, sink, ending = make(buffer_size=2)
    chain.open(sink)
    chain.write(b"123")
    chain.write(b"456")
    chain.finish()
    assert chain.draining
    assert ending.results == []
    sink.drain()
    assert ending.results == []
    sink.drain()
    assert ending.results == [None]
    assert sink.delivered == b"123456"
    assert not chain.draining


def test_what_follows_is_called_once_all_has_been_handed_over() -> None:
    """The sink stays open for it."""
    chain, _, sink, ending = make(buffer_size=2)
    chain.open(sink)
    chain.write(b"123")
    chain.write(b"456")
    chain.follow_with(lambda: sink.write(b" and more"))
    assert sink.buffer == b"123"
    sink.drain()
    sink.drain()
    assert sink.delivered + sink.buffer == b"123456 and more"
    assert ending.results == []
    chain.finish()
    sink.drain()
    assert ending.results == [None]


def test_what_follows_comes_before_the_end() -> None:
    """Even if the chain is to finish already."""
    chain, _, sink, ending = make()
    followed: list[int] = []
    chain.write(b"early")
    chain.follow_with(lambda: followed.append(len(ending.results)))
    chain.finish()
    assert followed == []
    chain.open(sink)
    assert followed == [0]
    assert ending.results == [None]


def test_nothing_follows_in_an_abandoned_chain() -> None:
    """There is no sink to hand it to."""
    chain, _, sink, ending = make()
    followed: list[int] = []
    chain.follow_with(lambda: followed.append(1))
    chain.abandon()
    chain.open(sink)
    assert isinstance(ending.error, CancelledError)
    assert followed == []


def test_finishing_before_the_sink_opens_still_delivers() -> None:
    """A client that sends and closes before the backend answers loses nothing."""
    chain, _, sink, ending = make()
    chain.write(b"early")
    chain.finish()
    assert ending.results == []
    chain.open(sink)
    assert ending.results == [None]
    assert sink.buffer == b"early"


def test_flush_does_not_wait_for_the_sink() -> None:
    """What waits can be handed over at once, in order."""
    chain, _, sink, _ = make(buffer_size=2)
    chain.open(sink)
    chain.write(b"123")
    chain.write(b"456")
    chain.flush()
    assert sink.buffer == b"123456"


def end_by_finish(chain: WriteChain, sink: FakeSink) -> None:
    """Let it deliver everything."""
    chain.finish()
    sink.drain()


def end_by_abandon(chain: WriteChain, sink: FakeSink) -> None:
    """Abandon it."""
    chain.abandon()


def end_by_failure(chain: WriteChain, sink: FakeSink) -> None:
    """Let the sink fail."""

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    chain.write(b"789")
    sink.write = fail  # type: ignore[method-assign]
    sink.drain()


@pytest.mark.parametrize(
    ("end", "error"),
    [(end_by_finish, None), (end_by_abandon, CancelledError), (end_by_failure, ZeroDivisionError)],
)
def test_ends_exactly_once_and_lets_go_of_both_sides(
    end: Callable[[WriteChain, FakeSink], None], error: type[Exception] | None
) -> None:
    """On success, cancellation and failure alike: done once, source running, sink without a producer."""
    chain, source, sink, ending = make(high_water_bytes=2, buffer_size=2)
    chain.open(sink)
    chain.write(b"123")
    end(chain, sink)
    if error is None:
        assert ending.results == [None]
    else:
        assert isinstance(ending.error, error)
    chain.finish()
    chain.abandon()
    chain.stopProducing()
    chain.resumeProducing()
    assert len(ending.results) == 1
    assert not source.paused
    assert sink.producer is None
    chain.write(b"too late")
    assert chain.waiting_bytes == 0


def test_an_abandoned_chain_forgets_what_waited() -> None:
    """Nothing of a closed tunnel is kept alive, and a sink that opens later gets nothing."""
    chain, _, sink, ending = make()
    chain.write(b"never sent")
    chain.abandon()
    chain.open(sink)
    assert isinstance(ending.error, CancelledError)
    assert sink.buffer == b""
    assert sink.producer is None


def test_only_one_push_producer_is_taken() -> None:
    """A second source, or a pull producer, is a programming error."""
    chain, source, _, _ = make()
    with pytest.raises(RuntimeError):
        chain.registerProducer(source, True)
    other = WriteChain(high_water_bytes=1)
    with pytest.raises(RuntimeError):
        other.registerProducer(source, False)


@given(
    pieces=st.lists(st.binary(max_size=30), max_size=40),
    reads=st.lists(st.integers(0, 25), max_size=60),
    open_after=st.integers(0, 40),
    high_water_bytes=st.integers(1, 60),
    buffer_size=st.integers(0, 40),
)
def test_bytes_in_are_bytes_out(
    pieces: list[bytes], reads: list[int], open_after: int, high_water_bytes: int, buffer_size: int
) -> None:
    """Under any chunking and any pauses the same bytes come out, and no more wait than allowed.

    What is written lies in a buffer that is overwritten afterwards.
    """
    chain, source, _, ending = make(high_water_bytes)
    sink = FakeClient(buffer_size=buffer_size)
    pending, waits = list(pieces), list(reads)
    for step in range(10_000):
        if step == open_after:
            chain.open(sink)
        if pending and not source.paused:
            buffer = bytearray(pending.pop(0))
            chain.write(memoryview(buffer))
            buffer[:] = bytes(len(buffer))
        elif step > open_after:
            sink.drain(waits.pop(0) if waits else None)
            if not pending and not sink.buffer and not chain.waiting_bytes:
                break
        assert chain.waiting_bytes <= high_water_bytes + 30
    chain.finish()
    assert sink.delivered + sink.buffer == b"".join(pieces)
    assert ending.results == [None]
    assert chain.passed_bytes == len(sink.delivered)


def test_what_waits_in_the_sink_counts() -> None:
    """The high-water mark counts both, but only while something waits in the chain."""
    chain, source, sink, _ = make(high_water_bytes=100, buffer_size=0)
    chain.open(sink)
    sink.queued_bytes = 80
    chain.write(b"x" * 80)
    assert not source.paused
    chain.write(b"x" * 20)
    assert not source.paused
    chain.write(b"x")
    assert source.paused
    sink.queued_bytes = 1000
    while sink.buffer:
        sink.drain()
    assert not source.paused, "nothing would resume it"


def test_source_reads_in_bulk_only_while_bytes_go_straight_through() -> None:
    """Bytes that have to wait take memory."""
    chain, source, sink, _ = make(buffer_size=10)
    assert not source.reads_bulk, "it is not open"
    chain.open(sink)
    assert source.reads_bulk
    chain.write(bytes(11))
    assert not source.reads_bulk
    sink.drain()
    assert source.reads_bulk


def test_write_from_inside_a_write_keeps_its_turn() -> None:
    """A sink that makes the source send more gets that after what waited."""
    chain, _, sink, _ = make()
    written: list[bytes] = []

    def write(data: bytes) -> None:
        written.append(data)
        if data == b"first" * 1000:
            chain.write(b"third")

    sink.write = write
    chain.write(b"first" * 1000)
    chain.write(b"second" * 1000)
    chain.open(sink)
    assert written == [b"first" * 1000, b"second" * 1000, b"third"]


def test_sink_that_is_open_from_the_start_gets_each_write_at_once() -> None:
    """And can pause the chain like any other."""
    sink: Any = FakeSink(buffer_size=4)
    chain = WriteChain(high_water_bytes=1 * MiB, sink=sink)
    chain.write(b"12345")
    assert chain.waiting_bytes == 0
    chain.write(b"6")
    assert chain.waiting_bytes == 1
    chain.resumeProducing()
    assert (chain.waiting_bytes, chain.passed_bytes) == (0, 6)
