"""The live tunnels: opening them, logging them, and shutting all of them down."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from portofcall.access.gatekeeper import Admitted
from portofcall.egress.dialer import Dialer
from portofcall.egress.named_target import Targets
from portofcall.egress.proxy_header import ClientConnection
from portofcall.egress.token_look_up import TokenLookUp
from portofcall.errors import TargetError
from portofcall.events import Caller, Observer, TunnelOpened
from portofcall.limits.values import Limits
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.carried import Carried
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.readiness import Readiness
from portofcall.relay.states import Phase
from portofcall.relay.traced_tunnel import TracedTunnel
from portofcall.relay.tunnel import Tunnel
from portofcall.session import Dialable, Session, Totals

#: While a peer may be silent, each tunnel is looked at so often, in so many portions of all tunnels.
_ROUNDS, _LOOKS_PER_ROUND = 6, 30


class Sessions:
    """Opens tunnels, and keeps those that are not closed yet.

    Args:
        dialer: opens the connections to backends.
        limits: the high-water mark, and the time limits of closing.
        clock: for those time limits.
        readiness: watches sockets in the dialer's reactor.
        monotonic: a clock in seconds that never jumps.
        report: is called with what happens.
        tracer: returns what describes each step of a tunnel; None if nothing has to.

    Attributes:
        totals: of the tunnels that have ended.
        tokens: counts unknown ones.
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
        tracer: Callable[[Caller], Callable[[str], None] | None],
    ) -> None:
        self.totals = Totals()
        self._dialer = dialer
        self._limits = limits
        self._clock = clock
        self._readiness = readiness
        self._monotonic = monotonic
        self._report = report
        self._tracer = tracer
        self.tokens = TokenLookUp(lambda: dialer.targets, monotonic=monotonic)
        self._open: dict[Tunnel, Session] = {}
        self._dialed_first: dict[Session, None] = {}
        self._carried = (Carried(), Carried())
        self._round: list[Tunnel] = []
        self._next_look: IDelayedCall | None = None
        self._waiting_for_none: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._open)

    @property
    def targets(self) -> Targets:
        """The named targets of now."""
        return self._dialer.targets

    @property
    def sends_proxy_headers(self) -> bool:
        """Whether some targets get the header of the PROXY protocol."""
        return bool(self._dialer.proxy_rules)

    def live(self) -> list[Session]:
        """Return the tunnels that are not over, the oldest first."""
        return list(self._open.values())

    def dialed_first(self) -> list[Session]:
        """Return those that are being dialled before their response, and are no tunnels yet."""
        return list(self._dialed_first)

    def carried(self) -> tuple[Carried, Carried]:
        """Return what the tunnels that have ended have carried, from clients and to them."""
        up, down = self._carried
        return up.copy(), down.copy()

    def begin(self, target: Dialable, admitted: Admitted) -> Session:
        """Note a tunnel that is to be opened, or to be `refused`.

        Args:
            target: where to; an error fails its dial.
            admitted: the admitted request; its lease is released when the tunnel is closed.
        """
        described = "?" if isinstance(target, TargetError) else self._dialer.targets.describe(target)
        return Session(admitted, target, described, began_at=self._monotonic())

    async def dial(self, session: Session, client_connection: ClientConnection | None = None) -> BackendEnd:
        """Connect to the target. What it returns has to be used, or aborted, in the same turn of the reactor.

        Args:
            session: just begun.
            client_connection: for the header of the PROXY protocol; needed if `sends_proxy_headers`.

        Raises:
            TargetError: as `Dialer.dial`.
        """
        target = session.target
        if isinstance(target, TargetError):
            raise target
        dialed = await self._dialer.dial(
            target,
            self._backend_end,
            client=session.caller.key,
            trace=session.trace,
            client_connection=client_connection,
        )
        session.place = dialed.lease
        self._report(TunnelOpened(session.caller, session.route, session.handshake_seconds))
        return dialed.protocol

    async def dial_first(
        self, session: Session, client_connection: ClientConnection | None = None
    ) -> BackendEnd:
        """Do the same before the response, when the session is no tunnel yet."""
        self._dialed_first[session] = None
        try:
            return await self.dial(session, client_connection)
        finally:
            del self._dialed_first[session]

    def refused(self, session: Session, problem: BaseException) -> None:
        """Report that a tunnel was not opened, because its dial failed before the 101 response.

        Args:
            session: dialled, in vain.
            problem: what `dial` raised, or else the reason.
        """
        session.release()
        self._report(session.refused(problem, now=self._monotonic()))

    def open(
        self,
        client: IClientEnd,
        session: Session,
        *,
        page: bool,
        dialing: Deferred[BackendEnd] | None = None,
        client_connection: ClientConnection | None = None,
        connected: Callable[[], None] | None = None,
    ) -> Tunnel:
        """Open a tunnel.

        Args:
            client: the client's end.
            session: not opened before.
            page: whether the client is a page; see `Tunnel`.
            dialing: what `dial` has returned; None means that it is called now.
            client_connection: for that; see `dial`.
            connected: called once the backend is connected, if it ever is.
        """

        def closed(tunnel: Tunnel) -> None:
            session.release()
            ended = session.ended(client, now=self._monotonic())
            self.totals = self.totals.after(ended.traffic)
            self._report(ended)
            self._forget(tunnel)

        trace = self._tracer(session.caller)
        tunnel = session.tunnel = (Tunnel if trace is None else partial(TracedTunnel, trace=trace))(
            client,
            page=page,
            limits=self._limits,
            clock=self._clock,
            on_closed=closed,
            session_seconds=session.session_seconds(self._monotonic()),
            monotonic=self._monotonic,
        )
        self._open[tunnel] = session
        if self._next_look is None:
            self._look_later()
        dialing = dialing or Deferred.fromCoroutine(self.dial(session, client_connection))
        tunnel.dial(dialing)
        if connected is not None:
            dialing.addCallback(lambda _: connected() if tunnel.phase is Phase.OPEN else None)
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
        self._open.pop(tunnel, None)
        up, down = self._carried
        up.add(tunnel.to_backend)
        down.add(tunnel.to_client)
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
