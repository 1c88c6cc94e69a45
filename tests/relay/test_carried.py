"""What many tunnels have carried is added up."""

from typing import cast

from portofcall.relay.carried import Carried
from portofcall.relay.interfaces import ISink
from portofcall.relay.write_chain import WriteChain
from tests.support import FakeSink, FakeSource, Time


def test_chains_are_added_up() -> None:
    """Bytes, pauses with their time, and what waits."""
    time, carried = Time(), Carried()
    for _ in range(2):
        chain = WriteChain(high_water_bytes=10, monotonic=time)
        chain.registerProducer(FakeSource(), True)
        chain.open(cast(ISink, FakeSink(buffer_size=1)))
        chain.write(b"x" * 2)
        chain.write(b"x" * 11)
        time.now += 3
        carried.add(chain)
    assert carried.passed_bytes == 4
    assert carried.pauses == 2
    assert carried.paused_seconds == 6
    assert carried.buffered_bytes == 22


def test_copy_has_sums_of_its_own() -> None:
    """What is added to it later is not added to the first."""
    first = Carried()
    first.passed_bytes = 5
    second = first.copy()
    second.passed_bytes += 1
    assert (first.passed_bytes, second.passed_bytes) == (5, 6)
