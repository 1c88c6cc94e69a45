"""The resource tree: the page, the probes for curl, the API, health checks, and a 404 for the rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from portofcall import __version__
from portofcall.access.gatekeeper import Gatekeeper
from portofcall.egress.dialer import Dialer
from portofcall.errors import InvalidField, NotFound
from portofcall.limits.values import Limits
from portofcall.web.api import SSH_PORT, Ping, SSHBanner
from portofcall.web.dialects.dialect import Dialect
from portofcall.web.dialects.neon import NeonDialect
from portofcall.web.dialects.own import OwnDialect
from portofcall.web.dialects.websockify import WebsockifyDialect
from portofcall.web.health import put_health
from portofcall.web.page_html import Form, Page, wanted_form
from portofcall.web.probe_by_path import ProbeByPath
from portofcall.web.records import Records
from portofcall.web.responses import Nothing, error_response, only_get, text_response, to_folder
from portofcall.web.shown_targets import ShownTargets, Suggestion
from portofcall.web.static_files import StaticFile, StaticFiles
from portofcall.web.upgrade import is_upgrade

_FRONT = f"""\
Port of Call {__version__}: a gateway from WebSocket to TCP.

  GET  /ping/HOST:PORT          is the port open, and what is the round trip
  GET  /ssh/HOST[:PORT]         how the SSH server identifies itself
       both with ?format=json or Accept: application/json, and ?timeout=MILLISECONDS

  GET  /api/connect?host=HOST&port=PORT   a byte tunnel, by WebSocket upgrade
  GET  /api/connect?target=NAME           the same, to a target that the operator has named
  GET  /api/targets                       their names
  GET  /websockify?token=TOKEN            as websockify; /v1?address=HOST:PORT as Neon's wsproxy
  POST /api/ping         {{"host": HOST, "port": PORT}}   the probes as JSON
  POST /api/ssh/connect  {{"host": HOST}}

Documentation: docs/ in the source.
"""


class FrontPage(Resource):
    """``/``: the page for browsers, a text for curl. Paths without a resource are a short 404 in plain text.

    Args:
        page: for browsers; None means that they get the text, too.
        tunnel: serves upgrades to WebSocket.
    """

    def __init__(self, page: Page | None, tunnel: IResource) -> None:
        super().__init__()
        self._page = page
        self._tunnel = tunnel

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return ``/`` itself, and a 404 for everything else."""
        return cast(IResource, self if path == b"" and not request.postpath else Nothing())

    def render(self, request: Request) -> bytes | int:
        """Respond to GET and HEAD; other methods are 405."""
        if is_upgrade(request):
            return cast(bytes | int, self._tunnel.render(request))
        if request.method not in (b"GET", b"HEAD"):
            return only_get(request)
        if self._page is None or not _is_for_a_browser(request):
            return text_response(request, _FRONT, headers={"Vary": "Accept"})
        if not request.uri.partition(b"?")[0].endswith(b"/"):
            # Mounted at /gateway: the page's links are relative to /gateway/.
            return to_folder(request)
        return self._page.respond(request, depth=0, instead=_FRONT)


def _is_for_a_browser(request: Request) -> bool:
    try:
        return wanted_form(request) is Form.PAGE
    except InvalidField:
        return False


class _APIBranch(Resource):
    """A branch of the API: paths without a resource are a 404 in JSON, at any depth."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        return cast(IResource, self)

    def render(self, request: Request) -> bytes:
        return error_response(request, NotFound("there is nothing here"))


def make_root(
    tunnel: Callable[[Dialect], IResource],
    *,
    records: Records,
    gatekeeper: Gatekeeper,
    dialer: Dialer,
    limits: Limits,
    clock: IReactorTime,
    not_ready: Callable[[], str],
    suggestions: Callable[[], Sequence[Suggestion]],
    page_files: Mapping[str, StaticFile] | None,
) -> Resource:
    """Build the resource tree.

    Args:
        tunnel: makes what serves the tunnels of one dialect.
        records: reports the outcome of requests.
        gatekeeper: admits clients.
        dialer: opens the connections of the probes.
        limits: the limit on bodies.
        clock: for the time limits.
        not_ready: see `portofcall.web.health.put_health`.
        suggestions: returns what the page suggests to connect to.
        page_files: the built page, see `portofcall.web.static_files`; empty if it is not built, None for no
            page at all.

    Returns:
        The root, for a `Site` or for a place in another resource tree.
    """
    page = None if page_files is None else Page(page_files)
    ping = Ping(records, gatekeeper, dialer, limits)
    banner = SSHBanner(records, gatekeeper, dialer, limits, clock)
    websockify = tunnel(WebsockifyDialect())
    root = FrontPage(page, websockify)
    root.putChild(b"websockify", websockify)
    root.putChild(b"v1", tunnel(NeonDialect()))
    if page_files:
        root.putChild(b"static", StaticFiles(page_files))
    root.putChild(b"ping", ProbeByPath(records, ping.measure, page))
    root.putChild(b"ssh", ProbeByPath(records, banner.measure, page, default_port=SSH_PORT))
    api = _APIBranch()
    ssh = _APIBranch()
    put_health(root, not_ready=not_ready)
    root.putChild(b"api", api)
    api.putChild(b"connect", tunnel(OwnDialect()))
    api.putChild(b"targets", ShownTargets(records, gatekeeper, dialer, suggestions))
    api.putChild(b"ping", ping)
    api.putChild(b"ssh", ssh)
    ssh.putChild(b"connect", banner)
    return root
