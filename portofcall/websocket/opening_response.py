"""The server's response to a valid opening handshake (RFC 6455 §4.2.2)."""

import base64
import hashlib
from typing import Final

#: Of RFC 6455 §1.3.
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(key: str) -> str:
    """Return the value of Sec-WebSocket-Accept that goes with a key."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _MAGIC).digest()).decode("ascii")


def response(key: str, protocol: str | None, request_id: str) -> bytes:
    """Return the response that opens a connection.

    Args:
        key: the value of Sec-WebSocket-Key.
        protocol: the subprotocol to agree on, if any.
        request_id: for X-Request-Id.
    """
    agreed = "" if protocol is None else f"Sec-WebSocket-Protocol: {protocol}\r\n"
    return (
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Upgrade: WebSocket\r\n"
        "Connection: Upgrade\r\n"
        f"X-Request-Id: {request_id}\r\n"
        f"{agreed}"
        f"Sec-WebSocket-Accept: {accept(key)}\r\n"
        "\r\n"
    ).encode("ascii")
