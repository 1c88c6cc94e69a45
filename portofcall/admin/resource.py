"""Resources behind the gate of the admin listener."""

from twisted.web.resource import Resource
from twisted.web.server import Request

from portofcall.admin.gate import AdminGate
from portofcall.errors import GatewayError, RequestError
from portofcall.web.health import Health
from portofcall.web.responses import APIResource, error_response


class AdminResource(APIResource):
    """A resource that says nothing to requests that are not admitted, not even that a path does not exist.

    Its ``respond_`` coroutines begin with ``await self._gate.admit(request)``.

    Args:
        gate: admits requests.
    """

    def __init__(self, gate: AdminGate) -> None:
        super().__init__(gate.records)
        self._gate = gate

    def refuse(self, request: Request, error: RequestError) -> int:
        """Respond with the error if the request is admitted, or else with the reason why not."""

        async def refuse() -> None:
            with (await self._gate.admit(request)).lease:
                raise error

        return self.respond(request, refuse())


class JudgedHealth(Resource):
    """A health check that needs no credentials, but that no page may cause.

    Args:
        gate: judges requests.
        health: responds to the others.
    """

    isLeaf = True

    def __init__(self, gate: AdminGate, health: Health) -> None:
        super().__init__()
        self._gate = gate
        self._health = health

    def render(self, request: Request) -> bytes:
        """Respond."""
        try:
            self._gate.judge(request)
        except GatewayError as error:
            self._gate.records.refused(request, error)
            return error_response(request, error)
        return self._health.render(request)
