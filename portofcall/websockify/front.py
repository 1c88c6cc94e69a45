"""What a request is for: upgrades at any path are tunnels, and the rest is for files, if there are any."""

from typing import cast

from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.access.gatekeeper import plain_headers
from portofcall.web.api_resource import APIResource
from portofcall.web.records import Records
from portofcall.web.responses import text_response
from portofcall.websockify.authentication import Authentication


class GuardedFiles(APIResource):
    """Files for clients that are authenticated.

    Args:
        records: reports refusals.
        authentication: authenticates clients.
        files: has the files.
    """

    allowed = ("GET", "HEAD")

    def __init__(self, records: Records, authentication: Authentication, files: IResource) -> None:
        super().__init__(records)
        self._records_of = records
        self._authentication = authentication
        self._files = files

    def takes(self, path: object) -> bool:
        """Take every path."""
        return True

    async def respond_GET(self, request: Request) -> None:
        """Serve a file, if its client is authenticated."""
        plain_headers(request)
        await self._authentication.demand(request, self._records_of.caller(request), None)
        request.render(getChildForRequest(self._files, request))

    respond_HEAD = respond_GET


class Front(Resource):
    """The root of the site.

    Args:
        tunnels: gets the upgrades.
        files: gets everything else; None means that nothing else is there.
    """

    isLeaf = True

    def __init__(self, tunnels: IResource, files: IResource | None) -> None:
        super().__init__()
        self._tunnels = tunnels
        self._files = files

    def render(self, request: Request) -> bytes | int:
        """Pass the request on. As with websockify, the header Upgrade alone makes it one for a tunnel."""
        values = request.requestHeaders.getRawHeaders(b"upgrade", [])
        if request.method == b"GET" and any(value.strip().lower() == b"websocket" for value in values):
            return cast("bytes | int", self._tunnels.render(request))
        if self._files is None:
            text = "This is for WebSocket clients.\n"
            return text_response(request, text, status=405, headers={"Allow": "GET"})
        if self._files.isLeaf:
            return cast("bytes | int", self._files.render(request))
        request.render(getChildForRequest(self._files, request))
        return NOT_DONE_YET
