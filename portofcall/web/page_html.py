"""The page: its HTML, at ``/`` and at the addresses that fill in its field."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from twisted.web.server import Request

from portofcall.errors import InvalidField
from portofcall.web.request_head import parse_query
from portofcall.web.responses import text_response
from portofcall.web.static_files import StaticFile, compressed, file_response

#: The page loads nothing from other origins, runs no inline code, and can't be framed.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Accept, Accept-Encoding",
}
_NOT_BUILT: Final = """
The page for browsers is not part of this installation: npm's packages could not be reached when it was built.
To add it, install again from the source, with a network: pip install --force-reinstall --no-deps .
"""


class Form(Enum):
    """The form of a response."""

    TEXT = auto()
    JSON = auto()
    PAGE = auto()


def wanted_form(request: Request) -> Form:
    """Choose the form of a response: ``?format=``, or what Accept names; text for curl and the like.

    Raises:
        InvalidField: the query has another format.
    """
    formats = parse_query(request.uri).get(b"format", [])
    if formats:
        if formats == [b"json"]:
            return Form.JSON
        if formats == [b"text"]:
            return Form.TEXT
        raise InvalidField("format must be json or text")
    accepted = {
        item.partition(b";")[0].strip().lower()
        for value in request.requestHeaders.getRawHeaders(b"accept", [])
        for item in value.split(b",")
    }
    if b"text/html" in accepted:
        return Form.PAGE
    return Form.JSON if b"application/json" in accepted else Form.TEXT


class Page:
    """The HTML of the page.

    Args:
        files: the built files; without ``index.html`` the response says what is missing.
    """

    def __init__(self, files: Mapping[str, StaticFile]) -> None:
        self._by_depth: list[StaticFile] = []
        if "index.html" in files:
            html = files["index.html"].content
            # A path prefix is not known here, so that links are relative.
            self._by_depth = [
                compressed("index.html", html.replace(b'"static/', b'"' + b"../" * depth + b"static/"))
                for depth in (0, 1)
            ]

    @property
    def is_built(self) -> bool:
        """Whether there is a page."""
        return bool(self._by_depth)

    def respond(self, request: Request, *, depth: int, instead: str) -> bytes:
        """Respond with the page.

        Args:
            request: a GET or HEAD request.
            depth: how many folders the request's path is below the root of the gateway.
            instead: the text if the page is not built; what is missing is added.
        """
        if not self._by_depth:
            return text_response(request, instead + _NOT_BUILT, headers={"Vary": "Accept"})
        return file_response(request, self._by_depth[depth], _HEADERS)
