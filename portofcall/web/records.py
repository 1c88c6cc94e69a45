"""What became of each request, reported once."""

import re
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.web.server import Request

from portofcall.access.callers import Callers, known_target
from portofcall.egress.dial_trace import DialTrace
from portofcall.errors import CertificateRequired, GatewayError, TargetError, Unauthorized, printable
from portofcall.events import Caller, Observer, Probe, ProbeEnded, Refused, RequestServed, Side, Stage
from portofcall.relay.causes import CLIENT_LEFT, INTERNAL_ERROR, Cause, dial_failed

#: The attribute of a request that says that there is a record of it.
_RECORDED: Final = "portofcall_recorded"
_MOST_PATH, _MOST_QUERY, _MOST_METHOD = 300, 200, 20
#: The parameters of queries that are no secrets.
_SHOWN_PARAMETERS: Final = frozenset(
    {"address", "host", "port", "target", "timeout", "format", "client", "subject"}
)
#: What comes before the ticket of a path in Neon's dialect.
_TICKET_IN_PATH: Final = re.compile(r"^(/+(?:portofcall/+)?v1/+).+", re.DOTALL)
_SEPARATORS: Final = re.compile("[&;]")
#: A user and a password in a target in absolute form (RFC 3986 section 3.2.1).
_LOGIN: Final = re.compile(r"^([^/]*//)[^/]*@")


class Records:
    """Reports the outcome of requests: each is refused, or is a probe or a tunnel, or is served.

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

    def authenticated(self, request: Request, subject: str) -> None:
        """Note the subject of a request; one that its client proves later takes its place."""
        self._callers.authenticated(request, subject)

    def refused(self, request: Request, error: GatewayError) -> None:
        """Report a refusal, unless there is a record of the request already."""
        if not getattr(request, _RECORDED, False):
            setattr(request, _RECORDED, True)
            self._refused(self.caller(request), error, request)

    def is_tunnel(self, request: Request) -> None:
        """Note that what becomes of a request is the end of a tunnel, which is reported as such."""
        setattr(request, _RECORDED, True)

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
        self._refused(caller, error, request)
        return caller

    def connection_failed(self, peer: IAddress | None, slug: str, sentence: str) -> None:
        """Report a connection whose TLS failed.

        Args:
            peer: where the connection comes from.
            slug: why; one of a closed set.
            sentence: the same for people, safe to log.
        """
        self._report(Refused(self._callers.of_connection(peer), slug, sentence, stage=Stage.TLS))

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

    def served(self, request: Request, result: str = "") -> None:
        """Report a response, unless there is a record of the request already.

        Args:
            request: has its response.
            result: see `portofcall.events.RequestServed`.
        """
        if not getattr(request, _RECORDED, False):
            setattr(request, _RECORDED, True)
            caller, (method, path) = self.caller(request), shown_request(request.method, request.uri)
            self._report(RequestServed(caller, method, path, int(request.code), request.sentLength, result))

    def _refused(self, caller: Caller, error: GatewayError, request: Request | None) -> None:
        event = Refused(caller, error.slug, error.sentence, error.http_status)
        if request is not None:
            event = event._replace(
                request=" ".join(shown_request(request.method, request.uri)),
                target=known_target(request),
                seconds=self._monotonic() - caller.received_at,
            )
        if isinstance(error, Unauthorized | CertificateRequired):
            event = event._replace(attempted=error.attempted, user=error.user)
        self._report(event)


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
        if isinstance(value, GeneratorExit):
            return  # the gateway itself is gone, and its log with it
        cause, status = Cause("ok", self.outcome, Side.GATEWAY), HTTPStatus.OK.value
        if isinstance(value, TargetError):
            cause, status = dial_failed(value), value.http_status
        elif isinstance(value, CancelledError):
            cause, status = CLIENT_LEFT, 0
        elif value is not None:
            cause, status = INTERNAL_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR.value
        route, stage = self.trace.route(self._target), self.trace.stage
        seconds = self._monotonic() - self._caller.received_at
        self._report(ProbeEnded(self._caller, route, self._probe, *cause, stage, status, seconds))


def shown_request(method: bytes, uri: bytes) -> tuple[str, str]:
    """Return the method and the target of a request, for the log.

    Secrets are left out: a ticket, a user and a password in front of the host, and any query with a parameter
    that the gateway does not know.

    Args:
        method: as the client sent it.
        uri: the same; path and query.
    """
    path, _, query = uri.decode("latin-1").partition("?")
    if "ticket" in unquote(unquote(path)).lower():
        # Escaped once too often, or behind a fragment: still a secret.
        path = "/..."
    path = _TICKET_IN_PATH.sub(r"\1...", unquote(path)) if "%" in path or "/v1/" in path else path
    path = printable(_LOGIN.sub(r"\1...@", path), _MOST_PATH)
    if query:
        names = {unquote(item).partition("=")[0] for item in _SEPARATORS.split(query)}
        is_plain = names <= _SHOWN_PARAMETERS and "ticket" not in unquote(query).lower()
        path += f"?{printable(query, _MOST_QUERY)}" if is_plain else "?..."
    return printable(method.decode("latin-1"), _MOST_METHOD), path
