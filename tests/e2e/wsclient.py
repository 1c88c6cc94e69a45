"""A WebSocket client over a blocking socket, for tests that must control when a byte is sent or read."""

import base64
import hashlib
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ssl import SSLContext
from typing import Self

#: How long a test waits for one thing, in seconds. It is less than the time limit of a test, so that the test
#: can say what it waited for.
DEADLINE = 30.0

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
#: The text message of portofcall.v1, as docs/protocol.md has it.
EOF = b'{"type":"eof"}'
_KNOWN = {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Frame:
    """One frame from the server."""

    opcode: int
    payload: bytes
    fin: bool = True


class UpgradeRefusedError(Exception):
    """The server answered with something else than 101."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.headers = headers
        self.body = body


def mask(data: bytes, key: bytes) -> bytes:
    """XOR ``data`` with the four bytes of ``key``, over and over (RFC 6455 §5.3)."""
    pad = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def pack(opcode: int, payload: bytes = b"", *, fin: bool = True, key: bytes = b"\x01\x7f\x80\xfe") -> bytes:
    """Pack a client's frame, masked (RFC 6455 §5.2)."""
    first, length = (0x80 if fin else 0) | opcode, len(payload)
    if length < 126:
        head = struct.pack("!BB", first, 0x80 | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, length)
    return head + key + mask(payload, key)


class WebSocketClient:
    """A client that does one thing at a time and takes nothing but RFC 6455 from the server.

    Args:
        port: of the gateway on 127.0.0.1, or on ::1.
        query: of the request.
        protocols: the subprotocols to offer.
        headers: further header lines.
        along: bytes to send in one go with the handshake.
        receive_buffer: SO_RCVBUF in bytes; None leaves it to the kernel.
        source: the loopback address to connect from, and for IPv6 also the one to connect to.
        tls: speaks TLS as these settings say, with the server ``localhost``; None means plain TCP.

    Attributes:
        sent: how many bytes `send_raw` has handed to the kernel.
    """

    def __init__(
        self,
        port: int,
        query: str,
        *,
        protocols: str | None = None,
        headers: tuple[str, ...] = (),
        along: bytes = b"",
        receive_buffer: int | None = None,
        source: str = "127.0.0.1",
        tls: SSLContext | None = None,
    ) -> None:
        over_ipv6 = ":" in source
        self.socket: socket.socket = socket.socket(socket.AF_INET6 if over_ipv6 else socket.AF_INET)
        self.socket.settimeout(DEADLINE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind((source, 0))
        self.socket.connect(("::1" if over_ipv6 else "127.0.0.1", port))
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET /api/connect?{query} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket"]
        lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}", *headers]
        if protocols is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocols}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + along)
        self._buffer = b""
        self.sent = 0
        self.headers = self._read_answer(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _read_answer(self, key: str) -> dict[str, str]:
        while b"\r\n\r\n" not in self._buffer:
            data = self.socket.recv(65536)
            if not data:
                break
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(status_line.split()[1])
        if status != 101:
            body = self._exactly(int(headers.get("content-length", 0)))
            self.socket.close()
            raise UpgradeRefusedError(status, headers, body)
        accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
        assert headers["sec-websocket-accept"] == accept
        assert headers["upgrade"].lower() == "websocket"
        return headers

    # Sending

    def send(self, data: bytes, opcode: int = BINARY, *, fin: bool = True) -> None:
        """Send one frame."""
        self.socket.sendall(pack(opcode, data, fin=fin))

    def send_raw(self, data: bytes) -> None:
        """Send bytes that may be no frame at all, counting them as they go."""
        view = memoryview(data)
        while view:
            count = self.socket.send(view)
            self.sent += count
            view = view[count:]

    def send_eof(self) -> None:
        """Send the eof of portofcall.v1."""
        self.send(EOF, TEXT)

    def close(self, code: int = 1000) -> None:
        """Send a Close frame."""
        self.send(struct.pack("!H", code), CLOSE)

    def vanish(self, *, reset: bool) -> None:
        """End the TCP connection without a word, by RST or by FIN."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # Receiving

    def _exactly(self, size: int) -> bytes:
        parts, missing = [self._buffer[:size]], size - len(self._buffer)
        self._buffer = self._buffer[size:]
        while missing > 0:
            data = self.socket.recv(min(missing, 1 << 20))
            if not data:
                raise EOFError("the server closed the connection in the middle of a frame")
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)

    def receive(self) -> Frame:
        """Receive one frame.

        Raises:
            EOFError: the connection ended.
            AssertionError: the frame is not one that a server may send.
        """
        if not self._buffer:
            self._buffer = self.socket.recv(65536)
        first, second = self._exactly(2)
        assert not first & 0x70, "reserved bits"
        opcode, length = first & 0x0F, second
        assert opcode in _KNOWN
        assert not second & 0x80, "a server's frame is not masked"
        if second == 126:
            (length,) = struct.unpack("!H", self._exactly(2))
            assert length > 125, "length is not minimal"
        elif second == 127:
            (length,) = struct.unpack("!Q", self._exactly(8))
            assert length > 65535, "length is not minimal"
        if opcode & 8:
            assert length < 126
            assert first & 0x80
        return Frame(opcode, self._exactly(length), bool(first & 0x80))

    def messages_to_eof(self) -> Iterator[bytes]:
        """Receive binary messages until the eof of portofcall.v1."""
        while True:
            frame = self.receive()
            if (frame.opcode, frame.payload) == (TEXT, EOF):
                return
            assert (frame.opcode, frame.fin) == (BINARY, True), frame
            yield frame.payload

    def messages(self) -> Iterator[bytes]:
        """Receive binary messages until a Close frame, which is answered and kept as `closed`."""
        while True:
            frame = self.receive()
            if frame.opcode == CLOSE:
                self.closed = Close.parse(frame.payload)
                self.close(self.closed.code)
                return
            assert (frame.opcode, frame.fin) == (BINARY, True)
            yield frame.payload

    def read(self, size: int) -> bytes:
        """Receive binary messages of ``size`` bytes together."""
        data = b""
        while len(data) < size:
            frame = self.receive()
            assert frame.opcode == BINARY, frame
            data += frame.payload
        assert len(data) == size
        return data

    def expect_close(self) -> "Close":
        """Receive a Close frame, answer it, and see the server close the connection."""
        assert list(self.messages()) == []
        assert self.socket.recv(1) == b"", "the server closes TCP after the handshake, by FIN"
        return self.closed


@dataclass(frozen=True)
class Close:
    """What a Close frame said."""

    code: int
    reason: str

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Take a Close frame's payload apart (RFC 6455 §5.5.1)."""
        assert len(payload) >= 2
        return cls(struct.unpack("!H", payload[:2])[0], payload[2:].decode("utf-8"))
