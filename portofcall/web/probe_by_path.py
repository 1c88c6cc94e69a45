"""``GET /ping/HOST:PORT`` and ``GET /ssh/HOST[:PORT]``: the probes for curl, and the page for browsers."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from portofcall.access.fetch_metadata import judge_fetch
from portofcall.errors import GatewayError, InvalidField, InvalidTarget, NotFound
from portofcall.target import Requested, Target, TargetName
from portofcall.web.api import DEFAULT_TIMEOUT_MS, clamp_timeout
from portofcall.web.api_resource import APIResource
from portofcall.web.page_html import Form, Page, wanted_form
from portofcall.web.records import Records
from portofcall.web.request_head import parse_query
from portofcall.web.responses import error_payload, json_response, status_headers, text_response

Measure = Callable[[Request, Requested, float], Coroutine[Deferred[Any], Any, Mapping[str, Any]]]
#: The fields of a response that its text does not show.
_LEFT_OUT = {"success", "message", "host", "port", "target"}
_UNITS = {"rtt": " ms"}


class ProbeByPath(APIResource):
    """A probe whose target is the last segment of the path.

    The response is text, JSON, or for browsers the page, which probes nothing before its user asks for it.

    Args:
        records: reports refusals.
        measure: probes a target, see `portofcall.web.api`.
        page: for browsers; None, or one that is not built, means that they get text.
        default_port: the port of a target without one; None means that this is the name of a target.
    """

    allowed = ("GET", "HEAD")
    nothing_here = "expected one target in the path, such as /ping/db.example:5432 or /ssh/db.example"

    def __init__(
        self, records: Records, measure: Measure, page: Page | None, *, default_port: int | None = None
    ) -> None:
        super().__init__(records)
        self._measure = measure
        self._page = page
        self._default_port = default_port

    def takes(self, path: Sequence[bytes]) -> bool:
        """Whether the path is one segment."""
        return len(path) == 1 and path[0] != b""

    async def respond_GET(self, request: Request) -> bytes:
        """Probe, or respond with the page."""
        form = wanted_form(request)
        assert request.postpath, "takes"
        text = _decode(request.postpath[0])
        if form is Form.PAGE and self._page is not None and self._page.is_built:
            return self._page.respond(request, depth=1, instead="")
        headers = request.requestHeaders
        judge_fetch(headers.getRawHeaders(b"sec-fetch-site", []), headers.getRawHeaders(b"user-agent", []))
        target = parse_place(text, self._default_port)
        found = await self._measure(request, target, _timeout_seconds(request))
        if form is Form.JSON:
            return json_response(request, found)
        lines = {"target": str(target)}
        lines |= {
            name: f"{value}{_UNITS.get(name, '')}" for name, value in found.items() if name not in _LEFT_OUT
        }
        return text_response(request, align(lines), headers=_NO_STORE)

    async def respond_HEAD(self, request: Request) -> bytes:
        """Respond like GET, without a body."""
        return await self.respond_GET(request)

    def respond_error(self, request: Request, error: GatewayError) -> bytes:
        """Respond with an error in the form of the response."""
        try:
            form = wanted_form(request)
        except InvalidField:
            form = Form.TEXT
        headers = {**status_headers(error), **_NO_STORE}
        if form is Form.JSON:
            return json_response(request, error_payload(error), status=error.http_status, headers=headers)
        text = align({"error": error.sentence, "code": error.slug})
        return text_response(request, text, status=error.http_status, headers=headers)


_NO_STORE = {"Cache-Control": "no-store", "Vary": "Accept"}


def align(lines: Mapping[str, str]) -> str:
    """Write names and values as two columns."""
    width = max(map(len, lines)) + 2
    return "".join(f"{name.ljust(width)}{value}".rstrip() + "\n" for name, value in lines.items())


def parse_place(text: str, default_port: int | None) -> Requested:
    """Parse ``HOST:PORT``, as the last segment of a path.

    Args:
        text: an IPv6 address with a port is in brackets.
        default_port: makes the port optional; None means that a text without one names a target.

    Raises:
        InvalidTarget: the sentence says what was expected.
    """
    host, colon, port = text.rpartition(":")
    if colon and not text.endswith("]") and (":" not in host or host.startswith("[")):
        return Target.parse(host, port)
    if default_port is not None:
        return Target.parse(text, default_port)
    if ":" in text:
        raise InvalidTarget("expected HOST:PORT, IPv6 in brackets")
    return TargetName.parse(text)


def _decode(segment: bytes) -> str:
    try:
        return segment.decode()
    except UnicodeDecodeError:
        raise NotFound("there is nothing here") from None


def _timeout_seconds(request: Request) -> float:
    values = parse_query(request.uri).get(b"timeout", [b"%d" % DEFAULT_TIMEOUT_MS])
    if len(values) != 1 or not values[0].isdigit() or len(values[0]) > 9:
        raise InvalidField("timeout must be a number of milliseconds")
    return clamp_timeout(int(values[0]))
