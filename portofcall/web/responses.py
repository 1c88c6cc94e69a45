"""HTTP responses: JSON, short texts and errors, each with the headers that all responses have."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from twisted.web.resource import Resource
from twisted.web.server import Request

from portofcall.access.callers import known_caller
from portofcall.errors import GatewayError

#: On every response: no sniffing, no framing, no referrer.
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

#: On responses of the API in addition: they are not to be stored.
API_HEADERS: Mapping[str, str] = {"Cache-Control": "no-store"}

#: The header that shows a request's id.
REQUEST_ID: Final = "X-Request-Id"

Headers = Mapping[str, str]
NO_HEADERS: Headers = {}

#: Headers that a status requires (RFC 9110 §15.5.22, RFC 6455 §4.4).
_STATUS_HEADERS: Mapping[int, Headers] = {
    426: {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"},
}
#: On responses over TLS: use TLS only, for a year (RFC 6797).
_STRICT_TRANSPORT = "max-age=31536000"
#: The characters of a path's segment, and of a query, that are sent as they are (RFC 3986 §3.3, §3.4).
_SEGMENT: Final = "!$&'()*+,;=:@"
_QUERY: Final = _SEGMENT + "/?%"


def add_common_headers(request: Request) -> None:
    """Set what every response has: `SECURITY_HEADERS` that are not set yet, the request's id, and HSTS."""
    headers = request.responseHeaders
    for name, value in SECURITY_HEADERS.items():
        if not headers.hasHeader(name):
            headers.setRawHeaders(name, [value])
    caller = known_caller(request)
    if caller is not None:
        headers.setRawHeaders(REQUEST_ID, [caller.request_id])
    if request.isSecure():
        headers.setRawHeaders("Strict-Transport-Security", [_STRICT_TRANSPORT])


def json_response(
    request: Request, payload: Mapping[str, Any], *, status: int = 200, headers: Headers = NO_HEADERS
) -> bytes:
    """Respond with ``payload`` as JSON.

    Args:
        request: gets the status and the headers.
        payload: anything that `json.dumps` takes.
        status: the HTTP status.
        headers: headers in addition to `API_HEADERS`.

    Returns:
        The body.
    """
    body = json.dumps(payload).encode("ascii") + b"\n"
    return _respond(request, "application/json", body, status, {**API_HEADERS, **headers})


def error_payload(error: GatewayError) -> dict[str, Any]:
    """Return ``error`` in the form of all errors of the API."""
    return {"success": False, "error": error.sentence, "code": error.slug}


def error_response(request: Request, error: GatewayError, *, headers: Headers = NO_HEADERS) -> bytes:
    """Respond with ``error`` as JSON, with its status and the headers that this requires."""
    headers = {**status_headers(error), **headers}
    return json_response(request, error_payload(error), status=error.http_status, headers=headers)


def text_response(request: Request, text: str, *, status: int = 200, headers: Headers = NO_HEADERS) -> bytes:
    """Respond with plain text."""
    return _respond(request, "text/plain; charset=utf-8", text.encode(), status, headers)


def no_file(request: Request) -> bytes:
    """Respond with a 404 for people."""
    return text_response(request, "There is nothing here.\n", status=404)


def to_folder(request: Request) -> bytes:
    """Send a client that left out the last slash to the same path with it: links in a page are relative.

    The location is relative, too, so that it leads to no other host, whatever the path begins with.
    """
    path, question_mark, query = request.uri.partition(b"?")
    name = quote_from_bytes(unquote_to_bytes(path.rpartition(b"/")[2]), _SEGMENT)
    where = f"./{name}/{question_mark.decode()}{quote_from_bytes(query, _QUERY)}"
    return text_response(request, "", status=308, headers={"Location": where})


def only_get(request: Request) -> bytes:
    """Respond with 405: there is something here, but only to be read."""
    return text_response(request, "Only GET is allowed here.\n", status=405, headers={"Allow": "GET, HEAD"})


def bytes_response(
    request: Request, body: bytes, *, kind: str | None, status: int = 200, headers: Headers = NO_HEADERS
) -> bytes:
    """Respond with ``body``.

    Args:
        request: gets the status and the headers.
        body: the content.
        kind: the media type; None for a response without content.
        status: the HTTP status.
        headers: further headers.
    """
    return _respond(request, kind, body, status, headers)


def raw_response(error: GatewayError, *, secure: bool, request_id: str = "", with_body: bool = True) -> bytes:
    """Serialize an HTTP/1.1 response with ``error``, for use before there is a complete request.

    Args:
        error: its status and sentence are sent.
        secure: whether the connection is over TLS.
        request_id: the id of the request.
        with_body: False for the response to HEAD.
    """
    status = HTTPStatus(error.http_status)
    body = json.dumps(error_payload(error)).encode("ascii") + b"\n"
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", "Connection: close"]
    headers = {**SECURITY_HEADERS, **API_HEADERS, **status_headers(error), REQUEST_ID: request_id}
    if secure:
        headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + (body if with_body else b"")


def status_headers(error: GatewayError) -> Headers:
    """Return the headers that the status of ``error`` requires."""
    headers = {**_STATUS_HEADERS.get(error.http_status, NO_HEADERS), **error.headers}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    return headers


def _respond(request: Request, kind: str | None, body: bytes, status: int, headers: Headers) -> bytes:
    set_head(request, kind=kind, size=len(body), status=status, headers=headers)
    # Twisted logs a warning when the response to HEAD has a body.
    return b"" if request.method == b"HEAD" else body


def set_head(request: Request, *, kind: str | None, size: int, status: int, headers: Headers) -> None:
    """Set the status and the headers of a response, and those that all responses have.

    Args:
        request: gets them.
        kind: the media type; None for a response without content.
        size: the length of the content, in bytes.
        status: the HTTP status.
        headers: further headers.
    """
    # twisted.web knows no reason phrase for some statuses, 426 among them.
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    if kind is not None:
        request.setHeader("Content-Type", kind)
        request.setHeader("Content-Length", str(size))
    for name, value in headers.items():
        request.setHeader(name, value)
    add_common_headers(request)


class Nothing(Resource):
    """A 404 for people, at any depth."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Respond."""
        return no_file(request)
