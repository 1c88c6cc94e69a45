"""The resource tree: ``/``, the API below ``/api/``, health checks, and a 404 for the rest."""

from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from portofcall import __version__
from portofcall.access.gatekeeper import Gatekeeper
from portofcall.egress.dialer import Dialer
from portofcall.errors import NotFound
from portofcall.limits.values import Limits
from portofcall.web.api import Ping, SSHBanner
from portofcall.web.health import put_health
from portofcall.web.responses import error_response, text_response

_FRONT = f"""\
Port of Call {__version__}: a gateway from WebSocket to TCP.

  GET  /api/connect?host=HOST&port=PORT   a byte tunnel, by WebSocket upgrade
  GET  /api/connect?target=NAME           the same, to a target that the operator has named
  POST /api/ping         {{"host": HOST, "port": PORT}}   is the port open, and what is the round trip
  POST /api/ssh/connect  {{"host": HOST}}                 how the SSH server identifies itself

Documentation: docs/ in the source.
"""


class FrontPage(Resource):
    """``/``: describes the service. Paths without a resource are a short 404 in plain text."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return ``/`` itself, and a 404 for everything else."""
        return cast(IResource, self if path == b"" and not request.postpath else _Nothing())

    def render(self, request: Request) -> bytes | int:
        """Respond to GET and HEAD; other methods are 405."""
        if request.method not in (b"GET", b"HEAD"):
            return text_response(
                request, "Only GET is allowed here.\n", status=405, headers={"Allow": "GET, HEAD"}
            )
        return text_response(request, _FRONT)


class _Nothing(Resource):
    """A short 404, at any depth."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return text_response(request, "There is nothing here.\n", status=404)


class _APIBranch(Resource):
    """A branch of the API: paths without a resource are a 404 in JSON, at any depth."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        return cast(IResource, self)

    def render(self, request: Request) -> bytes:
        return error_response(request, NotFound("there is nothing here"))


def make_root(
    tunnel: IResource,
    *,
    gatekeeper: Gatekeeper,
    dialer: Dialer,
    limits: Limits,
    clock: IReactorTime,
    not_ready: Callable[[], str],
) -> Resource:
    """Build the resource tree.

    Args:
        tunnel: serves ``/api/connect``.
        gatekeeper: admits clients.
        dialer: opens the connections of the probes.
        limits: the limit on bodies.
        clock: for the time limits.
        not_ready: see `portofcall.web.health.put_health`.

    Returns:
        The root, for a `Site` or for a place in another resource tree.
    """
    root = FrontPage()
    api = _APIBranch()
    ssh = _APIBranch()
    put_health(root, not_ready=not_ready)
    root.putChild(b"api", api)
    api.putChild(b"connect", tunnel)
    api.putChild(b"ping", Ping(gatekeeper, dialer, limits))
    api.putChild(b"ssh", ssh)
    ssh.putChild(b"connect", SSHBanner(gatekeeper, dialer, limits, clock))
    return root
