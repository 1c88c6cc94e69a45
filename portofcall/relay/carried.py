"""What many tunnels together have carried, for the metrics."""

from collections.abc import Iterable
from typing import NamedTuple

from portofcall.relay.write_chain import WriteChain


class Carried(NamedTuple):
    """What was carried in one direction.

    Attributes:
        passed_bytes: the payload that was passed on, acknowledged or not: this never decreases.
        pauses: how often senders were paused because too much waited.
        paused_seconds: for how long.
        buffered_bytes: what waits for slow readers now.
    """

    passed_bytes: int = 0
    pauses: int = 0
    paused_seconds: float = 0.0
    buffered_bytes: int = 0

    def plus(self, chains: Iterable[WriteChain]) -> "Carried":
        """Return the sum of this and of what these chains have carried."""
        passed_bytes, pauses, paused_seconds, buffered_bytes = self
        for chain in chains:
            passed_bytes += chain.passed_bytes
            buffered_bytes += chain.buffered_bytes
            if chain.pauses:
                pauses += chain.pauses
                paused_seconds += chain.paused_seconds
        return Carried(passed_bytes, pauses, paused_seconds, buffered_bytes)
