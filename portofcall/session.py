"""One tunnel with its request and its dial."""

from typing import Final, NamedTuple

from twisted.internet.defer import CancelledError

from portofcall.access.gatekeeper import Admitted
from portofcall.egress.dial_trace import DialTrace
from portofcall.egress.named_target import NamedTarget
from portofcall.errors import Draining, TargetError
from portofcall.events import Route, Stage, Traffic, TunnelEnded
from portofcall.limits.admission import Lease
from portofcall.relay import causes
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.states import Phase
from portofcall.relay.tunnel import Tunnel
from portofcall.target import Wanted

_STAGES: Final = {Phase.OPEN: Stage.OPEN, Phase.CLOSING: Stage.DRAIN, Phase.CLOSED: Stage.DRAIN}
#: The code that stands for no Close frame at all (RFC 6455 §7.1.5).
_NO_CLOSE_FRAME: Final = 1006
_NO_TRAFFIC: Final = Traffic(0, 0, 0, True, 0, 0, 0.0, 0.0)

#: What a tunnel can lead to: what was asked for, what was found for it, or the reason why it leads nowhere.
Dialable = Wanted | NamedTarget | TargetError


class Session:
    """A tunnel with its request and its dial.

    Args:
        admitted: the request; its lease is released with the session's.
        target: the requested target; one that was looked up for it; or why there is none.
        described: the target as the log shows it.
        began_at: now, by the gateway's monotonic clock, in seconds.

    Attributes:
        caller: the request.
        began_at: as given.
        target: as given.
        described: as given.
        trace: notes of the dial.
        place: the place of the target that the tunnel takes; None before it is reached.
        tunnel: the tunnel.
    """

    __slots__ = (
        "_admitted",
        "_is_refused",
        "_route",
        "began_at",
        "caller",
        "described",
        "place",
        "target",
        "trace",
        "tunnel",
    )
    tunnel: Tunnel

    def __init__(self, admitted: Admitted, target: Dialable, described: str, *, began_at: float) -> None:
        self.caller = admitted.caller
        self.began_at = began_at
        self.described = described
        self.trace = DialTrace()
        self.place: Lease | None = None
        self._admitted = admitted
        self.target = target
        self._route: Route | None = None
        self._is_refused = False

    @property
    def phase(self) -> Phase:
        """The tunnel's; before there is one, that of a dial under way or failed."""
        if self._is_refused:
            return Phase.CLOSED
        return self.tunnel.phase if hasattr(self, "tunnel") else Phase.DIALING

    def session_seconds(self, now: float) -> float | None:
        """Return how much longer the tunnel may live, by its ticket; None means no limit."""
        seconds = self._admitted.session_seconds
        return None if seconds is None else max(0.0, seconds - (now - self.began_at))

    @property
    def requested(self) -> str:
        """The target as the client wrote it, a token redacted; ``?`` for an invalid one."""
        if isinstance(self.target, TargetError):
            return "?"
        return str(self.target.name if isinstance(self.target, NamedTarget) else self.target)

    @property
    def route(self) -> Route:
        """The dial, as far as it has come."""
        if self._route is not None:
            return self._route
        route = self.trace.route(self.described)
        if self.place is not None:
            self._route = route
        return route

    @property
    def handshake_seconds(self) -> float:
        """From the complete head of the request to its admission."""
        return self.began_at - self.caller.received_at

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
        ending = self.tunnel.ending
        return TunnelEnded(
            self.caller,
            self.route,
            ending.slug,
            ending.outcome,
            ending.side,
            self.trace.stage if ending.phase is Phase.DIALING else _STAGES[ending.phase],
            client.close_code,
            self.tunnel.traffic,
            handshake_seconds=self.handshake_seconds,
            seconds=now - self.began_at,
        )

    def refused(self, problem: BaseException, *, now: float) -> TunnelEnded:
        """Return the same for a tunnel that has got an HTTP status instead of the 101 response.

        Args:
            problem: why.
            now: by the gateway's monotonic clock, in seconds.
        """
        self._is_refused = True
        cause, status = causes.INTERNAL_ERROR, 500
        if isinstance(problem, TargetError):
            cause, status = causes.dial_failed(problem), problem.http_status
        elif isinstance(problem, Draining):
            cause, status = causes.SHUT_DOWN, problem.http_status
        elif isinstance(problem, CancelledError):
            cause, status = causes.CLIENT_LEFT, 0
        return TunnelEnded(
            self.caller,
            self.route,
            *cause,
            self.trace.stage,
            _NO_CLOSE_FRAME,
            _NO_TRAFFIC,
            handshake_seconds=self.handshake_seconds,
            seconds=now - self.began_at,
            status=status,
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
