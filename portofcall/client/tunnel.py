"""A tunnel at the client's end: between something local and the connection to the gateway."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from portofcall.client.problem import Problem, Status, of_close_frame
from portofcall.limits.values import Limits
from portofcall.relay import causes
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.causes import Cause
from portofcall.relay.heartbeat import Heartbeat
from portofcall.relay.states import End, Event
from portofcall.relay.tunnel import Tunnel
from portofcall.websocket.client_end import GatewayEnd

_NEVER: Final = float("inf")

#: The limits of a client. What is local is waited for without limit: somebody may be paging through it.
CLIENT_LIMITS: Final = Limits(
    close_stall_seconds=_NEVER,
    # A gateway without `portofcall.v1` answers a Close frame after the target has had its say.
    linger_seconds=60.0,
)


class LocalEnd(BackendEnd):
    """What a tunnel connects to its gateway, at the client's end."""

    def begin(self) -> None:
        """Start reading, now that the tunnel is there."""

    def gateway_ended(self) -> None:
        """Nothing that the local end still sends is wanted. What was received before is still delivered."""


class ClientTunnel(Tunnel):
    """`Tunnel` with the roles exchanged: the gateway is its "client", and what is local its "backend".

    Args:
        gateway: the connection to the gateway, open.
        limits: see `CLIENT_LIMITS`.
        clock: keeps the time.

    Attributes:
        on_problem: called with the first problem as soon as it is known, before the local end is ended: ssh
            ends its ProxyCommand when that closes its output.
        closed: fires when both ends are gone: with None if the tunnel has ended well, or with the `Problem`.
    """

    def __init__(self, gateway: GatewayEnd, *, limits: Limits, clock: Any) -> None:
        self.closed: Deferred[None] = Deferred()
        self.on_problem: Callable[[Problem], None] = lambda _: None
        self._gateway: Any = gateway
        self._problem: Problem | None = None
        self._local: LocalEnd | None = None
        self._finished = False
        self._clock = clock
        self._last_heartbeat: Heartbeat | None = None
        super().__init__(gateway, page=False, limits=limits, clock=clock, on_closed=self._over)
        self.backend_sent = gateway.writer(self.to_client)

    def begin(self, local: LocalEnd) -> None:
        """Connect the local end, which is open."""
        self._local = local
        dialed: Deferred[BackendEnd] = Deferred()
        self.dial(dialed)
        dialed.callback(local)
        local.begin()

    def interrupt(self, problem: Problem) -> None:
        """End at once, for a reason of the caller's."""
        self._take(problem)
        self.abort()

    def finish(self) -> None:
        """End both directions once everything that the local end sent has been sent on.

        The local end has ended, and reports that it is gone. What the target still sends is discarded.
        """
        self._finished = True
        if not self._gateway.half_closes:
            # Only FIN says that; with portofcall.v1 a Close frame does.
            self.to_client.done.addCallback(lambda _: self._gateway.finish())

    @property
    def problem(self) -> Problem | None:
        """Why it does not end well; None if it does, as far as that is known."""
        return self._problem

    # What the gateway's end reports

    def client_closed(self) -> None:
        """The gateway sent a Close frame."""
        code, reason = self._gateway.close_frame
        problem = of_close_frame(code, reason)
        if problem is None:
            super().client_closed()
        else:
            self._take(problem)
            self._happens(Event.PAGE_CLOSED, causes.CLIENT_CLOSED)
        if self._local is not None and (problem is not None or self._gateway.half_closes):
            self._local.gateway_ended()

    def client_failed(self, what: str) -> None:
        """The gateway broke the protocol."""
        sentence = f"the gateway broke the WebSocket protocol: {what}"
        self._take(Problem("protocol-error", sentence, Status.CUT_OFF))
        super().client_failed(what)

    def client_lost(self) -> None:
        """The connection to the gateway is gone."""
        if self._gateway.close_frame is None and not self._finished:
            sentence = "the connection to the gateway was lost"
            self._take(Problem("gateway-lost", sentence, Status.CUT_OFF))
        super().client_lost()

    # What the local end reports

    def backend_lost(self, reason: Failure) -> None:
        """The local end is gone, whichever side ended it."""
        if reason.check(Problem):
            assert isinstance(reason.value, Problem)
            self._take(reason.value)
        super().backend_lost(reason)
        if reason.check(Problem):
            # Nothing more is wanted of the gateway.
            self._gateway.drop()

    # Time limits

    def _happens(self, event: Event, cause: Cause | None = None) -> None:
        """Wait for the gateway's Close frame once both sides have ended: it knows what the target has got.

        That may take as long as the target takes to read, if the gateway answers pings meanwhile.
        """
        if event is not Event.BACKEND_ACKNOWLEDGED or self._ends.client_state is not End.V1_CLOSED:
            super()._happens(event, cause)
            if self._last_heartbeat is not None and self._ends.client_state is not End.V1_CLOSED:
                self._last_heartbeat.stop()
        elif self._last_heartbeat is None:
            self._last_heartbeat = Heartbeat(
                self._ends, limits=self._limits, clock=self._clock, happens=self._missed
            )

    def _missed(self, event: Event) -> None:
        seconds = self._limits.ping_timeout_seconds
        sentence = f"the gateway answered no ping for {seconds:g} seconds"
        self.interrupt(Problem("ping-timeout", sentence, Status.CUT_OFF))

    def _take(self, problem: Problem) -> None:
        if self._problem is None:
            self._problem = problem
            self.on_problem(problem)

    def _over(self, _tunnel: Tunnel) -> None:
        if self._problem is None:
            self.closed.callback(None)
        else:
            self.closed.errback(self._problem)
