"""The HTTP server in front of a resource tree, with bounds on what a request may be before it is one."""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

from twisted.internet.interfaces import IDelayedCall, ITCPTransport, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.iweb import IAccessLogFormatter
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import provider

from portofcall.access.client_address import client_address, client_key
from portofcall.errors import (
    BodyTooLarge,
    HeadTooLarge,
    InvalidHeader,
    RequestError,
    RequestTimedOut,
    printable,
)
from portofcall.limits.fair_eviction import FairEviction
from portofcall.limits.values import Limits, MiB
from portofcall.web.responses import raw_response

#: How much of a request that was refused is still read, and for how long.
_MOST_DROPPED_BYTES = 8 * MiB
_DROP_SECONDS = 2.0


class GatewaySite(Site):
    """Serves a resource tree over HTTP/1.1, with bounded requests.

    What is larger than the limits is refused as soon as that is known; a request that has not arrived whole
    in its time ends the connection, however steadily it drips. When too many connections are open with no
    request that is being answered, one of the client that has most of them is closed for each new one.

    Args:
        root: the tree.
        limits: how large and how slow a request may be.
        reactor: keeps the time.
    """

    #: How long a connection may idle between two requests, in seconds.
    idle_seconds = 60.0

    @staticmethod
    def protocol() -> Any:
        """Make a channel. Site's own would speak HTTP/2 too, which has no connection to hand over."""
        return _BoundedChannel()

    def __init__(self, root: Resource, *, limits: Limits, reactor: Any) -> None:
        super().__init__(
            root,
            requestFactory=_BoundedRequest,
            logFormatter=access_line,
            timeout=self.idle_seconds,
            reactor=reactor,
        )
        self.limits = limits
        self.waiting = FairEviction[_BoundedChannel](limits.max_waiting)


@provider(IAccessLogFormatter)
def access_line(timestamp: str, request: Request) -> str:
    """Write a request's line for the log. A query with a ticket in it is left out: a ticket is a secret.

    Args:
        timestamp: when it was answered.
        request: answered.
    """
    path, _, query = request.uri.decode("latin-1").partition("?")
    if "ticket" in unquote(unquote(path)).lower():
        # Escaped once too often, or behind a fragment: still a secret.
        path = "/..."
    if query:
        path += "?..." if "ticket" in unquote(query).lower() else f"?{printable(query, 200)}"
    peer = getattr(request.getClientAddress(), "host", None) or "local"
    method = printable(request.method.decode("latin-1"), 20)
    return f'{peer} [{timestamp}] "{method} {printable(path, 300)}" {request.code} {request.sentLength}'


class _BoundedChannel(HTTPChannel):
    """A connection that speaks HTTP, until it is handed over to a tunnel."""

    site: GatewaySite
    _client = ""
    _served = False
    _refused = False
    _dropped_bytes = 0
    _deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self.totalHeadersSize = self.site.limits.max_head_bytes
        self.MAX_LENGTH = self.site.limits.max_head_bytes
        self.maxHeaders = self.site.limits.max_header_lines
        super().connectionMade()
        peer = cast(ITransport, self.transport).getPeer()
        self._client = client_key(client_address(getattr(peer, "host", None), (), ()))
        self._wait(self.site.limits.request_seconds, self._too_late)

    def lineLengthExceeded(self, line: bytes) -> None:
        most = self.site.limits.max_head_bytes
        self.refuse(HeadTooLarge(f"the request's head must have at most {most} bytes"))

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            self._drop(data)
        else:
            super().dataReceived(data)

    def checkPersistence(self, request: Any, version: bytes) -> bool:
        hosts = request.requestHeaders.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
            self.refuse(InvalidHeader("Host must be given once"))
        return cast(bool, super().checkPersistence(request, version))

    def allContentReceived(self) -> None:
        if not self._refused:
            self._stop_waiting()
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:
        self._served = True
        self._wait(self.site.idle_seconds, self._too_late)
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stop_waiting()
        super().connectionLost(reason)

    def refuse(self, error: RequestError) -> None:
        """Answer with an error in the middle of a request, and close.

        What the client still sends is read and dropped for a while: to close over it would reset the
        connection, and the client would not get the answer (RFC 9112 §9.6).
        """
        if self._refused:
            return
        self._refused = True
        cast(ITransport, self.transport).write(raw_response(error, secure=self.isSecure()))
        self.clearLineBuffer()
        self._wait(_DROP_SECONDS, self._close)

    def make_room(self) -> None:
        """Close now, as there are too many that wait."""
        self._stop_waiting()
        cast(ITCPTransport, self.transport).abortConnection()

    def _drop(self, data: bytes) -> None:
        self._dropped_bytes += len(data)
        if self._dropped_bytes > _MOST_DROPPED_BYTES:
            self._close()

    def _close(self) -> None:
        self._stop_waiting()
        self.loseConnection()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Wait for the client, who has so much time."""
        self._stop_waiting()
        self._deadline = self.site.reactor.callLater(seconds, then)
        leaving = self.site.waiting.enter(self, self._client)
        if leaving is not None:
            leaving.make_room()

    def _stop_waiting(self) -> None:
        self.site.waiting.leave(self, self._client)
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def _too_late(self) -> None:
        if self._served and not self.requests:
            self._close()
        else:
            self.refuse(RequestTimedOut("the request did not arrive in time"))


class _BoundedRequest(Request):
    """A request whose body is refused as soon as it is known to be too large, before it is read."""

    channel: _BoundedChannel
    _refused = False
    _received_bytes = 0

    def gotLength(self, length: int | None) -> None:
        """Look at the Content-Length."""
        if length is not None and length > self._limits.max_body_bytes:
            self._refuse()
        # With no length twisted.web would write the body to a temporary file; ours fit in memory.
        super().gotLength(min(length or 0, self._limits.max_body_bytes))

    def handleContentChunk(self, data: bytes) -> None:
        """Count a body that comes in chunks."""
        self._received_bytes += len(data)
        if self._received_bytes > self._limits.max_body_bytes:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Serve the request, unless it has been refused."""
        if not self._refused:
            super().requestReceived(command, path, version)

    @property
    def _limits(self) -> Limits:
        return self.channel.site.limits

    def _refuse(self) -> None:
        if not self._refused:
            self._refused = True
            self.channel.refuse(BodyTooLarge.over(self._limits.max_body_bytes))
