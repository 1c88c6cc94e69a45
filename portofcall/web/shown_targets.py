"""``GET /api/targets``: what the page offers to connect to."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from twisted.web.server import Request

from portofcall.access.fetch_metadata import judge_fetch
from portofcall.access.gatekeeper import Gatekeeper
from portofcall.egress.dialer import Dialer
from portofcall.web.api_resource import APIResource
from portofcall.web.records import Records
from portofcall.web.request_head import parse_query
from portofcall.web.responses import json_response


class Suggestion(NamedTuple):
    """A target that the page offers.

    Attributes:
        name: a short name.
        host: the host.
        port: the port.
        description: one sentence on what is there.
    """

    name: str
    host: str
    port: int
    description: str


class ShownTargets(APIResource):
    """The names of targets, and suggestions; only for clients that may use the gateway.

    Args:
        records: reports refusals.
        gatekeeper: admits clients.
        dialer: has the named targets.
        suggestions: returns what is suggested now.
    """

    allowed = ("GET",)

    def __init__(
        self,
        records: Records,
        gatekeeper: Gatekeeper,
        dialer: Dialer,
        suggestions: Callable[[], Sequence[Suggestion]],
    ) -> None:
        super().__init__(records)
        self._gatekeeper = gatekeeper
        self._dialer = dialer
        self._suggestions = suggestions

    async def respond_GET(self, request: Request) -> bytes:
        """Return them."""
        # Not User-Agent, as for probes: over plain HTTP the page's own requests have no Sec-Fetch-Site, and
        # other sites can't read the response.
        judge_fetch(request.requestHeaders.getRawHeaders(b"sec-fetch-site", []), ())
        tickets = parse_query(request.uri).get(b"ticket", ())
        # A page that rebinds its name has no Origin in a GET request, and could read the response.
        admitted = await self._gatekeeper.admit(request, None, tickets=tickets, judge_host_always=True)
        with admitted.lease:
            payload = {
                "success": True,
                "targets": sorted(target.name for target in self._dialer.targets.by_name),
                "suggestions": [suggestion._asdict() for suggestion in self._suggestions()],
            }
        return json_response(request, payload)
