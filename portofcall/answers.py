"""HTTP answers: JSON, short texts and errors, each with the headers that every answer carries."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.errors import GatewayError, MethodNotAllowed, NotFound, printable

#: On every answer: no sniffing, no framing, no referrer.
SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}

#: On answers of the API besides: they are about this moment only.
API_HEADERS: Mapping[str, str] = {**SECURITY_HEADERS, "Cache-Control": "no-store"}

Headers = Mapping[str, str]
NO_HEADERS: Headers = {}
Handler = Callable[[Request], "bytes | int | Deferred[bytes]"]


def json_answer(
    request: Request, payload: Mapping[str, Any], *, status: int = 200, headers: Headers = NO_HEADERS
) -> bytes:
    """Answer with ``payload`` as JSON.

    Args:
        request: gets the status and the headers.
        payload: what `json.dumps` takes.
        status: the HTTP status.
        headers: headers besides `API_HEADERS`.

    Returns:
        The body.
    """
    body = json.dumps(payload).encode("ascii") + b"\n"
    return _answer(request, "application/json", body, status, {**API_HEADERS, **headers})


def error_payload(error: GatewayError) -> dict[str, Any]:
    """Put ``error`` into the form in which every part of the API tells of errors."""
    return {"success": False, "error": error.sentence, "code": error.slug}


def error_answer(request: Request, error: GatewayError, *, headers: Headers = NO_HEADERS) -> bytes:
    """Answer with ``error`` and its status, as JSON."""
    return json_answer(request, error_payload(error), status=error.http_status, headers=headers)


def text_answer(request: Request, text: str, *, status: int = 200, headers: Headers = NO_HEADERS) -> bytes:
    """Answer with a plain text, and `SECURITY_HEADERS`."""
    return _answer(
        request, "text/plain; charset=utf-8", text.encode(), status, {**SECURITY_HEADERS, **headers}
    )


def _answer(request: Request, kind: str, body: bytes, status: int, headers: Headers) -> bytes:
    # twisted.web knows no reason phrase for some statuses, 426 among them.
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    request.setHeader("Content-Type", kind)
    request.setHeader("Content-Length", str(len(body)))
    for name, value in headers.items():
        request.setHeader(name, value)
    return body


class APIResource(Resource):
    """A leaf of the API: its handlers return what `render` does, or a Deferred of the body, or raise a
    `GatewayError`.

    Attributes:
        allowed: the methods it takes, for the Allow header (RFC 9110 §10.2.1).
    """

    allowed: ClassVar[tuple[str, ...]] = ()
    isLeaf = True
    _log = Logger()

    def render(self, request: Request) -> bytes | int:
        """Answer ``request`` by the handler for its method, ``answer_GET`` and so on."""
        if request.postpath:
            return error_answer(request, NotFound("there is nothing here"))
        method = request.method.decode("ascii", "backslashreplace")
        if method not in self.allowed:
            sentence = f"{printable(method, 20)} is not allowed here, only {' or '.join(self.allowed)}"
            return error_answer(
                request, MethodNotAllowed(sentence), headers={"Allow": ", ".join(self.allowed)}
            )
        handler: Handler = getattr(self, f"answer_{method}")
        try:
            answer = handler(request)
        except GatewayError as error:
            return error_answer(request, error)
        if isinstance(answer, Deferred):
            self._answer_later(request, answer)
            return NOT_DONE_YET
        return answer

    def _answer_later(self, request: Request, answer: Deferred[bytes]) -> None:
        """Answer when the body is there; give the work up when the client goes first."""

        def explain(failure: Failure) -> bytes:
            if failure.check(GatewayError):
                assert isinstance(failure.value, GatewayError)
                return error_answer(request, failure.value)
            self._log.failure("{path}", failure, path=printable(request.path.decode("latin-1")))
            payload = {"success": False, "error": "see the gateway's log", "code": "internal-error"}
            return json_answer(request, payload, status=500)

        def send(body: bytes) -> None:
            request.write(body)
            request.finish()

        def gone(_: Failure) -> None:
            answer.addErrback(lambda failure: failure.trap(CancelledError) and None)
            answer.cancel()

        finished = request.notifyFinish()
        finished.addErrback(gone)
        answer.addErrback(lambda f: f if f.check(CancelledError) else explain(f))
        answer.addCallback(send)
