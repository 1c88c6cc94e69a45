"""The tunnels that there are: how each begins, what the log says of it, and how all of them end."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from portofcall.admission import Lease
from portofcall.dial import Dialer
from portofcall.entrance import Visit
from portofcall.errors import InvalidTarget
from portofcall.interfaces import IClientEnd
from portofcall.limits import Limits
from portofcall.readnow import Readiness
from portofcall.target import Target
from portofcall.tcp import BackendEnd
from portofcall.tunnel import Tunnel

#: The query of a request, as `twisted.web` parses it.
Query = dict[bytes, list[bytes]]


class Tunnels:
    """Begins tunnels, and knows those that are not closed yet.

    Args:
        dialer: opens the connections to backends.
        limits: sizes and patience.
        clock: for that patience.
        readiness: of the reactor that the dialer uses.
    """

    _log = Logger()

    def __init__(self, dialer: Dialer, *, limits: Limits, clock: IReactorTime, readiness: Readiness) -> None:
        self._dialer = dialer
        self._limits = limits
        self._clock = clock
        self._readiness = readiness
        self._open: set[Tunnel] = set()
        self._waiting_for_none: list[Deferred[None]] = []

    def open(self, client: IClientEnd, query: Query, visit: Visit) -> Tunnel:
        """Begin a tunnel.

        Args:
            client: the client's end.
            query: names the target.
            visit: who was let in; its place is released when the tunnel is closed.
        """
        where = "?"
        place: Lease | None = None

        async def dial() -> BackendEnd:
            nonlocal where, place
            target = query_target(query)
            where = str(target)
            dialed = await self._dialer.dial(target, self._backend_end, client=visit.client)
            place = dialed.lease
            self._log.info("tunnel {peer} -> {target} opened", peer=visit.peer, target=where)
            return dialed.protocol

        def closed(tunnel: Tunnel) -> None:
            visit.lease.release()
            if place is not None:
                place.release()
            self._log.info(
                "tunnel {peer} -> {target} closed: {outcome} "
                "({up} bytes up, {down} bytes down, {lost} bytes not delivered)",
                peer=visit.peer,
                target=where,
                outcome=tunnel.outcome,
                up=tunnel.to_backend.passed_bytes,
                down=tunnel.to_client.passed_bytes,
                lost=tunnel.to_backend.dropped_bytes + tunnel.to_client.dropped_bytes,
            )
            self._forget(tunnel)

        tunnel = Tunnel(client, limits=self._limits, clock=self._clock, on_closed=closed)
        self._open.add(tunnel)
        tunnel.dial(Deferred.fromCoroutine(dial()))
        return tunnel

    def shut_down(self) -> Deferred[None]:
        """End every tunnel with Close 1001, after what is queued has been delivered.

        Returns:
            A Deferred that fires when no tunnel is left.
        """
        over: Deferred[None] = Deferred()
        self._waiting_for_none.append(over)
        for tunnel in list(self._open):
            tunnel.shut_down()
        self._tell_if_none()
        return over

    def _backend_end(self) -> BackendEnd:
        return BackendEnd(self._readiness)

    def _forget(self, tunnel: Tunnel) -> None:
        self._open.discard(tunnel)
        self._tell_if_none()

    def _tell_if_none(self) -> None:
        if not self._open:
            waiting, self._waiting_for_none = self._waiting_for_none, []
            for over in waiting:
                over.callback(None)


def query_target(query: Query) -> Target:
    """Read the target from a query, as `twisted.web` parses it.

    Raises:
        InvalidTarget: ``host`` or ``port`` is missing, given twice, or not what it must be.
    """
    texts = []
    for name in ("host", "port"):
        values = query.get(name.encode(), [])
        if len(values) != 1:
            raise InvalidTarget(f"{name} must be given once in the query")
        try:
            texts.append(values[0].decode())
        except UnicodeDecodeError:
            raise InvalidTarget(f"{name} must be UTF-8") from None
    return Target.parse(*texts)
