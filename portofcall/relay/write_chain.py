"""One direction of a tunnel: writes to one transport, in order and bounded."""

import time
from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IProducer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.limits.values import KiB
from portofcall.relay.interfaces import Buffer, ISink, ISource

#: Waiting pieces smaller than this are joined: a million tiny writes must not cost a million objects.
_JOIN_BYTES = 4 * KiB


@implementer(IConsumer, IPushProducer)
class WriteChain:
    """Carries bytes from a source to a sink that may be slow, or not there yet.

    Contract: bytes reach the sink in the order in which they were written here, each once. While the sink
    takes them they go straight through. While it does not (it is not open yet, or its transport has called
    `pauseProducing`) they wait here; once more than ``high_water_bytes`` wait, here and in the sink, the
    source is paused, and once everything that waits here has been handed over it is resumed.

    One `Deferred` keeps the order: each time the sink stops taking bytes two links are added, *wait until it
    takes them again* and *hand over what waits*. The first pair waits for the sink to open.

    It is the `IConsumer` of the source's transport and the `IPushProducer` of the sink's. It closes neither:
    `portofcall.relay.tunnel.Tunnel` decides that when `done` fires.

    Args:
        high_water_bytes: see `portofcall.limits.values.Limits`.
        monotonic: a clock in seconds that never jumps, for `paused_seconds`.
        leaves_paused: whether a paused source stays so when the chain is done, or its end is to be noticed.
        sink: where the bytes go, if it is open already; otherwise see `open`.

    Attributes:
        done: fires exactly once: with None when, after `finish`, everything has been handed over and the
            sink's transport is not backed up; with `CancelledError` when the chain was abandoned; with the
            sink's failure when a write failed.
        waiting_bytes: how many bytes wait here.
        passed_bytes: how many have been handed to the sink.
        dropped_bytes: how many were written here and will never reach the sink.
        pauses: how often the source was paused because too much waited.
        straight: takes bytes for the sink at once; None while they have to wait here, and after the end.
    """

    def __init__(
        self,
        *,
        high_water_bytes: int,
        monotonic: Callable[[], float] = time.monotonic,
        leaves_paused: bool = False,
        sink: ISink | None = None,
    ) -> None:
        self.done: Deferred[None] = Deferred()
        self.waiting_bytes = self.passed_bytes = self.dropped_bytes = self.pauses = 0
        self._monotonic = monotonic
        self._paused_at = self._paused_seconds = 0.0
        self._high_water_bytes = high_water_bytes
        self._leaves_paused = leaves_paused
        self._waiting: deque[bytes | bytearray] | None = None  # an empty one takes 700 bytes
        self._source: ISource | None = None
        self._source_paused = False
        self._sink: ISink | None = None
        self.straight: Callable[[Buffer], None] | None = None
        self._follow: Callable[[], None] | None = None
        self._finishing = False
        self._gate: Deferred[None] | None = None
        self._chain: Deferred[None] | None = None  # before its first link
        if sink is None:
            self.pauseProducing()
        else:
            self._sink, self.straight = sink, sink.write
            sink.registerProducer(self, True)

    @property
    def backed_up(self) -> bool:
        """Whether the source is paused because too much waits."""
        return self._source_paused

    @property
    def paused_seconds(self) -> float:
        """For how long the source was paused because too much waited."""
        return self._paused_seconds + (self._monotonic() - self._paused_at if self._source_paused else 0.0)

    @property
    def buffered_bytes(self) -> int:
        """How many bytes wait here and, where that is known, in the sink."""
        return self.waiting_bytes + (0 if self._sink is None else self._sink.queued_bytes)

    @property
    def draining(self) -> bool:
        """Whether nothing more will be written, but something still has to be handed over."""
        return self._finishing and not self.done.called

    # The two ends

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Set the source, which is paused while too much waits (`IConsumer`)."""
        if not streaming or self._source is not None:
            raise RuntimeError("a WriteChain takes one producer, and a push producer")
        self._source = cast(ISource, producer)
        self._source.reads_bulk = self.straight is not None
        self._balance()

    def unregisterProducer(self) -> None:
        """Release the source, and resume it unless it is to stay paused (`IConsumer`)."""
        source, self._source = self._source, None
        if source is not None and self._source_paused:
            self._count_pause()
            if not self._leaves_paused:
                source.resumeProducing()

    def open(self, sink: ISink) -> None:
        """Set the sink, and hand over what waits."""
        if not self.done.called:
            self._sink = sink
            sink.registerProducer(self, True)
            self.resumeProducing()

    # Bytes

    def write(self, data: Buffer) -> None:
        """Pass ``data`` on, now or when the sink takes it (`IConsumer`). After `done` it is dropped."""
        straight = self.straight
        if straight is not None:
            self.passed_bytes += len(data)
            straight(data)
        elif self.done.called:
            self.dropped_bytes += len(data)
        else:
            self._wait(data)
            self._balance()

    def follow_with(self, follow: Callable[[], None]) -> None:
        """Note that nothing more will be written, and call ``follow`` once everything has been handed over.

        The sink stays open for what ``follow`` and others write to it, until `finish`.
        """
        self._follow = follow
        self.unregisterProducer()
        self._settle()

    def finish(self) -> None:
        """Note that nothing more will be written: `done` fires once everything has been handed over."""
        self._finishing = True
        self.unregisterProducer()
        self._settle()

    def flush(self) -> None:
        """Hand over what waits at once, even to a paused sink."""
        while self._waiting and self._sink is not None:
            self._pass_one()

    def abandon(self) -> None:
        """Drop what waits, and all later writes."""
        if not self.done.called:
            self._release()
            self.done.cancel()

    # Called by the sink's transport (IPushProducer)

    def pauseProducing(self) -> None:
        """Stop handing bytes to the sink."""
        if self._gate is None:
            self.straight = None
            if self._source is not None:
                self._source.reads_bulk = False
            gate = self._gate = Deferred()
            self._chain = gate if self._chain is None else self._chain.addCallback(lambda _: gate)
            self._chain.addCallback(self._hand_over).addErrback(self._fail)

    def resumeProducing(self) -> None:
        """Hand bytes to the sink again."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.callback(None)

    def stopProducing(self) -> None:
        """Note that the sink is gone. Its end reports that to the tunnel."""
        self.abandon()

    # Inside

    def _wait(self, data: Buffer) -> None:
        self.waiting_bytes += len(data)
        waiting = self._waiting = self._waiting or deque()
        last = waiting[-1] if waiting else None
        if len(data) >= _JOIN_BYTES:
            waiting.append(bytes(data))
        elif isinstance(last, bytearray) and len(last) < _JOIN_BYTES:
            last += data
        else:
            waiting.append(bytearray(data))

    def _pass_one(self) -> None:
        sink, waiting = cast(ISink, self._sink), cast("deque[bytes | bytearray]", self._waiting)
        data = bytes(waiting.popleft())
        self.waiting_bytes -= len(data)
        self.passed_bytes += len(data)
        sink.write(data)

    def _hand_over(self, _: None) -> None:
        while self._waiting and self._gate is None:
            self._pass_one()
        self._waiting = self._waiting or None
        if self._gate is None and self._sink is not None:
            self.straight = self._sink.write
            if self._source is not None:
                self._source.reads_bulk = True
        self._balance()
        self._settle()

    def _balance(self) -> None:
        """Pause the source when too much waits; resume it when nothing does."""
        if self._source is None:
            return
        if not self.waiting_bytes:
            if self._source_paused:
                self._count_pause()
                self._source.resumeProducing()
        elif not self._source_paused and self.buffered_bytes > self._high_water_bytes:
            self._source_paused = True
            self.pauses += 1
            self._paused_at = self._monotonic()
            self._source.pauseProducing()

    def _count_pause(self) -> None:
        """Note that the source is not paused any more."""
        self._paused_seconds = self.paused_seconds
        self._source_paused = False

    def _settle(self) -> None:
        if self._follow is not None and not self._waiting and self._gate is None:
            follow, self._follow = self._follow, None
            follow()
        if self._finishing and self._gate is None and not self.done.called:
            self._release()
            self.done.callback(None)

    def _fail(self, failure: Failure) -> None:
        if not self.done.called:
            self._release()
            self.done.errback(failure)

    def _release(self) -> None:
        """Release both ends and what waits, so that nothing of a closed tunnel is kept alive."""
        self._waiting = None
        self.dropped_bytes += self.waiting_bytes
        self.waiting_bytes = 0
        self.straight = self._follow = None
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.unregisterProducer()
        self.unregisterProducer()
