"""A leaf of the API: one coroutine for each method, and every error in the form of all errors."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.errors import GatewayError, InternalError, MethodNotAllowed, NotFound, RequestError, printable
from portofcall.web.records import Records, shown_request
from portofcall.web.responses import error_response

Work = Coroutine[Deferred[Any], Any, bytes | None]
Handler = Callable[[Request], Work]


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
        _, path = shown_request(request.method, request.uri)
        self._log.failure("{path}", failure, path=path)
        return self.respond_error(request, InternalError("see the gateway's log"))


def _send(body: bytes | None, request: Request) -> None:
    if body is not None:
        request.write(body)
        request.finish()
