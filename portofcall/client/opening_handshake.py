"""The opening handshake of a client (RFC 6455 §4.1): the request, and the response.

Autobahn's client would not show the body of a refusal, in which a gateway says why.
"""

import base64
from collections.abc import Sequence
from typing import Final

from portofcall.client.http_response import Head
from portofcall.client.problem import Problem, Status
from portofcall.websocket import opening_response

_SWITCHING_PROTOCOLS: Final = 101


def request(
    resource: str, headers: Sequence[tuple[str, str]], *, nonce: bytes, protocols: Sequence[str]
) -> bytes:
    """Return the request of an opening handshake.

    Args:
        resource: path and query, in visible ASCII.
        headers: Host, and those for authentication.
        nonce: 16 random bytes.
        protocols: the subprotocols to offer.
    """
    lines = [
        f"GET {resource} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key(nonce)}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {', '.join(protocols)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def key(nonce: bytes) -> str:
    """Return the value of Sec-WebSocket-Key."""
    return base64.b64encode(nonce).decode("ascii")


def accept(nonce: bytes) -> str:
    """Return the value of Sec-WebSocket-Accept that goes with a nonce."""
    return opening_response.accept(key(nonce))


def is_upgrade(head: Head) -> bool:
    """Whether the response completes the handshake, as far as its status says."""
    return head.status == _SWITCHING_PROTOCOLS


def agreed_protocol(head: Head, *, nonce: bytes, offered: Sequence[str]) -> str | None:
    """Return the subprotocol of a response with status 101; None if the server has agreed to none.

    Raises:
        Problem: the response does not complete the handshake (RFC 6455 §4.1).
    """
    wrong = None
    if "websocket" not in head.tokens("upgrade") or "upgrade" not in head.tokens("connection"):
        wrong = "no upgrade to WebSocket"
    elif head.headers.get("sec-websocket-accept") != [accept(nonce)]:
        wrong = "a wrong Sec-WebSocket-Accept"
    elif head.tokens("sec-websocket-extensions"):
        wrong = "an extension that was not offered"
    protocols = head.headers.get("sec-websocket-protocol", ())
    if len(protocols) > 1 or not set(protocols) <= set(offered):
        wrong = "a subprotocol that was not offered"
    if wrong is not None:
        raise Problem("bad-handshake", f"the handshake failed: {wrong}", Status.UNREACHABLE)
    return protocols[0] if protocols else None
