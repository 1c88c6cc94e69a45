"""Resources behind the gate of the admin listener."""

from collections.abc import Callable

from twisted.web.server import Request

from portofcall.admin.gate import AdminGate
from portofcall.errors import GatewayError, RequestError
from portofcall.web.api_resource import APIResource
from portofcall.web.health import Health
from portofcall.web.responses import error_response


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


class JudgedHealth(Health):
    """A health check that needs no credentials, but that no page may cause.

    Args:
        gate: judges requests.
        problem: as for `Health`.
    """

    def __init__(self, gate: AdminGate, problem: Callable[[], str]) -> None:
        super().__init__(problem)
        self._gate = gate

    def render(self, request: Request) -> bytes:
        """Respond."""
        try:
            self._gate.judge(request)
        except GatewayError as error:
            self._gate.records.refused(request, error)
            return error_response(request, error)
        return super().render(request)
