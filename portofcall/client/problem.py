"""What goes wrong for a client of a gateway: one exception, with its slug and its exit status."""

from enum import IntEnum
from typing import Final

from portofcall.errors import printable

#: The longest sentence that is shown of what a gateway or a proxy sent, in characters.
_MOST_SHOWN: Final = 300
_SLUG_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_MOST_SLUG: Final = 40


class Status(IntEnum):
    """The exit statuses of the client's commands."""

    DONE = 0
    USAGE = 1
    UNREACHABLE = 2
    AUTHENTICATION = 3
    FORBIDDEN = 4
    TARGET = 5
    CUT_OFF = 6
    TRY_LATER = 7
    INTERRUPTED = 130
    #: Standard output was closed by its reader: 128 + SIGPIPE, as in shells.
    UNREAD = 141


class Problem(Exception):
    """Why there is no tunnel, or why it ended early.

    Attributes:
        slug: a stable name for programs: the gateway's own, or one of docs/client.md.
        sentence: what happened, for people: ASCII without control characters.
        status: the exit status of a command.
        retry_after_seconds: when to try again; None if that is unknown.
    """

    def __init__(
        self, slug: str, sentence: str, status: Status, *, retry_after_seconds: int | None = None
    ) -> None:
        if retry_after_seconds is not None:
            sentence = f"{sentence}; try again in {retry_after_seconds} seconds"
        super().__init__(f"{slug}: {sentence}")
        self.slug = slug
        self.sentence = sentence
        self.status = status
        self.retry_after_seconds = retry_after_seconds


def usage(sentence: str) -> Problem:
    """Return the problem of an option or an argument that is not valid."""
    return Problem("usage", sentence, Status.USAGE)


#: The exit status by the code of the gateway's Close frame; `Status.CUT_OFF` for all others.
_BY_CLOSE_CODE: Final = {
    4400: Status.USAGE,
    4403: Status.FORBIDDEN,
    4404: Status.TARGET,
    4429: Status.TRY_LATER,
    4502: Status.TARGET,
    4504: Status.TARGET,
}
#: Codes that end a tunnel well. None: the frame has no code.
_WELL: Final = (None, 1000)
#: What codes without a slug of the gateway's mean (RFC 6455 §7.4.1).
_SLUG_OF_CODE: Final = {
    1001: "going-away",
    1002: "protocol-error",
    1003: "unknown-message",
    1007: "invalid-payload",
    1008: "policy-violation",
    1009: "too-big",
    1011: "internal-error",
}


def of_close_frame(code: int | None, reason: str) -> Problem | None:
    """Return what a Close frame of the gateway means; None if the tunnel has ended well.

    Args:
        code: None if the frame has none.
        reason: ``slug: sentence`` from a gateway; any text from another server.
    """
    if code in _WELL:
        return None
    slug, sentence = _split(reason, default=_SLUG_OF_CODE.get(code or 0, "closed"))
    sentence = sentence or f"the gateway closed the tunnel with code {code}"
    return Problem(slug, sentence, _BY_CLOSE_CODE.get(code or 0, Status.CUT_OFF))


_BY_HTTP_STATUS: Final = {
    401: ("unauthorized", Status.AUTHENTICATION),
    403: ("forbidden", Status.FORBIDDEN),
    429: ("too-many-requests", Status.TRY_LATER),
    503: ("unavailable", Status.TRY_LATER),
}
#: The status by a slug of the JSON API; the HTTP statuses alone do not separate authentication from
#: permission, nor the gateway from the target.
_BY_SLUG: Final = {
    "certificate-required": Status.AUTHENTICATION,
    "invalid-target": Status.USAGE,
    "blocked": Status.FORBIDDEN,
    "unknown-target": Status.TARGET,
    "name-not-found": Status.TARGET,
    "dns-timeout": Status.TARGET,
    "refused": Status.TARGET,
    "unreachable": Status.TARGET,
    "tls-failed": Status.TARGET,
    "connect-timeout": Status.TARGET,
    "banner-timeout": Status.TARGET,
    "not-ssh": Status.TARGET,
    "closed-early": Status.TARGET,
}


def of_response(status: int, *, error: object, code: object, retry_after: str | None) -> Problem:
    """Return what an HTTP response means that is no success.

    Args:
        status: of the response.
        error: the sentence, if the body is a gateway's JSON.
        code: the slug, likewise.
        retry_after: the Retry-After header, in seconds; a date is ignored.
    """
    slug, exit_status = _BY_HTTP_STATUS.get(status, (f"http-{status}", Status.UNREACHABLE))
    sentence = ""
    if isinstance(code, str) and _is_slug(code) and isinstance(error, str):
        slug, sentence = code, printable(error, _MOST_SHOWN)
        exit_status = _BY_SLUG.get(slug, exit_status)
    seconds = int(retry_after) if retry_after and retry_after.isdigit() and len(retry_after) < 7 else None
    return Problem(
        slug,
        sentence or f"the gateway refused with HTTP status {status}",
        exit_status,
        retry_after_seconds=seconds,
    )


def _split(reason: str, *, default: str) -> tuple[str, str]:
    slug, colon, sentence = reason.partition(": ")
    if colon and _is_slug(slug):
        return slug, printable(sentence, _MOST_SHOWN)
    return default, printable(reason, _MOST_SHOWN)


def _is_slug(text: str) -> bool:
    return 0 < len(text) <= _MOST_SLUG and set(text) <= _SLUG_CHARACTERS
