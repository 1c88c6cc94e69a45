"""One tunnel with its request and its dial."""

from typing import Final

from portofcall.access.gatekeeper import Admitted
from portofcall.egress.dial_trace import DialTrace
from portofcall.errors import InvalidTarget
from portofcall.events import Route, Stage, TunnelEnded
from portofcall.limits.admission import Lease
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.states import Phase
from portofcall.relay.tunnel import Tunnel
from portofcall.target import Wanted

_STAGES: Final = {Phase.OPEN: Stage.OPEN, Phase.CLOSING: Stage.DRAIN, Phase.CLOSED: Stage.DRAIN}


class Session:
    """A tunnel with its request and its dial.

    Args:
        admitted: the request; its lease is released with the session's.
        target: the requested target.
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
        "_admitted", "_route", "began_at", "caller", "described", "place", "target", "trace", "tunnel"
    )  # fmt: skip
    tunnel: Tunnel

    def __init__(
        self, admitted: Admitted, target: Wanted | InvalidTarget, described: str, *, began_at: float
    ) -> None:
        self.caller = admitted.caller
        self.began_at = began_at
        self.described = described
        self.trace = DialTrace()
        self.place: Lease | None = None
        self._admitted = admitted
        self.target = target
        self._route: Route | None = None

    @property
    def requested(self) -> str:
        """The target as the client wrote it: HOST:PORT, or a name; ``?`` for an invalid one."""
        return "?" if isinstance(self.target, InvalidTarget) else str(self.target)

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
        """From the complete head of the request to the 101 response."""
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
