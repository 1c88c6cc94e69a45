"""What a client has sent: parsed in order, but in one turn of the reactor only so much of it."""

from collections.abc import Callable

from twisted.logger import Logger

from portofcall.relay.interfaces import IEndTransport
from portofcall.websocket.turns import Turns

#: Parses at least part of what it is given; returns the rest, and the units that this took (see `Turns`).
Parse = Callable[[memoryview], tuple[memoryview, int]]


def _ignore_end() -> None:
    """Do nothing: the end has been reported."""


def _parse_nothing(data: memoryview) -> tuple[memoryview, int]:
    """Discard what comes after the end."""
    return data[:0], 1


class Incoming:
    """The bytes from one client, between its transport and their parser.

    Contract: bytes are parsed in the order in which they were added, each once. Those that the turn's budget
    does not cover, or that arrive while the consumer has paused, are kept; meanwhile the transport is not
    read, so that no more is kept than it had read already. The end of the connection follows the last byte.
    After `drop` all bytes are discarded, and the transport is read, so that its end is seen.

    Args:
        transport: the client's.
        parse: parses some of the bytes. It may call `pause`, `resume` and `drop`.
        turns: the budget, shared by all connections.

    Attributes:
        idle: whether bytes need not be added here but may be parsed at once.
    """

    __slots__ = (
        "_behind", "_dropping", "_kept", "_on_end", "_parse", "_paused", "_transport", "_turns", "_waiting",
        "idle",
    )  # fmt: skip
    _log = Logger()

    def __init__(self, transport: IEndTransport, parse: Parse, turns: Turns) -> None:
        self.idle = True
        self._transport = transport
        self._parse = parse
        self._turns = turns
        self._kept = memoryview(b"")  # parsed next
        self._behind = bytearray()  # added after that
        self._paused = False
        self._waiting = False  # for a turn
        self._dropping = False
        self._on_end: Callable[[], None] | None = None

    def add(self, data: memoryview, units: int = 0) -> None:
        """Parse what the budget of this turn covers, and keep a copy of the rest.

        Args:
            data: writable; it may be overwritten once this returns.
            units: what was spent on the bytes before it; with none, at least a little is parsed.
        """
        if self._dropping:
            return
        later = self._kept or self._behind or self._paused or (units and not self._turns.spend(units))
        rest = data if later else self._parse_some(data)
        if rest:
            self._behind += rest
            self._transport.pauseProducing()
            self._wait()
        self._settle()

    def pause(self) -> None:
        """Parse and read no more for now."""
        if self._dropping or self._on_end is not None:
            return
        self._paused = True
        self._settle()
        self._transport.pauseProducing()

    def resume(self) -> None:
        """Parse what was kept, then read."""
        self._paused = False
        self._settle()
        if self._kept or self._behind:
            self._wait()
        elif self._on_end is None:
            self._transport.resumeProducing()

    def drop(self) -> None:
        """Discard what is kept and what still arrives."""
        self._dropping = True
        self._paused = False
        self._kept = memoryview(b"")
        self._behind = bytearray()
        self._settle()
        if self._on_end is None:
            self._transport.resumeProducing()

    def end(self, on_end: Callable[[], None]) -> None:
        """Call ``on_end`` when everything that was kept is parsed, even if the consumer has paused."""
        self._on_end = on_end
        self._paused = False
        if self._kept or self._behind:
            self._wait()
        else:
            self._ended()

    def _ended(self) -> None:
        """Report the end, and keep its receiver and the parser alive no longer."""
        assert self._on_end is not None
        on_end, self._on_end = self._on_end, _ignore_end
        self._parse = _parse_nothing
        on_end()

    def _settle(self) -> None:
        self.idle = not (self._paused or self._dropping or self._kept or self._behind)

    def _parse_some(self, data: memoryview) -> memoryview:
        """Parse until the budget is used up or the consumer pauses; return the rest."""
        while data and not (self._paused or self._dropping):
            data, units = self._parse(data)
            if not self._turns.spend(units):
                break
        return data[:0] if self._dropping else data

    def _wait(self) -> None:
        if not self._waiting and not self._paused:
            self._waiting = True
            self._turns.wait(self._go_on)

    def _go_on(self) -> None:
        self._waiting = False
        if self._paused:
            return
        if not self._kept:
            self._kept, self._behind = memoryview(self._behind), bytearray()
        try:
            self._kept = self._parse_some(self._kept)
        except Exception:  # noqa: BLE001 - as in the reactor, any error ends this connection only
            self._log.failure("could not parse what a client sent")
            self.drop()
            self._transport.abortConnection()
        self._settle()
        if self._kept or self._behind:
            self._wait()
        elif self._on_end is not None:
            self._ended()
        elif not self._paused:
            self._transport.resumeProducing()
