"""The HTTP side: the resource tree with its JSON API."""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn, cast

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from portofcall import __version__
from portofcall.answers import APIResource, error_answer, json_answer, text_answer
from portofcall.dial import Dialer
from portofcall.entrance import Entrance
from portofcall.errors import BodyTooLarge, InvalidField, NotFound
from portofcall.limits import Limits
from portofcall.probe import ping, read_banner
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

    def __init__(self, entrance: Entrance, dialer: Dialer, limits: Limits) -> None:
        super().__init__()
        self._entrance = entrance
        self._dialer = dialer
        self._limits = limits

    async def answer_POST(self, request: Request) -> bytes:
        """Ping the target that the body names."""
        fields = read_body(request, self._limits)
        target, seconds = _target(fields), _timeout_seconds(fields)
        visit = await self._entrance.admit(request, target)
        with visit.lease:
            found = await ping(self._dialer, target, client=visit.client, timeout_seconds=seconds)
        rtt = round(found, 2)
        payload = {
            "success": True,
            "host": target.host,
            "port": target.port,
            "rtt": rtt,
            "message": f"TCP Ping Success: {rtt}ms",
        }
        return json_answer(request, payload)


class SSHBanner(APIResource):
    """``POST /api/ssh/connect``: how the target identifies itself as an SSH server."""

    allowed = ("POST",)

    def __init__(self, entrance: Entrance, dialer: Dialer, limits: Limits, clock: IReactorTime) -> None:
        super().__init__()
        self._entrance = entrance
        self._dialer = dialer
        self._limits = limits
        self._clock = clock

    async def answer_POST(self, request: Request) -> bytes:
        """Read the banner of the target that the body names."""
        fields = read_body(request, self._limits)
        target, seconds = _target(fields, default_port=22), _timeout_seconds(fields)
        visit = await self._entrance.admit(request, target)
        with visit.lease:
            banner = await read_banner(
                self._dialer, target, client=visit.client, clock=self._clock, timeout_seconds=seconds
            )
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
        raise BodyTooLarge.over(limits.max_body_bytes)
    try:
        fields = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
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


def make_root(
    tunnel: IResource, *, entrance: Entrance, dialer: Dialer, limits: Limits, clock: IReactorTime
) -> Resource:
    """Build the resource tree.

    Args:
        tunnel: serves ``/api/connect``.
        entrance: lets clients in.
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
    api.putChild(b"ping", Ping(entrance, dialer, limits))
    api.putChild(b"ssh", ssh)
    ssh.putChild(b"connect", SSHBanner(entrance, dialer, limits, clock))
    return root
