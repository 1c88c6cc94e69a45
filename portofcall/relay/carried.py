"""What many tunnels together have carried, for the metrics."""

from typing import Self

from portofcall.relay.write_chain import WriteChain


class Carried:
    """What was carried in one direction, added up.

    Attributes:
        passed_bytes: the payload that was passed on, acknowledged or not, so that it never decreases.
        pauses: how often senders were paused because too much waited.
        paused_seconds: for how long.
        buffered_bytes: what waits for slow readers.
    """

    __slots__ = ("buffered_bytes", "passed_bytes", "paused_seconds", "pauses")

    def __init__(self) -> None:
        self.passed_bytes = self.pauses = self.buffered_bytes = 0
        self.paused_seconds = 0.0

    def add(self, chain: WriteChain) -> None:
        """Add what a chain has carried so far."""
        self.passed_bytes += chain.passed_bytes
        self.buffered_bytes += chain.buffered_bytes
        if chain.pauses:
            self.pauses += chain.pauses
            self.paused_seconds += chain.paused_seconds

    def copy(self) -> Self:
        """Return the same sums, apart from these."""
        other = type(self)()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other
