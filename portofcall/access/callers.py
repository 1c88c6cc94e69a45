"""The id of each request, and its client: the address behind trusted proxies."""

import re
import secrets
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress
from twisted.web.server import Request

from portofcall.access.client_address import client_address, client_key, is_trusted
from portofcall.events import Caller
from portofcall.target import Network, Wanted

#: The letters of an id's random part: those of base32 (RFC 4648 section 6).
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
_PREFIX_LETTERS: Final = 6
#: An id of a trusted proxy that is kept.
_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
#: W3C Trace Context §3.2: version, trace, span and flags; ff is no version, and neither id may be all zeros.
#: Later versions than 00 may have more behind that.
_TRACE_PARENT: Final = re.compile(
    rb"(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?", re.DOTALL
)
_TRACE_PARENT_BYTES: Final = 55
#: The attributes of a request that keep its caller and its target.
_KEPT: Final = "portofcall_caller"
_TARGET: Final = "portofcall_target"


class Callers:
    """Identifies the client of each request, once, and gives each request an id.

    An id is a prefix that is random for each process, and a number: unique, and cheap to make. One that a
    trusted proxy sends as X-Request-Id is kept instead, if it has 1 to 64 letters, digits, ``.``, ``_`` and
    ``-``.

    Args:
        trusted: the networks of trusted proxies.
        monotonic: a clock in seconds that never jumps.
    """

    def __init__(self, trusted: Sequence[Network], *, monotonic: Callable[[], float]) -> None:
        self._trusted = trusted
        self._monotonic = monotonic
        self._prefix = "".join(secrets.choice(_LETTERS) for _ in range(_PREFIX_LETTERS))
        self._numbers = count(1)

    def identify(self, request: Request) -> Caller:
        """Return the caller of a request whose head is complete; nothing of it has to be checked yet."""
        known = known_caller(request)
        if known is None:
            known = self._identify(request)
            setattr(request, _KEPT, known)
        return known

    def authenticated(self, request: Request, subject: str) -> Caller:
        """Note who the caller of a request is; return it with its subject.

        Args:
            request: has been authenticated.
            subject: safe to log.
        """
        known = self.identify(request)._replace(subject=subject)
        setattr(request, _KEPT, known)
        return known

    def of_connection(self, peer: IAddress | None) -> Caller:
        """Return the caller for something that is refused before there is a request.

        Args:
            peer: where the connection comes from.
        """
        direct = client_address(host_of(peer), (), ())
        port = peer.port if isinstance(peer, IPv4Address | IPv6Address) else None
        return Caller(self._new_id(), self._monotonic(), client_key(direct), _shown(direct), port)

    def _identify(self, request: Request) -> Caller:
        peer = request.getClientAddress()
        direct = client_address(host_of(peer), (), ())
        get = request.requestHeaders.getRawHeaders
        address, request_id = direct, b""
        if self._trusted and is_trusted(direct, self._trusted):
            address = client_address(host_of(peer), get(b"x-forwarded-for", []), self._trusted)
            request_id = _only(get(b"x-request-id", []), _ID)
        port = peer.port if address == direct and isinstance(peer, IPv4Address | IPv6Address) else None
        return Caller(
            request_id.decode() or self._new_id(),
            self._monotonic(),
            client_key(address),
            _shown(address),
            port,
            proxy="" if address == direct else _shown(direct),
            trace_parent=_only(get(b"traceparent", []), _TRACE_PARENT)[:_TRACE_PARENT_BYTES].decode(),
        )

    def _new_id(self) -> str:
        return f"{self._prefix}-{next(self._numbers):x}"


def known_caller(request: Request) -> Caller | None:
    """Return the caller of a request that has been identified; None for any other."""
    return getattr(request, _KEPT, None)


def note_target(request: Request, target: Wanted | None) -> None:
    """Note what a request asks for, for the log, if it is refused."""
    setattr(request, _TARGET, target)


def known_target(request: Request) -> str:
    """Return the target that was noted; empty if none was."""
    return str(getattr(request, _TARGET, None) or "")


def host_of(peer: IAddress | None) -> str | None:
    """Return the host of an address; None for a UNIX socket."""
    return peer.host if isinstance(peer, IPv4Address | IPv6Address) else None


def _shown(address: object) -> str:
    return "local" if address is None else str(address)


def _only(values: Sequence[bytes], pattern: re.Pattern[bytes]) -> bytes:
    """Return the value of a header that is given once and matches; empty otherwise."""
    return values[0] if len(values) == 1 and pattern.fullmatch(values[0]) else b""
