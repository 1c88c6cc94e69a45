"""A WebSocket client of a gateway in memory, and frames from bytes and back (RFC 6455)."""

import base64
import struct
from typing import Any

from portofcall.testing.http import Response
from portofcall.testing.world import World
from portofcall.websocket.half_close import EOF, SUBPROTOCOL

#: An address that the policy takes for public.
PUBLIC = "93.184.215.14"
#: A valid Sec-WebSocket-Key.
KEY = base64.b64encode(b"0123456789abcdef").decode()
#: The headers of an upgrade request.
UPGRADE = {
    "Host": "gateway",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def upgrade_request(
    query: str = f"host={PUBLIC}&port=22", method: str = "GET", path: str = "/api/connect", **changes: Any
) -> bytes:
    """Make an upgrade request.

    Args:
        query: ``host`` and ``port``, and perhaps ``ticket``.
        method: anything but GET is refused.
        path: the dialect's.
        changes: headers to add or to replace. An underscore in a name stands for a hyphen; None removes a
            header. With ``Sec_WebSocket_Protocol="portofcall.v1"`` each direction ends by itself.
    """
    headers = {**UPGRADE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{method} {path}{'?' if query else ''}{query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def pack_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """Make a frame as a client sends it (RFC 6455 §5.2).

    Args:
        opcode: 0 continuation, 1 text, 2 binary, 8 Close, 9 Ping, 10 Pong.
        payload: not yet masked.
        fin: whether it is the last frame of its message.
        masked: must be true for a frame to be valid.
    """
    first = (0x80 if fin else 0) | opcode
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        header = struct.pack("!BB", first, mask_bit | len(payload))
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, len(payload))
        if len(payload) < 65536:
            header = struct.pack("!BBH", first, mask_bit | 126, len(payload))
    if not masked:
        return header + payload
    key, size = b"\x01\x02\x03\x04", len(payload)
    mask = int.from_bytes((key * (size // 4 + 1))[:size])
    return header + key + (int.from_bytes(payload) ^ mask).to_bytes(size)


def unpack_frames(data: bytes) -> list[tuple[int, bytes]]:
    """Parse what the gateway sent: unmasked, unfragmented frames.

    Returns:
        The opcode and the payload of each.
    """
    found = []
    while data:
        first, length, size = data[0], data[1], 2
        assert first & 0x80
        if length == 126:
            length, size = struct.unpack("!H", data[2:4])[0], 4
        elif length == 127:
            length, size = struct.unpack("!Q", data[2:10])[0], 10
        found.append((first & 0x0F, data[size : size + length]))
        data = data[size + length :]
    return found


class WebSocketClient:
    """A WebSocket client of a gateway in memory.

    It asks for a tunnel. If the gateway then dials, the connection attempt succeeds.

    Args:
        world: with the gateway.
        raw: the upgrade request, and what is sent in the same segment; see `upgrade_request`.

    Attributes:
        transport: the client's connection.
        response: the gateway's HTTP response.
        backend: the connection to the target; None if none was opened.
    """

    def __init__(self, world: World, raw: bytes | None = None) -> None:
        self._reactor = world.reactor
        self.transport = world.connect()
        dialed = len(world.dialed)
        self.send(raw or upgrade_request())
        head, _, rest = self.transport.take().partition(b"\r\n\r\n")
        upgraded = head.startswith(b"HTTP/1.1 101 ")
        self.response = Response(head + b"\r\n\r\n" + (b"" if upgraded else rest))
        self._early = rest
        self.backend: Any = world.accept() if len(world.dialed) > dialed else None

    def send(self, data: bytes) -> None:
        """Send bytes as they are; `pack_frame` makes frames of a payload.

        The gateway parses many small frames in several turns of the reactor; all of them are over then.
        """
        self.transport.send(data)
        self._reactor.advance(0)

    def send_eof(self) -> None:
        """End the client's direction, and go on receiving; the gateway has agreed to portofcall.v1."""
        assert self.response.headers.get("sec-websocket-protocol") == SUBPROTOCOL
        self.send(pack_frame(1, EOF))

    def received(self) -> list[tuple[int, bytes]]:
        """Return the opcode and the payload of each frame that came since the last call.

        With portofcall.v1 the gateway's eof is ``(1, b'{"type":"eof"}')``.
        """
        early, self._early = self._early, b""
        return unpack_frames(early + self.transport.take())

    def close_frame(self) -> tuple[int, str]:
        """Return the code and the reason of the Close frame that the gateway sent last."""
        opcode, payload = self.received()[-1]
        assert opcode == 8
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
