"""The resource tree of the admin listener, which no other listener has."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from portofcall.admin.gate import AdminGate
from portofcall.admin.log_level import LogLevel
from portofcall.admin.portions import in_portions
from portofcall.admin.resource import AdminResource, JudgedHealth
from portofcall.admin.tunnels import Tunnels
from portofcall.limits.values import Limits
from portofcall.log.levels import LogLevels
from portofcall.relay.carried import Carried
from portofcall.sessions import Sessions
from portofcall.web.health import put_health
from portofcall.web.responses import text_response

#: Understood by every version of Prometheus, and by other programs that read its format.
_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: How many tunnels are added up in one turn of the event loop.
_ADDED_PER_TURN: Final = 500
#: Returns all metrics, from what was carried from clients and to them.
MetricsText = Callable[[Carried, Carried], bytes]


def make_admin_root(
    gate: AdminGate,
    sessions: Sessions,
    levels: LogLevels,
    *,
    limits: Limits,
    clock: IReactorTime,
    monotonic: Callable[[], float],
    metrics: MetricsText,
    not_ready: Callable[[], str],
) -> Resource:
    """Build the tree: ``/metrics``, ``/tunnels``, ``/loglevel``, ``/healthz`` and ``/readyz``.

    Args:
        gate: admits requests.
        sessions: the live tunnels.
        levels: how much is logged about clients.
        limits: the limit on bodies.
        clock: for turns.
        monotonic: the clock of the sessions and of the levels.
        metrics: returns the text of ``/metrics``.
        not_ready: see `portofcall.web.health.put_health`.
    """
    root = _Root(gate)
    put_health(root, not_ready=not_ready, make=partial(JudgedHealth, gate))
    root.putChild(b"metrics", _Metrics(gate, sessions, clock, metrics))
    root.putChild(b"tunnels", Tunnels(gate, sessions, clock=clock, monotonic=monotonic))
    root.putChild(b"loglevel", LogLevel(gate, levels, limits=limits, monotonic=monotonic))
    return root


class _Root(AdminResource):
    """Everything without a resource is a 404, at any depth."""

    isLeaf = False

    def getChild(self, path: bytes, request: Request) -> IResource:
        return cast(IResource, self)

    def takes(self, path: Sequence[bytes]) -> bool:
        return False


class _Metrics(AdminResource):
    """``GET /metrics``."""

    allowed = ("GET",)

    def __init__(self, gate: AdminGate, sessions: Sessions, clock: IReactorTime, text: MetricsText) -> None:
        super().__init__(gate)
        self._sessions = sessions
        self._clock = clock
        self._text = text

    async def respond_GET(self, request: Request) -> bytes:
        with (await self._gate.admit(request)).lease:
            up, down = self._sessions.carried()
            # Those that end meanwhile keep their counts, and are no part of the others.
            async for portion in in_portions(self._sessions.live(), _ADDED_PER_TURN, self._clock):
                for session in portion:
                    up.add(session.tunnel.to_backend)
                    down.add(session.tunnel.to_client)
            headers = {"Content-Type": _METRICS_TYPE, "Cache-Control": "no-store"}
            return text_response(request, self._text(up, down).decode(), headers=headers)
