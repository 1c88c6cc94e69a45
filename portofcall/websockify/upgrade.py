"""From an HTTP request to a tunnel in websockify's dialect: at any path, to the target that is configured."""

from collections.abc import Awaitable, Callable

from twisted.web.server import Request

from portofcall.access.gatekeeper import Gatekeeper
from portofcall.egress.named_target import NamedTarget
from portofcall.events import Caller
from portofcall.relay.interfaces import IClientEnd
from portofcall.relay.tunnel import Tunnel
from portofcall.sessions import Sessions
from portofcall.web.api_resource import APIResource
from portofcall.web.records import Records
from portofcall.web.takeover import Takeover
from portofcall.web.upgrade import valid_handshake
from portofcall.websocket.end import WebSocketEnd, WebSocketFactory

#: Returns the target of a request that was admitted, or raises why it is refused.
Choose = Callable[[Request, Caller], Awaitable[NamedTarget]]
#: Is called with each tunnel as it begins, before it carries anything.
Begun = Callable[[Tunnel, Caller], None]


class WebsockifyEnd(WebSocketEnd):
    """Closes with websockify's words when the target has ended the connection."""

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame after everything that was written."""
        super().close(code, reason or "Target closed")


class WebsockifyFactory(WebSocketFactory):
    """Makes such ends."""

    end = WebsockifyEnd


class UpgradeResource(APIResource):
    """Upgrades requests for any path.

    Args:
        records: reports refusals.
        gatekeeper: admits clients.
        sessions: the live tunnels.
        factory: makes the tunnels' ends.
        choose: chooses their targets.
        begun: is called with each tunnel.
    """

    allowed = ("GET",)

    def __init__(
        self,
        records: Records,
        gatekeeper: Gatekeeper,
        sessions: Sessions,
        factory: WebSocketFactory,
        *,
        choose: Choose,
        begun: Begun,
    ) -> None:
        super().__init__(records)
        self._gatekeeper = gatekeeper
        self._sessions = sessions
        self._factory = factory
        self._choose = choose
        self._begun = begun

    def takes(self, path: object) -> bool:
        """Take every path."""
        return True

    async def respond_GET(self, request: Request) -> None:
        """Hand the connection over to a tunnel, if the request is a valid upgrade and is admitted."""
        handshake = valid_handshake(request)
        page = request.requestHeaders.hasHeader(b"origin")
        with Takeover(request) as takeover:
            admitted = await self._gatekeeper.admit(request, None)
            try:
                target = await self._choose(request, admitted.caller)
                # A plugin may have taken its time.
                self._gatekeeper.demand_service()

                def begin(client: IClientEnd) -> Tunnel:
                    tunnel = self._sessions.open(client, self._sessions.begin(target, admitted), page=page)
                    self._begun(tunnel, admitted.caller)
                    return tunnel

                end = self._factory.build(begin, admitted.lease.release)
                takeover.hand_over(end, handshake._replace(request_id=admitted.caller.request_id))
            except BaseException:
                admitted.lease.release()
                raise
