"""A request of the gateway's own server: bounded, and served by its path and query alone."""

from io import BytesIO
from typing import TYPE_CHECKING

from twisted.python.failure import Failure
from twisted.web.server import Request

from portofcall.errors import InternalError, printable
from portofcall.web.request_head import RequestTarget
from portofcall.web.responses import add_common_headers, error_response

if TYPE_CHECKING:
    from portofcall.web.channel import GatewayChannel


class GatewayRequest(Request):
    """A request of a `GatewayChannel`, which bounds its body and parses its target.

    Attributes:
        target: the parsed target, set when the head is complete.
    """

    channel: "GatewayChannel"
    target: RequestTarget

    def gotLength(self, length: int | None) -> None:
        """Keep the body in memory, where Twisted would write one without a length to a file."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Keep a piece of the body, if it is not too much."""
        if self.channel.takes_content(len(data)):
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Serve the request. Unlike Twisted's, it does not parse forms, which may be costly."""
        assert self.content is not None, "gotLength was called"
        self.content.seek(0)
        self.method, self.clientproto, self.uri = command, version, self.target.uri
        if self.target.authority is not None:
            self.requestHeaders.setRawHeaders(b"host", [self.target.authority])
        self.path = self.uri.partition(b"?")[0]
        self.args = {}
        self.process()

    def processingFailed(self, reason: Failure) -> Failure:
        """Respond to what a resource has raised, with the same kind of response as to everything else."""
        self._log.failure("{path}", reason, path=printable(self.path.decode("latin-1")))
        if self.startedWriting:
            self.channel.transport.abortConnection()
        else:
            self.write(error_response(self, InternalError("see the gateway's log")))
            self.finish()
        return reason

    def write(self, data: bytes) -> None:
        """Send a part of the response, in front of which its head goes: without the server's version."""
        if not self.startedWriting:
            self.responseHeaders.removeHeader(b"server")
            add_common_headers(self)
        super().write(data)
