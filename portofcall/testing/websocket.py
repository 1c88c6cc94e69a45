"""A WebSocket client of a gateway in memory, and the frames that it sends and gets (RFC 6455)."""

import base64
import struct
from typing import Any

from portofcall.testing.http import Response
from portofcall.testing.world import World

PUBLIC = "93.184.215.14"
KEY = base64.b64encode(b"0123456789abcdef").decode()
UPGRADE = {
    "Host": "gateway",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def upgrade_request(query: str = f"host={PUBLIC}&port=22", method: str = "GET", **changes: Any) -> bytes:
    """Write the head of an upgrade request; None leaves a header out."""
    headers = {**UPGRADE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{method} /api/connect?{query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def pack_frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    """Pack a frame as a client sends it (RFC 6455 §5.2)."""
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
    """Take apart what the gateway sent: unmasked, unfragmented frames."""
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
    """A WebSocket client of a gateway in memory."""

    def __init__(self, world: World, raw: bytes | None = None) -> None:
        self.send, self.transport = world.connect()
        dialed = len(world.dialed)
        self.send(raw or upgrade_request())
        answer, _, rest = self.transport.take().partition(b"\r\n\r\n")
        upgraded = answer.startswith(b"HTTP/1.1 101 ")
        self.answer = Response(answer + b"\r\n\r\n" + (b"" if upgraded else rest))
        self.early = rest
        self.backend: Any = world.accept() if len(world.dialed) > dialed else None

    def received(self) -> list[tuple[int, bytes]]:
        """Return what came since the last call: opcode and payload of each frame."""
        early, self.early = self.early, b""
        return unpack_frames(early + self.transport.take())

    def close_frame(self) -> tuple[int, str]:
        """The Close frame that was sent last: code and reason."""
        opcode, payload = self.received()[-1]
        assert opcode == 8
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
