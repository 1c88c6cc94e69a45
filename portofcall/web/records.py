"""What became of each request, reported once."""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.web.server import Request

from portofcall.access.callers import Callers
from portofcall.egress.dial_trace import DialTrace
from portofcall.errors import GatewayError, Unauthorized, printable
from portofcall.events import Caller, Observer, Probe, ProbeEnded, Refused, RequestServed

#: The attribute of a request that says that there is a record of it.
_RECORDED: Final = "portofcall_recorded"
_MOST_PATH, _MOST_QUERY, _MOST_METHOD = 300, 200, 20


class Records:
    """Reports what became of requests: each is refused, or is a probe or a tunnel, or is served.

    Args:
        callers: identifies the clients.
        report: is called with each event.
        monotonic: a clock in seconds that never jumps.
    """

    def __init__(self, callers: Callers, *, report: Observer, monotonic: Callable[[], float]) -> None:
        self._callers = callers
        self._report = report
        self._monotonic = monotonic

    def caller(self, request: Request) -> Caller:
        """Return the caller of a request."""
        return self._callers.identify(request)

    def refused(self, request: Request, error: GatewayError) -> None:
        """Report a refusal, unless there is a record of the request already."""
        if not getattr(request, _RECORDED, False):
            setattr(request, _RECORDED, True)
            method, path = shown_request(request.method, request.uri)
            self._refused(self.caller(request), error, f"{method} {path}")

    def refused_early(self, peer: IAddress | None, request: Request | None, error: GatewayError) -> Caller:
        """Report the refusal of a request that is not complete.

        Args:
            peer: where the connection comes from.
            request: None if its headers are not complete either.
            error: why.

        Returns:
            The caller, with the id for the response.
        """
        caller = self._callers.of_connection(peer) if request is None else self.caller(request)
        self._refused(caller, error)
        return caller

    def connection_failed(self, peer: IAddress | None, slug: str, sentence: str) -> None:
        """Report a connection that failed before it could send a request.

        Args:
            peer: where the connection comes from.
            slug: why; one of a closed set.
            sentence: the same for people, safe to log.
        """
        self._report(Refused(self._callers.of_connection(peer), slug, sentence))

    def probe(self, request: Request, caller: Caller, probe: Probe, target: str) -> "ProbeRecord":
        """Return the context in which a probe runs; when it is left, it is reported.

        Args:
            request: for the probe.
            caller: as admitted.
            probe: its kind.
            target: the target, as the log shows it.
        """
        setattr(request, _RECORDED, True)
        return ProbeRecord(caller, probe, target, report=self._report, monotonic=self._monotonic)

    def served(self, request: Request) -> None:
        """Report that the response was sent, unless there is a record of the request already."""
        if not getattr(request, _RECORDED, False):
            method, path = shown_request(request.method, request.uri)
            self._report(
                RequestServed(
                    self._callers.identify(request), method, path, int(request.code), request.sentLength
                )
            )

    def _refused(self, caller: Caller, error: GatewayError, shown: str = "") -> None:
        attempted = user = ""
        if isinstance(error, Unauthorized):
            attempted, user = error.attempted, error.user
        self._report(Refused(caller, error.slug, error.sentence, error.http_status, shown, attempted, user))


class ProbeRecord:
    """A probe that is under way.

    Args:
        caller: the request.
        probe: its kind.
        target: the target, as the log shows it.
        report: is called with its end.
        monotonic: a clock in seconds that never jumps.

    Attributes:
        trace: for the dialer.
        outcome: what was found, for people.
    """

    def __init__(
        self,
        caller: Caller,
        probe: Probe,
        target: str,
        *,
        report: Observer,
        monotonic: Callable[[], float],
    ) -> None:
        self.trace = DialTrace()
        self.outcome = "open"
        self._caller = caller
        self._probe = probe
        self._target = target
        self._report = report
        self._monotonic = monotonic

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        slug, outcome = "ok", self.outcome
        if isinstance(value, GatewayError):
            slug, outcome = value.slug, f"{value.slug}: {value.sentence}"
        elif isinstance(value, CancelledError):
            slug, outcome = "client-lost", "client disconnected before the response"
        elif value is not None:
            slug, outcome = "internal-error", "internal-error: see the gateway's log"
        trace = self.trace
        seconds = self._monotonic() - self._caller.received_at
        self._report(
            ProbeEnded(
                self._caller, trace.route(self._target), self._probe, slug, outcome, trace.stage, seconds
            )
        )


def shown_request(method: bytes, uri: bytes) -> tuple[str, str]:
    """Return the method and the target of a request, for the log.

    A query with a ticket is left out, because that is a secret.

    Args:
        method: as the client sent it.
        uri: the same; path and query.
    """
    path, _, query = uri.decode("latin-1").partition("?")
    if "ticket" in unquote(unquote(path)).lower():
        # Escaped once too often, or behind a fragment: still a secret.
        path = "/..."
    path = printable(path, _MOST_PATH)
    if query:
        path += "?..." if "ticket" in unquote(query).lower() else f"?{printable(query, _MOST_QUERY)}"
    return printable(method.decode("latin-1"), _MOST_METHOD), path
