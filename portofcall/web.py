"""The HTTP side: the resource tree with its JSON API, and the site that serves it."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, NoReturn, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, ITransport
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from portofcall import __version__
from portofcall.answers import (
    API_HEADERS,
    APIResource,
    error_answer,
    error_payload,
    json_answer,
    text_answer,
)
from portofcall.dial import Dialer
from portofcall.errors import BodyTooLarge, InvalidField, NotFound
from portofcall.limits import Limits
from portofcall.probe import Banner, ping, read_banner
from portofcall.target import Target

#: What ``timeout`` may ask for, in milliseconds.
MIN_TIMEOUT_MS: Final = 1000
MAX_TIMEOUT_MS: Final = 30000
DEFAULT_TIMEOUT_MS: Final = 10000

_FRONT = f"""\
Port of Call {__version__}: a gateway from WebSocket to TCP.

  GET  /api/connect?host=HOST&port=PORT   a byte tunnel, by WebSocket upgrade
  POST /api/ping         {{"host": HOST, "port": PORT}}   is the port open, and how far away
  POST /api/ssh/connect  {{"host": HOST}}                 what the SSH server says of itself

How to use and embed it is told in docs/ of its source.
"""


class FrontPage(Resource):
    """``/``: says what this is. Whatever has no resource of its own is a short 404 in plain text."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Find ``/`` itself here, and nothing elsewhere."""
        return cast(IResource, self if path == b"" and not request.postpath else _Nothing())

    def render(self, request: Request) -> bytes | int:
        """Answer GET and HEAD; tell others that only these are allowed."""
        if request.method not in (b"GET", b"HEAD"):
            return text_answer(
                request, "Only GET is allowed here.\n", status=405, headers={"Allow": "GET, HEAD"}
            )
        return text_answer(request, _FRONT)


class _Nothing(Resource):
    """A short 404, at any depth."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return text_answer(request, "There is nothing here.\n", status=404)


class _APIBranch(Resource):
    """A part of the API's paths: whatever has no resource of its own is a 404 in JSON, at any depth."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        return cast(IResource, self)

    def render(self, request: Request) -> bytes:
        return error_answer(request, NotFound("there is nothing here"))


class Ping(APIResource):
    """``POST /api/ping``: how long a TCP handshake with the target takes."""

    allowed = ("POST",)

    def __init__(self, dialer: Dialer, limits: Limits) -> None:
        super().__init__()
        self._dialer = dialer
        self._limits = limits

    def answer_POST(self, request: Request) -> Deferred[bytes]:
        """Ping the target that the body names."""
        fields = read_body(request, self._limits)
        target = _target(fields)
        seconds = _timeout_seconds(fields)

        def tell(rtt_ms: float) -> bytes:
            rtt = round(rtt_ms, 2)
            payload = {
                "success": True,
                "host": target.host,
                "port": target.port,
                "rtt": rtt,
                "message": f"TCP Ping Success: {rtt}ms",
            }
            return json_answer(request, payload)

        pinging = ping(self._dialer, target, timeout_seconds=seconds)
        return Deferred.fromCoroutine(pinging).addCallback(tell)


class SSHBanner(APIResource):
    """``POST /api/ssh/connect``: how the target identifies itself as an SSH server."""

    allowed = ("POST",)

    def __init__(self, dialer: Dialer, limits: Limits, clock: IReactorTime) -> None:
        super().__init__()
        self._dialer = dialer
        self._limits = limits
        self._clock = clock

    def answer_POST(self, request: Request) -> Deferred[bytes]:
        """Read the banner of the target that the body names."""
        fields = read_body(request, self._limits)
        target = _target(fields, default_port=22)
        seconds = _timeout_seconds(fields)

        def tell(banner: Banner) -> bytes:
            payload = {
                "success": True,
                "message": "SSH server reachable",
                "host": target.host,
                "port": target.port,
                "banner": banner.line,
                "software": banner.software,
                "protocol": banner.protocol,
                "comments": banner.comments,
                "rtt": round(banner.rtt_ms, 2),
            }
            return json_answer(request, payload)

        reading = read_banner(self._dialer, target, clock=self._clock, timeout_seconds=seconds)
        return Deferred.fromCoroutine(reading).addCallback(tell)


def read_body(request: Request, limits: Limits) -> Mapping[str, Any]:
    """Read the JSON object that is a request's body.

    Args:
        request: its body has been read by `twisted.web`.
        limits: how large it may be.

    Returns:
        The object's fields.

    Raises:
        BodyTooLarge: it is larger than that.
        InvalidField: it is not a JSON object in UTF-8.
    """
    assert request.content is not None, "twisted.web has read the body"
    body = request.content.read(limits.max_body_bytes + 1)
    if len(body) > limits.max_body_bytes:
        raise BodyTooLarge(_too_large(limits))
    try:
        fields = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidField("the body must be a JSON object in UTF-8") from None
    if not isinstance(fields, dict):
        raise InvalidField("the body must be a JSON object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(name)


def _target(fields: Mapping[str, Any], *, default_port: int | None = None) -> Target:
    host = fields.get("host")
    if not isinstance(host, str):
        raise InvalidField("host must be a string")
    port = fields.get("port", default_port)
    if type(port) is not int or not 1 <= port <= 65535:
        raise InvalidField("port must be an integer from 1 to 65535")
    return Target.parse(host, port)


def _timeout_seconds(fields: Mapping[str, Any]) -> float:
    milliseconds = fields.get("timeout", DEFAULT_TIMEOUT_MS)
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise InvalidField("timeout must be a number of milliseconds")
    return min(max(milliseconds, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS) / 1000


def _too_large(limits: Limits) -> str:
    return f"the body must have at most {limits.max_body_bytes} bytes"


def make_root(tunnel: IResource, *, dialer: Dialer, limits: Limits, clock: IReactorTime) -> Resource:
    """Build the resource tree.

    Args:
        tunnel: serves ``/api/connect``.
        dialer: opens the connections of the probes.
        limits: how large a body may be.
        clock: keeps the time limits.

    Returns:
        The root, for a `Site` or for a place in somebody's tree.
    """
    root = FrontPage()
    api = _APIBranch()
    ssh = _APIBranch()
    root.putChild(b"api", api)
    api.putChild(b"connect", tunnel)
    api.putChild(b"ping", Ping(dialer, limits))
    api.putChild(b"ssh", ssh)
    ssh.putChild(b"connect", SSHBanner(dialer, limits, clock))
    return root


class BoundedRequest(Request):
    """A request whose body is refused as soon as it is known to be too large, before it is read."""

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
        return cast(GatewaySite, cast(Any, self.channel).site).limits

    def _refuse(self) -> None:
        if self._refused:
            return
        self._refused = True
        error = BodyTooLarge(_too_large(self._limits))
        body = json.dumps(error_payload(error)).encode("ascii") + b"\n"
        status = HTTPStatus(error.http_status)
        lines = [f"HTTP/1.1 {status} {status.phrase}", "Content-Type: application/json"]
        lines += [f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in API_HEADERS.items()]
        transport = cast(ITransport, self.channel.transport)
        transport.write("\r\n".join([*lines, "", ""]).encode("ascii") + body)
        self.channel.loseConnection()


class GatewaySite(Site):
    """Serves a resource tree with bounded request bodies.

    Args:
        root: the tree.
        limits: how large a body may be.
        reactor: keeps the time-outs of idle connections.
    """

    def __init__(self, root: Resource, *, limits: Limits, reactor: Any) -> None:
        super().__init__(root, requestFactory=BoundedRequest, reactor=reactor)
        self.limits = limits
