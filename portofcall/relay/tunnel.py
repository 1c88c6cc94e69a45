"""A tunnel between one WebSocket client and one TCP backend."""

from collections.abc import Callable
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.errors import TargetError
from portofcall.limits.values import Limits
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.closing import Closing
from portofcall.relay.ends import SHUTTING_DOWN, CloseCode, Ends, LastWord
from portofcall.relay.expiry import Expiry
from portofcall.relay.heartbeat import Heartbeat
from portofcall.relay.interfaces import Buffer, IClientEnd
from portofcall.relay.states import End, Event, Phase, phase, step


class Tunnel:
    """Owns one pair of ends: the ends report events, the tunnel decides, the ends obey.

    What it decides is the table of `portofcall.relay.states`. It knows neither Autobahn, nor HTTP, nor access
    rules, nor the policy.

    Args:
        client: the client's end, open.
        page: whether the client is a page, whose Close frame is answered at once: a browser discards all that
            comes after it. Any other client is sent what the backend has to answer first.
        limits: the high-water mark, and the time limits of closing.
        clock: for those time limits.
        on_closed: called once, with this tunnel, when both ends are gone.
        session_seconds: how long it may live, in addition to the limits; None means no limit.

    Attributes:
        client_sent: the client's end reports what the client sent.
        backend_sent: the backend's end reports what the backend sent.
        to_backend: the chain of writes from client to backend.
        to_client: the chain of writes from backend to client.
        outcome: why the tunnel ended, in a few words.
    """

    _log = Logger()

    def __init__(
        self,
        client: IClientEnd,
        *,
        page: bool,
        limits: Limits,
        clock: IReactorTime,
        on_closed: Callable[["Tunnel"], None],
        session_seconds: float | None = None,
    ) -> None:
        self.outcome = ""
        self._grace_seconds = 0 if page else limits.close_grace_seconds
        self._limits = limits
        self._on_closed = on_closed
        self._ends = ends = Ends(client, high_water_bytes=limits.high_water_bytes)
        self.to_backend, self.to_client = ends.to_backend, ends.to_client
        ends.to_backend.done.addCallback(lambda _: self._happens(Event.BACKEND_HAS_ALL))
        ends.to_client.done.addCallback(lambda _: self._happens(Event.CLIENT_HAS_ALL))
        for chain in (ends.to_backend, ends.to_client):
            chain.done.addErrback(self._chain_broke)
        # What one end reports is written to the other as it is: one call less for each piece.
        self.client_sent: Callable[[Buffer], None] = ends.to_backend.write
        self.backend_sent: Callable[[Buffer], None] = ends.to_client.write
        self._closing = Closing(ends, limits=limits, clock=clock, happens=self._timed_out)
        self._heartbeat = Heartbeat(ends, limits=limits, clock=clock, happens=self._missed)
        self._expiry = Expiry(
            ends, limits=limits, session_seconds=session_seconds, clock=clock, over=self._expired
        )

    @property
    def phase(self) -> Phase:
        """How far the tunnel is in its life."""
        return phase(self._ends.client_state, self._ends.backend_state)

    def dial(self, dialing: Deferred[BackendEnd]) -> None:
        """Wait for the backend; bytes from the client queue up meanwhile, bounded.

        Args:
            dialing: fires with the open backend end, or fails with a `TargetError`.
        """
        self._ends.dialing = dialing
        dialing.addCallbacks(self._dialed, self._dial_failed)

    def shut_down(self) -> None:
        """Deliver what is queued, then close both sides, the client's with 1001.

        A tunnel that is closing already goes on closing.
        """
        self._happens(Event.SHUT_DOWN, SHUTTING_DOWN[1])

    def abort(self) -> None:
        """Reset both connections now."""
        self.outcome = f"{self.outcome}; reset" if self.outcome else "reset"
        self._happens(Event.ABORTED)

    def look_for_gone_peers(self) -> None:
        """Cut a peer whose kernel has acknowledged nothing for ``gone_seconds``, although it should.

        A peer that merely does not read is not gone: its kernel acknowledges the probes of its window.
        """
        ends, seconds = self._ends, self._limits.gone_seconds
        if ends.client_pending and ends.client_progress.silent_seconds >= seconds:
            self._happens(Event.CLIENT_STUCK, f"client is gone: no acknowledgement for {seconds:g} seconds")
        if ends.backend_pending and ends.backend_progress.silent_seconds >= seconds:
            sentence = f"no acknowledgement from the backend for {seconds:g} seconds"
            ends.cut = (CloseCode.INTERNAL_ERROR, f"backend-gone: {sentence}")
            self._happens(Event.BACKEND_STUCK, f"backend is gone: {sentence}")

    # What the client's end reports

    def client_closed(self) -> None:
        """The client sent a Close frame. Its end sends no reply before it is asked to."""
        self._happens(Event.PROGRAM_CLOSED if self._grace_seconds else Event.PAGE_CLOSED, "the client closed")

    def client_failed(self, what: str) -> None:
        """The client broke the protocol. Its end has sent the Close frame, and sends FIN by itself."""
        self._happens(Event.CLIENT_FAILED, f"the client broke the protocol: {what}")

    def client_lost(self) -> None:
        """The client's connection is gone. Reported once, last."""
        self._happens(Event.CLIENT_LOST, "client disconnected without a Close frame")

    # What the backend's end reports

    def backend_ended(self) -> None:
        """The backend will send no more. It may still read."""
        self._happens(Event.BACKEND_ENDED, "the backend closed")

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone. Reported once, last."""
        self._happens(Event.BACKEND_LOST, f"the backend was lost: {reason.getErrorMessage()}")

    # What the dial and the chains report

    def _dialed(self, backend: BackendEnd) -> None:
        self._ends.backend = backend
        backend.events = self
        self._happens(Event.DIALED)

    def _dial_failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            self._happens(Event.DIAL_CANCELLED)
            return
        if failure.check(TargetError):
            error = cast(TargetError, failure.value)
            last_word, outcome = (error.close_code, error.close_reason), f"{error.slug}: {error.sentence}"
            if self.outcome:
                self.outcome += f", but {error.sentence}"
        else:
            self._log.failure("could not dial", failure)
            last_word = (CloseCode.INTERNAL_ERROR, "internal-error: see the gateway's log")
            outcome = last_word[1]
        self._ends.last_word = last_word
        self._happens(Event.DIAL_FAILED, outcome)

    def _chain_broke(self, failure: Failure) -> None:
        """End the tunnel if a chain was not abandoned on purpose: its sink failed unexpectedly."""
        if failure.check(CancelledError) is None:
            self._log.failure("a tunnel could not write", failure)
            self._happens(Event.BROKEN, "a write failed")

    # What was delivered

    @property
    def delivered_up_bytes(self) -> int:
        """How much of the client's payload the backend has acknowledged."""
        return self.to_backend.passed_bytes - self._lost_up

    @property
    def delivered_down_bytes(self) -> int:
        """How much of the backend's payload the client has acknowledged, at least."""
        return self.to_client.passed_bytes - self._lost_down

    @property
    def undelivered_bytes(self) -> int:
        """How much was received of either, but not acknowledged by the other; see `undelivered_is_exact`."""
        return self.to_backend.dropped_bytes + self.to_client.dropped_bytes + self._lost_up + self._lost_down

    @property
    def undelivered_is_exact(self) -> bool:
        """Whether `undelivered_bytes` is exact. Otherwise it counts what frames and TLS add, too."""
        backend = self._ends.backend
        return not self._lost_down and (not self._lost_up or (backend is not None and backend.is_exact))

    @property
    def _lost_up(self) -> int:
        backend = self._ends.backend
        return 0 if backend is None else min(backend.unacknowledged_bytes, self.to_backend.passed_bytes)

    @property
    def _lost_down(self) -> int:
        return min(self._ends.client.unacknowledged_bytes, self.to_client.passed_bytes)

    # The table, and the time limits

    def _happens(self, event: Event, outcome: str = "") -> None:
        """Do what the table says, then wait for what follows, or report that the tunnel is over.

        Args:
            event: what happens.
            outcome: why the tunnel ends, if this is what ends it.
        """
        ends, was = self._ends, self.phase
        ends.client_state, ends.backend_state, does = step(event, ends.client_state, ends.backend_state)
        now = self.phase
        self.outcome = self.outcome or outcome
        if was in (Phase.DIALING, Phase.OPEN) and now not in (Phase.DIALING, Phase.OPEN):
            self._heartbeat.stop()
            self._expiry.stop()
        for do in does:
            ends.carry_out(do)
        if now is Phase.CLOSED is not was:
            self._closing.stop()
            self._on_closed(self)
        elif now is Phase.CLOSING and self.phase is Phase.CLOSING:
            self._closing.look_soon()

    def _timed_out(self, event: Event) -> None:
        if event is Event.CLIENT_SILENT and self._ends.client_state is End.FINISHED:
            self.outcome += "; timed out: client did not answer the Close frame"
        elif event is Event.CLIENT_STUCK:
            self.outcome += "; timed out: client stopped reading"
        elif event is Event.BACKEND_STUCK:
            self._cut("backend-stuck", "the backend stopped reading")
        elif event is Event.GRACE_OVER:
            self._cut(
                "grace-over",
                f"the backend was still sending {self._grace_seconds:g} seconds after it got FIN",
            )
        self._happens(event)

    def _missed(self, event: Event) -> None:
        if event is Event.PING_TIMEOUT:
            sentence = f"the client answered no ping for {self._limits.ping_timeout_seconds:g} seconds"
            self._ends.cut = (CloseCode.INTERNAL_ERROR, f"ping-timeout: {sentence}")
        else:
            sentence = f"the client read nothing for {self._limits.client_stall_seconds:g} seconds"
        self._happens(event, f"timed out: {sentence}")

    def _expired(self, last_word: LastWord) -> None:
        self._ends.cut = last_word
        self._happens(Event.EXPIRED, last_word[1])

    def _cut(self, slug: str, sentence: str) -> None:
        self.outcome += f"; timed out: {sentence}"
        self._ends.cut = (CloseCode.INTERNAL_ERROR, f"{slug}: {sentence}")
