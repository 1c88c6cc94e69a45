"""Who may use the admin listener: programs of the operator, and no page."""

from twisted.web.server import Request

from portofcall.access.gatekeeper import Admitted, Gatekeeper
from portofcall.access.origin import judge_host
from portofcall.errors import NotFound, OriginRefused
from portofcall.web.records import Records

#: Sec-Fetch-Site of requests that a page of another site has caused (W3C Fetch Metadata).
_ELSEWHERE = ([b"cross-site"], [b"same-site"])


class AdminGate:
    """Admits requests, or raises the reason why not.

    A browser on the operator's machine reaches a loopback listener as well as the operator does. So no
    request caused by a page is admitted: none with an Origin, none from another site, and none that reached
    loopback by a name other than this machine's (DNS rebinding).

    Args:
        gatekeeper: the listener's own: it counts the operator's requests, and authenticates if there are
            credentials for that.
        records: reports the outcome of requests.

    Attributes:
        records: as given, for the resources behind the gate.
    """

    def __init__(self, gatekeeper: Gatekeeper, records: Records) -> None:
        self.records = records
        self._gatekeeper = gatekeeper

    def count(self, request: Request) -> None:
        """Count a request when its head is complete, and refuse it at once if it reaches no resource.

        Args:
            request: any request but a health check, unchecked.

        Raises:
            TooManyRequests: there are too many requests.
            OriginRefused: a page has caused the request.
            InvalidHeader: Host is missing.
            NotFound: it is for the whole server, which Twisted would respond to by itself.
        """
        # First, or else a page in the operator's browser could use up the operator's rate.
        self.judge(request)
        self._gatekeeper.count(request)
        if request.uri == b"*":
            raise NotFound("there is nothing here")

    def judge(self, request: Request) -> None:
        """Refuse requests caused by a page; the only check of health checks.

        Args:
            request: any request, unchecked.

        Raises:
            OriginRefused: a page has caused the request.
            InvalidHeader: Host is missing.
        """
        headers, local = request.requestHeaders, request.getHost()
        if headers.hasHeader(b"origin") or headers.getRawHeaders(b"sec-fetch-site", []) in _ELSEWHERE:
            raise OriginRefused("pages may not use the admin listener")
        try:
            judge_host(
                headers.getRawHeaders(b"host", []),
                local=getattr(local, "host", None),
                port=getattr(local, "port", None),
                secure=request.isSecure(),
                allowed=frozenset(),
            )
        except OriginRefused:
            raise OriginRefused("the name of the admin listener is localhost, or its address") from None

    async def admit(self, request: Request) -> Admitted:
        """Admit a request.

        Args:
            request: any request, unchecked.

        Returns:
            The admitted request; release its lease once it has been responded to.

        Raises:
            OriginRefused: a page has caused the request.
            InvalidHeader: a header is malformed, or Host is missing.
            TooManyRequests: there are too many requests, or failed authentications.
            Unauthorized: the client is not authenticated.
        """
        self.judge(request)
        return await self._gatekeeper.admit(request, None)
