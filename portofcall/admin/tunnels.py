"""``/tunnels``: which tunnels there are, and their end by the operator."""

import json
from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from portofcall.admin.gate import AdminGate
from portofcall.admin.portions import in_portions
from portofcall.admin.resource import AdminResource
from portofcall.admin.tunnel_filter import TunnelFilter
from portofcall.errors import InvalidField, NotFound
from portofcall.events import Side
from portofcall.relay.ends import ENDED_BY_OPERATOR
from portofcall.relay.states import Phase
from portofcall.relay.tunnel import Tunnel
from portofcall.session import Session
from portofcall.sessions import Sessions
from portofcall.web.responses import json_response, text_response

#: How many tunnels are described, and how many are ended, in one turn of the event loop.
_DESCRIBED_PER_TURN: Final = 200
_ENDED_PER_TURN: Final = 50


def describe(session: Session, now: float) -> dict[str, Any]:
    """Return what is known about a tunnel, with one system call at most.

    Args:
        session: the tunnel.
        now: by the clock of its sessions, in seconds.
    """
    tunnel, caller, route = session.tunnel, session.caller, session.route
    up, down = tunnel.to_backend, tunnel.to_client
    idle_seconds = tunnel.idle_seconds
    return {
        "id": caller.request_id,
        "phase": tunnel.phase.value,
        "age_seconds": round(now - session.began_at, 1),
        "idle_seconds": None if idle_seconds is None else round(idle_seconds, 1),
        "client": caller.address,
        "port": caller.port,
        "subject": caller.subject,
        "target": session.requested,
        "address": route.address,
        "up_bytes": up.passed_bytes,
        "down_bytes": down.passed_bytes,
        "up_buffered_bytes": up.buffered_bytes,
        "down_buffered_bytes": down.buffered_bytes,
        "up_paused": up.backed_up,
        "down_paused": down.backed_up,
        "up_paused_seconds": round(up.paused_seconds, 1),
        "down_paused_seconds": round(down.paused_seconds, 1),
    }


class Tunnels(AdminResource):
    """``GET /tunnels``, and ``DELETE /tunnels?client=…&subject=…&target=…``; below it, each tunnel by its id.

    Args:
        gate: admits requests.
        sessions: the live tunnels.
        clock: for turns, as there may be many tunnels.
        monotonic: the clock of the sessions.
    """

    allowed = ("GET", "DELETE")
    isLeaf = False

    def __init__(
        self, gate: AdminGate, sessions: Sessions, *, clock: IReactorTime, monotonic: Callable[[], float]
    ) -> None:
        super().__init__(gate)
        self._sessions = sessions
        self._clock = clock
        self._monotonic = monotonic

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return the resource of one tunnel."""
        return cast(IResource, _OneTunnel(self, self._gate, path.decode("ascii", "backslashreplace")))

    async def respond_GET(self, request: Request) -> bytes:
        """Respond with the tunnels, one per line, the oldest first."""
        with (await self._gate.admit(request)).lease:
            wanted = TunnelFilter(request.uri)
            lines: list[str] = []
            async for portion in in_portions(self._sessions.live(), _DESCRIBED_PER_TURN, self._clock):
                now = self._monotonic()
                found = (session for session in portion if wanted.matches(session))
                lines += [json.dumps(describe(session, now)) for session in found]
            text = '{"tunnels": [' + ",".join(f"\n{line}" for line in lines) + "\n]}\n"
            headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
            return text_response(request, text, headers=headers)

    async def respond_DELETE(self, request: Request) -> bytes:
        """End the tunnels that are meant; without any filter, none, because that is easily not meant."""
        with (await self._gate.admit(request)).lease:
            wanted = TunnelFilter(request.uri)
            if not wanted.is_given:
                raise InvalidField("expected client, subject or target")
            ended = 0
            async for portion in in_portions(self._sessions.live(), _ENDED_PER_TURN, self._clock):
                for session in portion:
                    if wanted.matches(session):
                        _end(session.tunnel)
                        ended += 1
            return json_response(request, {"success": True, "ended": ended})

    async def end_one(self, request: Request, tunnel_id: str) -> bytes:
        """End the tunnel with this id."""
        with (await self._gate.admit(request)).lease:
            # Usually one; a trusted proxy gives its own ids, and may repeat itself.
            found = [session for session in self._sessions.live() if session.caller.request_id == tunnel_id]
            if not found:
                raise NotFound("there is no tunnel with this id")
            for session in found:
                _end(session.tunnel)
            return json_response(request, {"success": True, "ended": len(found)})


def _end(tunnel: Tunnel) -> None:
    """End a tunnel with Close 4410; reset one that is closing already, because nothing else would end it."""
    if tunnel.phase is Phase.CLOSING:
        tunnel.abort()
    else:
        tunnel.end(ENDED_BY_OPERATOR, Side.OPERATOR)


class _OneTunnel(AdminResource):
    """``DELETE /tunnels/ID``."""

    allowed = ("DELETE",)

    def __init__(self, tunnels: Tunnels, gate: AdminGate, tunnel_id: str) -> None:
        super().__init__(gate)
        self._tunnels = tunnels
        self._tunnel_id = tunnel_id

    async def respond_DELETE(self, request: Request) -> bytes:
        return await self._tunnels.end_one(request, self._tunnel_id)
