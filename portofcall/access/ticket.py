"""The claims of a ticket, as one value. `portofcall.access.ticket_key` has the signatures.

::

    aud   "portofcall", or a list with it (RFC 7519 §4.1.3); other audiences are refused
    exp   the time it expires; required
    iat   the time it was issued, nbf the time it becomes valid; optional
    sub   the user, for the log; optional
    jti   the token's ID; required if once is true
    once  true: it is good for one connection
    host  the only host that it is good for, port the only port; optional
    session_exp  the time when a tunnel that it opened ends; optional, as exp is about the opening only
    target  the only target that it is good for, by its name; optional, and never with host or port

Other claims are ignored, as RFC 7519 section 4 requires.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from portofcall.errors import InvalidTarget
from portofcall.target import Target, TargetName, Wanted, parse_host

#: The value of ``aud``.
AUDIENCE = "portofcall"

_MAX_TEXT = 128


def _is_time(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e12  # type: ignore[operator]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_TEXT


def _is_port(value: object) -> bool:
    return type(value) is int and 1 <= value <= 65535


#: A check of each claim, and what it expects.
_CLAIMS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "exp": (_is_time, "a number of seconds since 1970"),
    "session_exp": (_is_time, "a number of seconds since 1970"),
    "iat": (_is_time, "a number of seconds since 1970"),
    "nbf": (_is_time, "a number of seconds since 1970"),
    "sub": (_is_text, f"a text of 1 to {_MAX_TEXT} characters"),
    "jti": (_is_text, f"a text of 1 to {_MAX_TEXT} characters"),
    "once": (lambda value: isinstance(value, bool), "true or false"),
    "host": (lambda value: isinstance(value, str), "a host name or an address"),
    "port": (_is_port, "a whole number from 1 to 65535"),
    "target": (lambda value: isinstance(value, str), "the name of a target"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """The claims of a verified token.

    Attributes:
        expires_at: in seconds since 1970.
        session_ends_at: when its tunnel ends, in seconds since 1970; None if there is no such claim.
        valid_from: in seconds since 1970; 0 if there is no such claim.
        subject: the user; None if there is no such claim.
        ticket_id: the token's ID; None if there is no such claim.
        once: whether it is good for one connection only; then it has a ``ticket_id``.
        host: the only host that it is good for, in the spelling of `Target`; None means any.
        port: the only port that it is good for; None means any.
        target: the only target that it is good for, by its name; None means any. With a host or a port it is
            good for no target with a name.
    """

    expires_at: float
    session_ends_at: float | None = None
    valid_from: float = 0
    subject: str | None = None
    ticket_id: str | None = None
    once: bool = False
    host: str | None = None
    port: int | None = None
    target: TargetName | None = None

    def admits(self, target: Wanted | None) -> bool:
        """Whether it is good for that target. A request without a target needs a ticket without pins."""
        if isinstance(target, Target):
            return (
                self.target is None and self.host in (None, target.host) and self.port in (None, target.port)
            )
        return self.host is None and self.port is None and self.target in (None, target)


def read_claims(claims: Mapping[str, Any]) -> Ticket:
    """Check the types of the claims, and that required ones are there. Times are not compared with the clock.

    Args:
        claims: a JSON object.

    Raises:
        ValueError: the message names the claim and what was expected, without the value.
    """
    audience = claims.get("aud")
    if audience != AUDIENCE and not (isinstance(audience, list) and AUDIENCE in audience):
        raise ValueError(f'aud must be "{AUDIENCE}"')
    for name, (fits, expected) in _CLAIMS.items():
        if name in claims and not fits(claims[name]):
            raise ValueError(f"{name} must be {expected}")
    if "exp" not in claims:
        raise ValueError("exp must be given")
    if claims.get("once") and "jti" not in claims:
        raise ValueError("jti must be given if once is true")
    try:
        host = parse_host(claims["host"]) if "host" in claims else None
    except InvalidTarget:
        raise ValueError("host must be a host name or an address") from None
    try:
        target = TargetName.parse(claims["target"]) if "target" in claims else None
    except InvalidTarget:
        raise ValueError("target must be the name of a target") from None
    if target is not None and ("host" in claims or "port" in claims):
        raise ValueError("target must be given without host and port")
    return Ticket(
        expires_at=claims["exp"],
        session_ends_at=claims.get("session_exp"),
        valid_from=max(claims.get("nbf", 0), claims.get("iat", 0)),
        subject=claims.get("sub"),
        ticket_id=claims.get("jti"),
        once=claims.get("once", False),
        host=host,
        port=claims.get("port"),
        target=target,
    )
