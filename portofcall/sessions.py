"""The live tunnels: opening them, logging them, and shutting all of them down."""

from collections.abc import Callable
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from portofcall.access.gatekeeper import Admitted
from portofcall.egress.dial_trace import DialTrace
from portofcall.egress.dialer import Dialer
from portofcall.errors import InvalidTarget
from portofcall.events import Observer, Route, Stage, Traffic, TunnelEnded, TunnelOpened
from portofcall.limits.admission import Lease
from portofcall.limits.values import Limits
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.direct_read import Readiness
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.states import Phase
from portofcall.relay.tunnel import Tunnel
from portofcall.target import Requested

#: While a peer may be silent, each tunnel is looked at so often, in so many portions of all tunnels.
_ROUNDS, _LOOKS_PER_ROUND = 6, 30
_STAGES: Final = {Phase.OPEN: Stage.OPEN, Phase.CLOSING: Stage.DRAIN, Phase.CLOSED: Stage.DRAIN}


class Session:
    """A tunnel with its request and its dial.

    Args:
        admitted: the request; its lease is released with the session's.
        described: the target as the log shows it.
        began_at: now, by the gateway's monotonic clock, in seconds.

    Attributes:
        caller: the request.
        began_at: as given.
        described: as given.
        trace: notes of the dial.
        place: the place of the target that the tunnel takes; None before it is reached.
        tunnel: the tunnel.
    """

    __slots__ = ("_admitted", "_route", "began_at", "caller", "described", "place", "trace", "tunnel")
    tunnel: Tunnel

    def __init__(self, admitted: Admitted, described: str, *, began_at: float) -> None:
        self.caller = admitted.caller
        self.began_at = began_at
        self.described = described
        self.trace = DialTrace()
        self.place: Lease | None = None
        self._admitted = admitted
        self._route: Route | None = None

    @property
    def route(self) -> Route:
        """The dial, as far as it has come."""
        if self._route is not None:
            return self._route
        route = self.trace.route(self.described)
        if self.place is not None:
            self._route = route
        return route

    def release(self) -> None:
        """Release the places of the client and of the target."""
        self._admitted.lease.release()
        if self.place is not None:
            self.place.release()

    def ended(self, client: IClientEnd, *, now: float) -> TunnelEnded:
        """Return what the log and the metrics have of a tunnel that is over.

        Args:
            client: the client's end.
            now: by the gateway's monotonic clock, in seconds.
        """
        ending, received_at = self.tunnel.ending, self.caller.received_at
        return TunnelEnded(
            self.caller,
            self.route,
            ending.slug,
            ending.outcome,
            ending.side,
            self.trace.stage if ending.phase is Phase.DIALING else _STAGES[ending.phase],
            client.close_code,
            self.tunnel.traffic,
            handshake_seconds=self.began_at - received_at,
            seconds=now - self.began_at,
        )


class Totals(NamedTuple):
    """What became of all tunnels that have ended.

    Attributes:
        ended: their number.
        incomplete: the number of those with something undelivered.
        undelivered_bytes: what was not delivered, see `portofcall.events.Traffic`.
    """

    ended: int = 0
    incomplete: int = 0
    undelivered_bytes: int = 0

    def after(self, traffic: Traffic) -> "Totals":
        """Return the totals with one more tunnel, which has ended."""
        lost = traffic.undelivered_bytes
        return Totals(self.ended + 1, self.incomplete + bool(lost), self.undelivered_bytes + lost)


class Sessions:
    """Opens tunnels, and keeps those that are not closed yet.

    Args:
        dialer: opens the connections to backends.
        limits: the high-water mark, and the time limits of closing.
        clock: for those time limits.
        readiness: watches sockets in the dialer's reactor.
        monotonic: a clock in seconds that never jumps.
        report: is called with what happens.

    Attributes:
        totals: of the tunnels that have ended.
    """

    def __init__(
        self,
        dialer: Dialer,
        *,
        limits: Limits,
        clock: IReactorTime,
        readiness: Readiness,
        monotonic: Callable[[], float],
        report: Observer,
    ) -> None:
        self.totals = Totals()
        self._dialer = dialer
        self._limits = limits
        self._clock = clock
        self._readiness = readiness
        self._monotonic = monotonic
        self._report = report
        self._open: set[Tunnel] = set()
        self._round: list[Tunnel] = []
        self._next_look: IDelayedCall | None = None
        self._waiting_for_none: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def open(
        self, client: IClientEnd, target: Requested | InvalidTarget, admitted: Admitted, *, page: bool
    ) -> Tunnel:
        """Open a tunnel.

        Args:
            client: the client's end.
            target: where to; an invalid one closes the tunnel with its Close code.
            admitted: the admitted request; its lease is released when the tunnel is closed.
            page: whether the client is a page; see `Tunnel`.
        """
        described = "?" if isinstance(target, InvalidTarget) else self._dialer.targets.describe(target)
        session = Session(admitted, described, began_at=self._monotonic())

        async def dial() -> BackendEnd:
            if isinstance(target, InvalidTarget):
                raise target
            dialed = await self._dialer.dial(
                target, self._backend_end, client=admitted.caller.key, trace=session.trace
            )
            session.place = dialed.lease
            self._report(TunnelOpened(admitted.caller, session.route))
            return dialed.protocol

        def closed(tunnel: Tunnel) -> None:
            session.release()
            ended = session.ended(client, now=self._monotonic())
            self.totals = self.totals.after(ended.traffic)
            self._report(ended)
            self._forget(tunnel)

        tunnel = session.tunnel = Tunnel(
            client,
            page=page,
            limits=self._limits,
            clock=self._clock,
            on_closed=closed,
            session_seconds=admitted.session_seconds,
            monotonic=self._monotonic,
        )
        self._open.add(tunnel)
        if self._next_look is None:
            self._look_later()
        tunnel.dial(Deferred.fromCoroutine(dial()))
        return tunnel

    def shut_down(self) -> Deferred[None]:
        """Close every tunnel with 1001, after what is queued has been delivered.

        Returns:
            A Deferred that fires when no tunnel is left.
        """
        for tunnel in list(self._open):
            tunnel.shut_down()
        return self.when_none()

    def when_none(self) -> Deferred[None]:
        """Return a Deferred that fires when no tunnel is left."""
        none: Deferred[None] = Deferred()
        self._waiting_for_none.append(none)
        self._report_if_none()
        return none

    def abort(self) -> None:
        """Reset the connections of every tunnel."""
        for tunnel in list(self._open):
            tunnel.abort()

    def _backend_end(self) -> BackendEnd:
        return BackendEnd(self._readiness)

    def _look_later(self) -> None:
        seconds = self._limits.gone_seconds / _ROUNDS / _LOOKS_PER_ROUND
        self._next_look = self._clock.callLater(seconds, self._look_for_gone_peers)

    def _look_for_gone_peers(self) -> None:
        """Look at a part of the tunnels: all at once would hold up the event loop."""
        self._look_later()
        if not self._round:
            self._round = list(self._open)
        for _ in range(min(len(self._round), 1 + len(self._open) // _LOOKS_PER_ROUND)):
            tunnel = self._round.pop()
            if tunnel in self._open:
                tunnel.look_for_gone_peers()

    def _forget(self, tunnel: Tunnel) -> None:
        self._open.discard(tunnel)
        if not self._open and self._next_look is not None:
            self._next_look.cancel()
            self._next_look = None
            self._round.clear()
        self._report_if_none()

    def _report_if_none(self) -> None:
        if not self._open:
            waiting, self._waiting_for_none = self._waiting_for_none, []
            for over in waiting:
                over.callback(None)
