"""What a request is for: upgrades at any path are tunnels, and the rest is for files, if there are any."""

from typing import cast

from twisted.web.resource import IResource, Resource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.web.responses import text_response


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
        request.render(getChildForRequest(self._files, request))
        return NOT_DONE_YET
