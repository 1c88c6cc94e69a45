"""Who comes in: everything about who asks is decided here, before any upgrade, ping or banner."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.server import Request

from portofcall.access.authenticator import ANYBODY, Authenticator
from portofcall.access.client_address import client_address, client_key
from portofcall.access.origin import judge_host, judge_origin
from portofcall.errors import Draining, InvalidHeader, Unauthorized, printable
from portofcall.limits.admission import Admission, Lease
from portofcall.target import Network, Target

#: How long clients are told to wait while the gateway shuts down, in seconds.
_RETRY_AFTER_DRAINING = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRules:
    """What the operator said of who may ask.

    Attributes:
        origins: the origins of pages that may ask besides the gateway's own, as `access.parse_origin` writes
            them.
        trusted: the networks of proxies whose X-Forwarded-For is believed.
    """

    origins: frozenset[str] = field(default_factory=frozenset)
    trusted: Sequence[Network] = ()


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that was let in.

    Attributes:
        client: what its client is counted as.
        peer: its client's address, and the subject that proved itself, for the log.
        lease: the client's place. Release it when the request, or its tunnel, is over.
    """

    client: str
    peer: str
    lease: Lease


class Gatekeeper:
    """Lets requests in, or says why not.

    In this order: is the gateway open; are the headers sound; is it a page that may ask; has the client a
    place left; does it prove who it is.

    Args:
        rules: what the operator said.
        authenticator: authenticates clients.
        admission: counts clients.

    Attributes:
        draining: set while the gateway shuts down; nobody comes in any more.
    """

    def __init__(self, rules: AccessRules, authenticator: Authenticator, admission: Admission) -> None:
        self.draining = False
        self._rules = rules
        self._authenticator = authenticator
        self._admission = admission

    async def admit(self, request: Request, target: Target | None) -> Admitted:
        """Let a request in.

        Args:
            request: as it came.
            target: where it wants to go, for tickets that are good for one target only; None if it does not
                name one that could be dialled.

        Raises:
            Draining: the gateway is shutting down.
            InvalidHeader: a header is not what it must be.
            OriginRefused: it comes from somebody else's page.
            TooManyRequests: there are enough of this client, or of all.
            Unauthorized: it did not prove who asks.
        """
        if self.draining:
            raise Draining("the gateway is shutting down", retry_after_seconds=_RETRY_AFTER_DRAINING)
        headers = request.requestHeaders
        demand_plain_headers(request)
        origins, hosts = headers.getRawHeaders(b"origin", []), headers.getRawHeaders(b"host", [])
        scheme = "https" if request.isSecure() else None
        judge_origin(origins, hosts, scheme=scheme, allowed=self._rules.origins)
        if origins:
            local = request.getHost()
            judge_host(
                hosts,
                local=getattr(local, "host", None),
                port=getattr(local, "port", None),
                secure=request.isSecure(),
                allowed=self._rules.origins,
            )
        peer, client = self._who(request)
        lease = self._admission.enter_client(client)
        try:
            subject = await self._authenticator.check(
                authorization=headers.getRawHeaders(b"authorization", []),
                tickets=cast("dict[bytes, list[bytes]]", request.args).get(b"ticket", []),
                client=client,
                target=target,
            )
        except BaseException as problem:
            lease.release()
            if isinstance(problem, Unauthorized):
                problem.headers["WWW-Authenticate"] = self._authenticator.challenge
            raise
        return Admitted(client, peer if subject == ANYBODY else f"{subject}@{peer}", lease)

    def _who(self, request: Request) -> tuple[str, str]:
        """Name the client, for the log and for the counts."""
        peer = request.getClientAddress()
        host = peer.host if isinstance(peer, IPv4Address | IPv6Address) else None
        forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for", [])
        address = client_address(host, forwarded, self._rules.trusted)
        if address is None:
            return "local", client_key(None)
        if isinstance(peer, IPv4Address | IPv6Address) and str(address) == host:
            return str(Target(host, peer.port)), client_key(address)
        return str(address), client_key(address)


def demand_plain_headers(request: Request) -> None:
    """Refuse header values with control or non-ASCII bytes.

    Autobahn splits headers where `str.splitlines` does, so such bytes would forge header lines.

    Raises:
        InvalidHeader: the sentence names the header.
    """
    for name, values in request.requestHeaders.getAllRawHeaders():
        for value in values:
            if not value.isascii() or not value.replace(b"\t", b"").decode("ascii").isprintable():
                readable = printable(name.decode("latin-1"))
                raise InvalidHeader(f"the header {readable} must hold visible ASCII characters only")
