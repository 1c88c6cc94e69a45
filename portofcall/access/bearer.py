"""Tickets in headers: Authorization (RFC 6750 §2.1), or a subprotocol, for browsers."""

from collections.abc import Iterator, Sequence
from typing import Final

#: The challenge of a 401 where only tickets are accepted (RFC 6750 §3). Browsers show no dialog for it.
BEARER_CHALLENGE: Final = 'Bearer realm="portofcall"'
#: A page offers ``portofcall.bearer.TICKET`` beside the subprotocol that it wants. It is never chosen.
BEARER_SUBPROTOCOL: Final = b"portofcall.bearer."

_SCHEME: Final = b"bearer "


def bearer_tickets(authorization: Sequence[bytes], protocols: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the tickets of a request's headers. They may be anything; nothing is verified.

    Args:
        authorization: the values of the Authorization header.
        protocols: those of Sec-WebSocket-Protocol, each a list of names.
    """
    for value in authorization:
        if value[: len(_SCHEME)].lower() == _SCHEME:
            yield value[len(_SCHEME) :].strip()
    for value in protocols:
        for name in value.split(b","):
            if name.strip().startswith(BEARER_SUBPROTOCOL):
                yield name.strip().removeprefix(BEARER_SUBPROTOCOL)
