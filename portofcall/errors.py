"""The errors of a request, as one exception tree.

::

    GatewayError
     ├─ RequestError               about the request or the client; an HTTP status, before the upgrade
     │   ├─ InvalidField             invalid-field      400
     │   ├─ InvalidRequest           invalid-request    400
     │   ├─ InvalidHeader            invalid-header     400
     │   ├─ Unauthorized             unauthorized       401
     │   ├─ CertificateRequired      certificate-required 403
     │   ├─ OriginRefused            origin-refused     403
     │   ├─ NotFound                 not-found          404
     │   ├─ MethodNotAllowed         method-not-allowed 405
     │   ├─ RequestTimedOut          request-timeout    408
     │   ├─ BodyTooLarge             body-too-large     413
     │   ├─ HeadTooLarge             head-too-large     431
     │   ├─ UpgradeRequired          upgrade-required   426
     │   ├─ TooManyRequests          too-many-requests  429
     │   ├─ Busy                     busy               503
     │   ├─ Draining                 draining           503
     │   └─ InternalError            internal-error     500
     └─ TargetError                about the target; an HTTP status, or a Close code after the upgrade
         ├─ InvalidTarget            invalid-target     400  4400
         ├─ Blocked                  blocked            403  4403
         ├─ TargetBusy               target-busy        429  4429
         ├─ UnknownTarget            unknown-target     404  4404
         │   └─ UnknownToken           unknown-token      404  4404
         ├─ NameNotFound             name-not-found     502  4404
         ├─ NameTimedOut             dns-timeout        504  4504
         ├─ Refused                  refused            502  4502
         ├─ Unreachable              unreachable        502  4502
         ├─ TLSFailed                tls-failed         502  4502
         ├─ ConnectTimedOut          connect-timeout    504  4504
         ├─ BannerTimedOut           banner-timeout     504  4504
         ├─ NotSSH                   not-ssh            502  4502
         └─ ClosedEarly              closed-early       502  4502

The message of an error is one sentence for people; its slug is for programs and never changes.
"""

import codecs
from typing import ClassVar, Self

# Load the codec now; importing it later needs a file descriptor, and there may be none left.
codecs.lookup("unicode_escape")

#: The longest reason that fits in a Close frame: 125 bytes of control payload less the code (RFC 6455 §5.5).
MAX_REASON_BYTES = 123


def printable(text: str, most: int = 100) -> str:
    """Make text from outside safe for a log line, a page or an error message.

    Args:
        text: anything.
        most: the longest result, in characters.

    Returns:
        ASCII without control characters: those and non-ASCII ones become backslash escapes. Text that was
        cut ends in ``...``.
    """
    if len(text) > most * 2:
        text = text[: most * 2]
    escaped = text.encode("unicode_escape").decode("ascii")
    return escaped if len(escaped) <= most else escaped[: most - 3] + "..."


class GatewayError(Exception):
    """An error that is reported to the client.

    Attributes:
        slug: a stable name for programs.
        http_status: the status of the HTTP response.
        sentence: what happened, for people.
        headers: extra headers for the HTTP response.
        retry_after_seconds: when to try again, for the Retry-After header (RFC 9110 §10.2.3); None if that is
            unknown.
    """

    slug: ClassVar[str]
    http_status: int

    def __init_subclass__(cls, *, slug: str = "", http_status: int = 500) -> None:
        """Set the attributes of a leaf."""
        super().__init_subclass__()
        cls.slug, cls.http_status = slug, http_status

    def __init__(self, sentence: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.headers: dict[str, str] = {}
        self.retry_after_seconds = retry_after_seconds


class RequestError(GatewayError):
    """The request is refused, for any target. Reported over HTTP, before any upgrade."""


class InvalidField(RequestError, slug="invalid-field", http_status=400):
    """A field of the request is missing or not valid; the sentence names it."""


class InvalidRequest(RequestError, slug="invalid-request", http_status=400):
    """The request line, the query or the coding of the body is not valid HTTP; the sentence names it."""


class InvalidHeader(RequestError, slug="invalid-header", http_status=400):
    """A header is not valid; the sentence names it."""


class Unauthorized(RequestError, slug="unauthorized", http_status=401):
    """Authentication is missing or failed. The response needs a challenge (RFC 9110 §15.5.2).

    Attributes:
        attempted: ``password``, ``ticket``, or ``none`` for a request without credentials.
        user: whose password was refused, for the log; empty if that is not known.
    """

    attempted = "none"
    user = ""


class CertificateRequired(RequestError, slug="certificate-required", http_status=403):
    """The client has no certificate, and the listener requires one.

    Attributes:
        attempted: as of `Unauthorized`.
        user: as of `Unauthorized`.
    """

    attempted = "certificate"
    user = ""


class OriginRefused(RequestError, slug="origin-refused", http_status=403):
    """The origin of the page is not allowed to use this gateway (RFC 6455 §10.2)."""


class MethodNotAllowed(RequestError, slug="method-not-allowed", http_status=405):
    """The resource does not support this method."""


class RequestTimedOut(RequestError, slug="request-timeout", http_status=408):
    """The request was not complete in time."""


class BodyTooLarge(RequestError, slug="body-too-large", http_status=413):
    """The request's body is larger than any valid request needs."""

    @classmethod
    def over(cls, most: int) -> Self:
        """Make the error, with the number of bytes that are allowed."""
        return cls(f"the body must have at most {most} bytes")


class HeadTooLarge(RequestError, slug="head-too-large", http_status=431):
    """The request's head is larger than any valid request needs (RFC 6585 §5)."""


class UpgradeRequired(RequestError, slug="upgrade-required", http_status=426):
    """The resource is for WebSocket only (RFC 9110 §15.5.22)."""


class TooManyRequests(RequestError, slug="too-many-requests", http_status=429):
    """The client sends requests too fast, or has too many connections open (RFC 6585 §4)."""


class Draining(RequestError, slug="draining", http_status=503):
    """The gateway is shutting down and accepts no new clients."""


class Busy(RequestError, slug="busy", http_status=503):
    """The gateway does this for too many clients at the moment."""


class InternalError(RequestError, slug="internal-error", http_status=500):
    """Something failed that should not; only the log has the details."""


class NotFound(RequestError, slug="not-found", http_status=404):
    """There is no such resource."""


class TargetError(GatewayError):
    """The target can't be reached, or is not allowed.

    Attributes:
        close_code: the code of the Close frame, over WebSocket (RFC 6455 §7.4.2, private use).
    """

    close_code: ClassVar[int]

    def __init_subclass__(cls, *, slug: str, http_status: int, close_code: int) -> None:
        """Set the attributes of a leaf."""
        super().__init_subclass__(slug=slug, http_status=http_status)
        cls.close_code = close_code

    @property
    def close_reason(self) -> str:
        """``slug: sentence``, cut to the size of a Close frame."""
        reason = f"{self.slug}: {self.sentence}".encode()
        return reason[:MAX_REASON_BYTES].decode("utf-8", "ignore")


class InvalidTarget(TargetError, slug="invalid-target", http_status=400, close_code=4400):
    """Host, port or target is not valid; the sentence names the field."""


class Blocked(TargetError, slug="blocked", http_status=403, close_code=4403):
    """The policy does not allow the target."""


class TargetBusy(TargetError, slug="target-busy", http_status=429, close_code=4429):
    """The target has too many connections, or gets new ones too fast."""


class UnknownTarget(TargetError, slug="unknown-target", http_status=404, close_code=4404):
    """The operator has given this name to no target."""


class UnknownToken(UnknownTarget, slug="unknown-token", http_status=404, close_code=4404):
    """No target has this token, which is a secret: it counts as a failed login."""


class NameNotFound(TargetError, slug="name-not-found", http_status=502, close_code=4404):
    """The host name has no address."""


class NameTimedOut(TargetError, slug="dns-timeout", http_status=504, close_code=4504):
    """Resolving the host name took too long."""


class Refused(TargetError, slug="refused", http_status=502, close_code=4502):
    """No service listens on that port."""


class Unreachable(TargetError, slug="unreachable", http_status=502, close_code=4502):
    """The network has no route to that address."""


class TLSFailed(TargetError, slug="tls-failed", http_status=502, close_code=4502):
    """The TLS handshake with the target failed, or its certificate is not valid for it."""


class ConnectTimedOut(TargetError, slug="connect-timeout", http_status=504, close_code=4504):
    """The target did not answer the TCP handshake in time."""


class BannerTimedOut(TargetError, slug="banner-timeout", http_status=504, close_code=4504):
    """The target accepted the connection but did not identify itself in time."""


class NotSSH(TargetError, slug="not-ssh", http_status=502, close_code=4502):
    """The target's protocol is not SSH."""


class ClosedEarly(TargetError, slug="closed-early", http_status=502, close_code=4502):
    """The target closed the connection before it identified itself."""
