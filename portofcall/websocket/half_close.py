"""The vocabulary of the subprotocol ``portofcall.v1``, in which each direction of a tunnel ends by itself.

Both sides of a connection use it alike, the gateway and a client; docs/protocol.md specifies it. Data is in
binary messages. The only text message is `EOF`: its sender has no more data, and still receives.
"""

import json
from collections.abc import Collection

#: The name to offer and to accept in ``Sec-WebSocket-Protocol``.
SUBPROTOCOL = "portofcall.v1"
#: noVNC's and websockify's name for a stream of bytes, in which only a Close frame ends a direction.
BINARY = "binary"

#: The text message for the end of the sender's data, as it is sent. `is_eof` accepts other spellings.
EOF = b'{"type":"eof"}'
#: The header of a request for a tunnel with which a client asks for the pong `CONNECTED`, and its value.
REPORT_HEADER = "Portofcall-Report"
REPORT_CONNECTED = "connected"
#: The payload of the pong that reports that the backend is connected. It comes before all data, and no ping
#: has this payload (RFC 6455 §5.5.3 allows unsolicited pongs).
CONNECTED = b"connected"

#: The size up to which a text message can be valid. A receiver need not keep more of one.
MAX_TEXT_BYTES = 128

#: Code and reason of the Close frame for a text message that is not `EOF`.
UNKNOWN_MESSAGE = (1003, f"unknown-message: the only text message is {EOF.decode()}")
#: Code and reason of the Close frame for a message, of any kind, from a peer that has sent `EOF`.
MESSAGE_AFTER_EOF = (1002, "after-eof: no message may follow eof")


def choose_subprotocol(offered: Collection[str]) -> str | None:
    """Return the subprotocol that a gateway accepts, in its own order of preference; None for none."""
    return next((name for name in (SUBPROTOCOL, BINARY) if name in offered), None)


def is_eof(text: bytes) -> bool:
    """Return whether a text message means eof.

    Args:
        text: the payload of the whole message. It may be anything.

    Returns:
        Whether it is at most `MAX_TEXT_BYTES` of JSON (RFC 8259) in UTF-8 for an object with one member,
        ``type``, that is the string ``eof``.
    """
    if len(text) > MAX_TEXT_BYTES:
        return False
    try:
        # A tuple of pairs: unlike a dictionary, it shows a repeated name, and an array is never one.
        return bool(json.loads(text.decode(), object_pairs_hook=tuple) == (("type", "eof"),))
    except ValueError:
        return False
