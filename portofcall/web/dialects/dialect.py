"""What a dialect decides: how a request names its target, and which failures it gets as an HTTP status."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from twisted.web.server import Request

from portofcall.egress.named_target import Targets
from portofcall.egress.token_file import MAX_TOKEN_CHARACTERS
from portofcall.errors import InvalidTarget, TargetError
from portofcall.target import Token, Wanted

#: The parameters of a query, as `portofcall.web.request_head.parse_query` returns them.
Query = Mapping[bytes, Sequence[bytes]]


class Asked(NamedTuple):
    """What a request asks for.

    Attributes:
        target: where to; or why there is no such target, which is reported like the failure of a dial, once
            the client is authenticated.
        tickets: those of the path and the query.
    """

    target: Wanted | TargetError
    tickets: Sequence[bytes] = ()


class Dialect(Protocol):
    """How one kind of client asks for a tunnel.

    Attributes:
        refusals: the failures that the client gets as an HTTP status instead of the 101 response. If there
            are any, the target is dialled before that response; otherwise after it, so that the tunnel is
            open one round trip earlier. Any other failure is a Close frame.
    """

    refusals: tuple[type[TargetError], ...]

    def takes(self, path: Sequence[bytes]) -> bool:
        """Whether there is something at a path below the dialect's own, given in segments."""
        ...

    def read(self, request: Request, targets: Targets) -> Asked:
        """Read what a request asks for.

        Args:
            request: an upgrade; nothing else of it has been checked.
            targets: the targets that the operator has named, and the default.
        """
        ...


def once(query: Query, name: str) -> str:
    """Return the value of a parameter that is given once.

    Raises:
        InvalidTarget: it is missing, repeated, or not UTF-8.
    """
    values = query.get(name.encode(), ())
    if len(values) != 1:
        raise InvalidTarget(f"{name} must be given once in the query")
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        raise InvalidTarget(f"{name} must be UTF-8") from None


def read_token(query: Query) -> Token:
    """Return the token of a query.

    Raises:
        InvalidTarget: it is missing, repeated, or longer than any that could be found.
    """
    text = once(query, "token")
    if not 1 <= len(text) <= MAX_TOKEN_CHARACTERS:
        raise InvalidTarget(f"token must have 1 to {MAX_TOKEN_CHARACTERS} characters")
    return Token(text)
