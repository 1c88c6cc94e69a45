"""A tunnel between one WebSocket client and one TCP backend."""

import time
from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from portofcall.errors import TargetError, printable
from portofcall.events import Side, Traffic
from portofcall.limits.values import Limits
from portofcall.relay import causes
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.causes import Cause, Ending
from portofcall.relay.closing import Closing
from portofcall.relay.ends import CloseCode, Ends, LastWord
from portofcall.relay.expiry import Expiry
from portofcall.relay.heartbeat import Heartbeat
from portofcall.relay.interfaces import Buffer, IClientEnd
from portofcall.relay.states import End, Event, Phase, phase
from portofcall.relay.transitions import step


class Tunnel:
    """Owns one pair of ends: the ends report events, the tunnel decides, the ends obey.

    What it decides is the table of `portofcall.relay.transitions`. It knows neither Autobahn, nor HTTP, nor
    access rules, nor the policy.

    Args:
        client: the client's end, open.
        page: whether the client is a page, whose Close frame is answered at once, like that of one that
            `half_closes`: a browser discards all that comes after it. Any other client is first sent what the
            backend has to answer.
        limits: the high-water mark, and the time limits of closing.
        clock: for those time limits.
        on_closed: called once, with this tunnel, when both ends are gone.
        session_seconds: how long it may live, in addition to the limits; None means no limit.
        monotonic: a clock in seconds that never jumps, for the time that reading is paused.

    Attributes:
        client_sent: the client's end reports what the client sent.
        backend_sent: the backend's end reports what the backend sent.
        to_backend: the chain of writes from client to backend.
        to_client: the chain of writes from backend to client.
        ending: why it ended.
        phase: how far it is in its life.
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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.phase = Phase.DIALING
        self.ending = Ending()
        self._grace_seconds = 0 if page or client.half_closes else limits.close_grace_seconds
        self._limits = limits
        self._on_closed = on_closed
        self._ends = ends = Ends(client, high_water_bytes=limits.high_water_bytes, monotonic=monotonic)
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
        self._expiry: Expiry | None = None
        if limits.idle_seconds or limits.lifetime_seconds or session_seconds is not None:
            self._expiry = Expiry(
                ends, limits=limits, session_seconds=session_seconds, clock=clock, over=self.end
            )

    def dial(self, dialing: Deferred[BackendEnd]) -> None:
        """Wait for the backend; bytes from the client queue up meanwhile, bounded.

        Args:
            dialing: fires with the open backend end, or fails with a `TargetError`.
        """
        self._ends.dialing = dialing
        dialing.addCallbacks(self._dialed, self._dial_failed)

    def shut_down(self) -> None:
        """Deliver what is queued, then close both sides, the client's with 1001, unless that has begun."""
        self._happens(Event.SHUT_DOWN, causes.SHUT_DOWN)

    def end(self, last_word: LastWord, side: Side = Side.GATEWAY) -> None:
        """Do the same with another Close frame, whose reason begins with the slug of a cause of ``side``."""
        self._ends.cut, reason = last_word, last_word[1]
        self._happens(Event.EXPIRED, Cause(reason.partition(":")[0], reason, side))

    def abort(self) -> None:
        """Reset both connections now."""
        self.ending.fail(causes.ABORTED, self.phase, link="; ")
        self._happens(Event.ABORTED)

    def look_for_gone_peers(self) -> None:
        """Cut a peer whose kernel has acknowledged nothing for ``gone_seconds``, although it should.

        A peer that merely does not read is not gone: its kernel acknowledges the probes of its window.
        """
        ends, seconds = self._ends, self._limits.gone_seconds
        if ends.client_pending and ends.client_progress.silent_seconds >= seconds:
            sentence = f"client is gone: no acknowledgement for {seconds:g} seconds"
            self._happens(Event.CLIENT_STUCK, Cause("client-gone", sentence, Side.CLIENT))
        if ends.backend_pending and ends.backend_progress.silent_seconds >= seconds:
            sentence = f"no acknowledgement from the backend for {seconds:g} seconds"
            ends.cut = (CloseCode.INTERNAL_ERROR, f"backend-gone: {sentence}")
            cause = Cause("backend-gone", f"backend is gone: {sentence}", Side.BACKEND)
            self._happens(Event.BACKEND_STUCK, cause)
        ends.backend_has_failed()

    # What the client's end reports

    def client_ended(self) -> None:
        """The client sent eof: it will send no more, and still receives."""
        self._happens(Event.CLIENT_ENDED, causes.CLIENT_CLOSED)

    def client_closed(self) -> None:
        """The client sent a Close frame. Its end sends no reply before it is asked to."""
        self._happens(
            Event.PROGRAM_CLOSED if self._grace_seconds else Event.PAGE_CLOSED, causes.CLIENT_CLOSED
        )

    def client_failed(self, what: str) -> None:
        """The client broke the protocol. Its end has sent the Close frame, and sends FIN by itself."""
        sentence = f"the client broke the protocol: {what}"
        self._happens(Event.CLIENT_FAILED, Cause("protocol-error", sentence, Side.CLIENT))

    def client_lost(self) -> None:
        """The client's connection is gone. Reported once, last."""
        self._happens(Event.CLIENT_LOST, causes.CLIENT_LOST)

    # What the backend's end reports

    def backend_ended(self) -> None:
        """The backend will send no more. It may still read."""
        self._happens(Event.BACKEND_ENDED, causes.BACKEND_CLOSED)

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone. Reported once, last."""
        if self._ends.client.half_closes and isinstance(reason.value, ConnectionDone):
            self._happens(Event.BACKEND_CLOSED, causes.BACKEND_CLOSED)
        # What it aborts for another reason has a cause already.
        reset = isinstance(reason.value, ConnectionAborted) and "it reset the connection"
        sentence = f"the backend was lost: {reset or printable(reason.getErrorMessage(), 200)}"
        cause = Cause("backend-reset", sentence, Side.BACKEND)
        if self._ends.client_state is End.V1_CLOSED:
            self.ending.fail(cause, self.phase, link="; ")
        self._happens(Event.BACKEND_LOST, cause)

    # What the dial and the chains report

    def _dialed(self, backend: BackendEnd) -> None:
        self._ends.dialing, self._ends.backend = None, backend
        backend.events = self
        self._happens(Event.DIALED)

    def _dial_failed(self, failure: Failure) -> None:
        if isinstance(failure.value, CancelledError):
            self._happens(Event.DIAL_CANCELLED)
            return
        error = failure.value
        if isinstance(error, TargetError):
            last_word, cause = (error.close_code, error.close_reason), causes.dial_failed(error)
            if self.ending.slug:
                self.ending.fail(cause._replace(sentence=error.sentence), Phase.DIALING, link=", but ")
        else:
            self._log.failure("could not dial", failure)
            last_word = (CloseCode.INTERNAL_ERROR, "internal-error: see the gateway's log")
            cause = Cause("internal-error", last_word[1], Side.GATEWAY)
        self._ends.last_word = last_word
        self._happens(Event.DIAL_FAILED, cause)

    def _chain_broke(self, failure: Failure) -> None:
        """End the tunnel if a chain was not abandoned on purpose: its sink failed unexpectedly."""
        if not isinstance(failure.value, CancelledError):
            self._log.failure("a tunnel could not write", failure)
            self._happens(Event.BROKEN, causes.WRITE_FAILED)

    @property
    def idle_seconds(self) -> float | None:
        """For how long the backend was neither sent anything nor sent anything; None if that is not known."""
        return self._ends.backend_progress.idle_seconds

    @property
    def traffic(self) -> Traffic:
        """What was carried so far, for the log and the metrics."""
        return self._ends.traffic

    # The table, and the time limits

    def _happens(self, event: Event, cause: Cause | None = None) -> None:
        """Do what the table says, then wait for what follows, or report that the tunnel is over.

        Args:
            event: what happens.
            cause: why the tunnel ends, if this is what ends it.
        """
        ends, was = self._ends, self.phase
        client, backend, does = step(event, ends.client_state, ends.backend_state)
        ends.client_state, ends.backend_state = client, backend
        self.phase = now = phase(client, backend)
        if now is Phase.CLOSING or now is Phase.CLOSED:
            if cause is not None:
                self.ending.begin(cause, was)
            if was is Phase.OPEN or was is Phase.DIALING:
                self._heartbeat.stop()
                if self._expiry is not None:
                    self._expiry.stop()
        for do in does:
            ends.carry_out(do)
        if now is Phase.CLOSED is not was:
            self._closing.stop()
            self._on_closed(self)
            del self._on_closed  # it keeps this tunnel alive
        elif now is Phase.CLOSING and self.phase is Phase.CLOSING:
            self._closing.look_soon()

    def _timed_out(self, event: Event) -> None:
        if event is Event.CLIENT_SILENT and self._ends.client_state is End.FINISHED:
            self.ending.outcome += "; timed out: client did not answer the Close frame"
        elif event is Event.CLIENT_STUCK:
            self.ending.fail(causes.CLIENT_STUCK, Phase.CLOSING)
        elif event is Event.BACKEND_STUCK:
            seconds = self._limits.close_stall_seconds
            self._cut("backend-stuck", f"the backend acknowledged nothing for {seconds:g} seconds")
        elif event is Event.GRACE_OVER:
            seconds = self._grace_seconds
            self._cut("grace-over", f"the backend was still sending {seconds:g} seconds after it got FIN")
        self._happens(event)

    def _missed(self, event: Event) -> None:
        if event is Event.PING_TIMEOUT:
            slug = "ping-timeout"
            sentence = f"the client answered no ping for {self._limits.ping_timeout_seconds:g} seconds"
            self._ends.cut = (CloseCode.INTERNAL_ERROR, f"{slug}: {sentence}")
        else:
            slug = "stall-timeout"
            sentence = f"the client made no progress for {self._limits.client_stall_seconds:g} seconds"
        self._happens(event, Cause(slug, f"timed out: {sentence}", Side.CLIENT))

    def _cut(self, slug: str, sentence: str) -> None:
        self.ending.fail(Cause(slug, sentence, Side.BACKEND), Phase.CLOSING)
        self._ends.cut = (CloseCode.INTERNAL_ERROR, f"{slug}: {sentence}")
