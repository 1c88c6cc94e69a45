"""HTTP responses: JSON, short texts and errors, each with the headers that all responses have."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.access.callers import known_caller
from portofcall.errors import GatewayError, MethodNotAllowed, NotFound, RequestError, printable
from portofcall.web.records import Records

#: On every response: no sniffing, no framing, no referrer.
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

#: On responses of the API in addition: they are not to be stored.
API_HEADERS: Mapping[str, str] = {**SECURITY_HEADERS, "Cache-Control": "no-store"}

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
Work = Coroutine[Deferred[Any], Any, bytes | None]
Handler = Callable[[Request], Work]


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
    """Respond with plain text and `SECURITY_HEADERS`."""
    return _respond(
        request, "text/plain; charset=utf-8", text.encode(), status, {**SECURITY_HEADERS, **headers}
    )


def no_file(request: Request) -> bytes:
    """Respond with a 404 for people."""
    return text_response(request, "There is nothing here.\n", status=404)


def only_get(request: Request) -> bytes:
    """Respond with 405: there is something here, but only to be read."""
    return text_response(request, "Only GET is allowed here.\n", status=405, headers={"Allow": "GET, HEAD"})


def bytes_response(
    request: Request, body: bytes, *, kind: str | None, status: int = 200, headers: Headers = NO_HEADERS
) -> bytes:
    """Respond with ``body`` and `SECURITY_HEADERS`.

    Args:
        request: gets the status and the headers.
        body: the content.
        kind: the media type; None for a response without content.
        status: the HTTP status.
        headers: further headers.
    """
    return _respond(request, kind, body, status, {**SECURITY_HEADERS, **headers})


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
    headers = {**API_HEADERS, **status_headers(error), REQUEST_ID: request_id}
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
    # twisted.web knows no reason phrase for some statuses, 426 among them.
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    if kind is not None:
        request.setHeader("Content-Type", kind)
        request.setHeader("Content-Length", str(len(body)))
    for name, value in headers.items():
        request.setHeader(name, value)
    caller = known_caller(request)
    if caller is not None:
        request.setHeader(REQUEST_ID, caller.request_id)
    if request.isSecure():
        request.setHeader("Strict-Transport-Security", _STRICT_TRANSPORT)
    # Twisted logs a warning when the response to HEAD has a body.
    return b"" if request.method == b"HEAD" else body


class Nothing(Resource):
    """A 404 for people, at any depth."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Respond."""
        return no_file(request)


class APIResource(Resource):
    """A leaf of the API. It has a coroutine for each method, such as ``respond_GET``.

    It returns the body, or None if it has taken the connection over; it may raise a `GatewayError`.

    Args:
        records: reports refusals; None means that nothing does.

    Attributes:
        allowed: the allowed methods, for the Allow header (RFC 9110 §10.2.1).
        nothing_here: the sentence of a 404.
    """

    allowed: ClassVar[tuple[str, ...]] = ()
    nothing_here: ClassVar[str] = "there is nothing here"
    isLeaf = True
    _log = Logger()

    def __init__(self, records: Records | None = None) -> None:
        super().__init__()
        self._records = records

    def render(self, request: Request) -> bytes | int:
        """Respond to ``request``, now or later."""
        if self._records is not None:
            self._records.caller(request)
        method = request.method.decode("ascii", "backslashreplace")
        if not self.takes(request.postpath or ()):
            return self.refuse(request, NotFound(self.nothing_here))
        if method not in self.allowed:
            error = MethodNotAllowed(f"{printable(method, 20)} is not allowed here")
            error.headers["Allow"] = ", ".join(self.allowed)
            return self.refuse(request, error)
        handler: Handler = getattr(self, f"respond_{method}")
        return self.respond(request, handler(request))

    def respond(self, request: Request, work: Work) -> int:
        """Respond with what a coroutine returns or raises; cancel it if the client disconnects first."""
        response = Deferred.fromCoroutine(work)
        if not response.called:
            request.notifyFinish().addErrback(lambda _: response.cancel())
        elif response.result is None:
            # The connection has been taken over.
            return NOT_DONE_YET
        response.addErrback(self._explain, request)
        response.addCallback(_send, request)
        response.addErrback(self._give_up, request)
        return NOT_DONE_YET

    def takes(self, path: Sequence[bytes]) -> bool:
        """Whether there is something at a path below this one, given in segments."""
        return not path

    def respond_error(self, request: Request, error: GatewayError) -> bytes:
        """Respond with an error."""
        return error_response(request, error)

    def refuse(self, request: Request, error: RequestError) -> bytes | int:
        """Respond to a request for a path or with a method that is not here."""
        self._report(request, error)
        return self.respond_error(request, error)

    def _report(self, request: Request, error: GatewayError) -> None:
        if self._records is not None:
            self._records.refused(request, error)

    def _give_up(self, failure: Failure, request: Request) -> None:
        """Abort the connection of a request if even the error response failed."""
        if not failure.check(CancelledError):
            self._log.failure("could not respond", failure)
            transport = cast(ITCPTransport | None, request.channel.transport)
            if transport is not None:
                transport.abortConnection()

    def _explain(self, failure: Failure, request: Request) -> bytes | Failure:
        if failure.check(CancelledError):
            return failure
        if failure.check(GatewayError):
            error = cast(GatewayError, failure.value)
            self._report(request, error)
            return self.respond_error(request, error)
        self._log.failure("{path}", failure, path=printable(request.path.decode("latin-1")))
        payload = {"success": False, "error": "see the gateway's log", "code": "internal-error"}
        return json_response(request, payload, status=500)


def _send(body: bytes | None, request: Request) -> None:
    if body is not None:
        request.write(body)
        request.finish()
