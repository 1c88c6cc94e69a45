"""Admission of requests: origin, address and authentication, before any upgrade, ping or banner."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, TypeVar

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.web.server import Request

from portofcall.access.authenticator import ANONYMOUS_SUBJECT, Authenticator
from portofcall.access.bearer import bearer_tickets
from portofcall.access.callers import Callers, host_of, note_target
from portofcall.access.client_address import client_address, is_trusted, parse_network
from portofcall.access.client_certificate import certificate_subject
from portofcall.access.origin import judge_host, judge_origin, parse_origin
from portofcall.errors import Draining, InvalidHeader, TooManyRequests, Unauthorized, printable
from portofcall.events import Caller
from portofcall.limits.admission import Admission, Lease
from portofcall.target import Network, Wanted

_T = TypeVar("_T")

#: Retry-After while the gateway shuts down, in seconds.
_RETRY_AFTER_DRAINING = 5
#: Matches a header value of visible ASCII characters, spaces and tabs.
_VISIBLE: Final = re.compile(rb"[\t -~]*").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """The operator's rules about pages and proxies. Make them of text with `parse`.

    Attributes:
        origins: the allowed origins in addition to the gateway's own, as `parse_origin` returns them.
        trusted: the networks of proxies whose X-Forwarded-For is trusted.
        any_origin: whether the pages of every origin are allowed, and neither Origin nor Host is judged.
    """

    origins: frozenset[str] = field(default_factory=frozenset)
    trusted: Sequence[Network] = ()
    any_origin: bool = False

    @classmethod
    def parse(cls, *, origins: Iterable[str] = (), trusted: Iterable[str] = ()) -> "AccessRules":
        """Parse the rules.

        Args:
            origins: allowed origins such as ``https://pages.example``.
            trusted: addresses or blocks of proxies, such as ``10.0.0.0/8``.

        Raises:
            ValueError: the message names the argument, what was expected, and the text.
            TypeError: one string instead of a collection of them.
        """
        return cls(
            origins=frozenset(_parse_all("origins", origins, parse_origin)),
            trusted=tuple(_parse_all("trusted", trusted, parse_network)),
        )


def _parse_all(name: str, texts: Iterable[str], parse: Callable[[str], _T]) -> Iterator[_T]:
    if isinstance(texts, str):
        raise TypeError(f"{name}: expected a collection, got one string")
    for text in texts:
        try:
            yield parse(text)
        except ValueError as problem:
            raise ValueError(f"{name}: {problem}, got '{printable(text)}'") from None


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that was admitted.

    Attributes:
        caller: the request and its client, with the authenticated subject.
        lease: the client's place. Release it when the request, or its tunnel, is over.
        session_seconds: how long from now its tunnel may live, by its ticket; None means no limit.
    """

    caller: Caller
    lease: Lease
    session_seconds: float | None = None


class Gatekeeper:
    """Admits requests, or raises the reason why not.

    It checks in this order: the gateway is not shutting down; the headers are valid; the origin is allowed;
    the client is within its limits; the client is authenticated.

    Args:
        rules: about origins and proxies.
        authenticator: authenticates clients.
        admission: counts clients.
        callers: identifies them.

    Attributes:
        draining: set while the gateway shuts down; no request is admitted any more.
    """

    _log = Logger()

    def __init__(
        self, rules: AccessRules, authenticator: Authenticator, admission: Admission, callers: Callers
    ) -> None:
        self.draining = False
        self._warned = False
        self._rules = rules
        self._authenticator = authenticator
        self._admission = admission
        self._callers = callers

    def count(self, request: Request) -> None:
        """Count a request of any kind, whether it is going to be admitted or not.

        Args:
            request: with its headers; nothing of it is checked yet.

        Raises:
            TooManyRequests: the client sends requests too fast.
        """
        self._count(self._callers.identify(request))

    def count_handshake(self, peer: IAddress) -> None:
        """Count a TLS handshake as a request, before it begins: it takes more time than most of them.

        The handshakes of a trusted proxy don't count: they are for many clients, whose requests do.

        Args:
            peer: where the connection comes from.

        Raises:
            TooManyRequests: the client sends requests, or opens TLS connections, too fast.
        """
        if not is_trusted(client_address(host_of(peer), (), ()), self._rules.trusted):
            self._count(self._callers.of_connection(peer))

    def _count(self, caller: Caller) -> None:
        try:
            self._admission.count_request(caller.key)
        except TooManyRequests:
            if not self._warned and _is_on_this_host(caller):
                self._warned = True
                self._log.warn(
                    "{peer} sends too many requests; if it is a proxy on this host, name it with "
                    "--trust-forwarded, so that each of its clients is counted by itself",
                    peer=str(caller),
                )
            raise

    async def admit(
        self,
        request: Request,
        target: Wanted | None,
        *,
        tickets: Sequence[bytes] = (),
        judge_host_always: bool = False,
    ) -> Admitted:
        """Admit a request.

        Args:
            request: any request, unchecked.
            target: the requested target, for tickets that are good for one target only; None if the request
                has no valid one.
            tickets: the tickets in its query, in addition to those in its headers.
            judge_host_always: judge Host without an Origin too, as in a GET request that a page may read.

        Raises:
            Draining: the gateway is shutting down.
            InvalidHeader: a header is malformed.
            OriginRefused: the origin is not allowed.
            TooManyRequests: this client, or all clients together, are at their limit.
            Unauthorized: the client is not authenticated.
        """
        note_target(request, target)
        self.demand_service()
        headers = plain_headers(request)
        if not self._rules.any_origin:
            self._judge_page(request, headers, judge_host_always=judge_host_always)
        caller = self._callers.identify(request)
        lease = self._admission.enter_client(caller.key)
        authorization = headers.get(b"Authorization", ())
        protocols = headers.get(b"Sec-Websocket-Protocol", ())
        try:
            subject, session_seconds = await self._authenticator.check(
                authorization=authorization,
                tickets=(*tickets, *bearer_tickets(authorization, protocols)),
                client=caller.key,
                target=target,
            )
            if subject == ANONYMOUS_SUBJECT:
                subject = caller.subject or certificate_subject(request.channel.transport) or ""
            if subject:
                caller = self._callers.authenticated(request, subject)
            # A checker may have taken its time.
            self.demand_service()
        except BaseException as problem:
            lease.release()
            if isinstance(problem, Unauthorized):
                problem.headers["WWW-Authenticate"] = self._authenticator.challenge
            raise
        return Admitted(caller, lease, session_seconds)

    def _judge_page(
        self, request: Request, headers: Mapping[bytes, Sequence[bytes]], *, judge_host_always: bool
    ) -> None:
        origins, hosts = headers.get(b"Origin", ()), headers.get(b"Host", ())
        scheme = "https" if request.isSecure() else None
        judge_origin(origins, hosts, scheme=scheme, allowed=self._rules.origins)
        if origins or judge_host_always:
            local = request.getHost()
            judge_host(
                hosts,
                local=getattr(local, "host", None),
                port=getattr(local, "port", None),
                secure=request.isSecure(),
                allowed=self._rules.origins,
            )

    def demand_service(self) -> None:
        """Check that the gateway is not shutting down.

        Raises:
            Draining: it is.
        """
        if self.draining:
            raise Draining("the gateway is shutting down", retry_after_seconds=_RETRY_AFTER_DRAINING)


def _is_on_this_host(caller: Caller) -> bool:
    return caller.address == "local" or ip_address(caller.address).is_loopback


def plain_headers(request: Request) -> Mapping[bytes, Sequence[bytes]]:
    """Return the values of each header, by its name in Twisted's spelling, which is quicker to look up.

    Refuse values with control or non-ASCII bytes.

    Autobahn splits headers where `str.splitlines` does, so such bytes would forge header lines.

    Raises:
        InvalidHeader: the sentence names the header.
    """
    headers = dict(request.requestHeaders.getAllRawHeaders())
    for name, values in headers.items():
        for value in values:
            if not _VISIBLE(value):
                readable = printable(name.decode("latin-1"))
                raise InvalidHeader(f"the header {readable} must hold visible ASCII characters only")
    return headers
