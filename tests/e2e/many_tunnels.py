"""Many tunnels that are in the middle of something: their backend and their clients, in one event loop."""

import asyncio
import base64
import os
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from tests.e2e.backends import BLOCK
from tests.e2e.wsclient import BINARY, CLOSE, DEADLINE, pack

#: What is sent at a time, and how often.
_PIECE_BYTES, _PAUSE_SECONDS = 8192, 0.1


class Kind(StrEnum):
    """What a tunnel is for."""

    #: The backend sends a given amount, the second half when it is told to, and closes.
    DOWNLOAD = "download"
    #: The backend sends until its reader has gone.
    ENDLESS = "endless"
    #: The client sends until it gets a Close frame.
    UPLOAD = "upload"


def part(number: int, start: int, size: int) -> bytes:
    """Return a part of what is sent through the tunnel with that number."""
    first = (number + start) % len(BLOCK)
    whole = BLOCK[first : first + size]
    while len(whole) < size:
        whole += BLOCK[: size - len(whole)]
    return whole


@dataclass
class Transfer:
    """One tunnel.

    Attributes:
        number: tells it from the others.
        kind: what it is for.
        sent: what its sender, the backend or the client, has handed to its kernel.
        received: what arrived at the other end.
        close_code: of the Close frame that the client got.
        moving: set when something has arrived.
    """

    number: int
    kind: Kind
    sent: int = 0
    received: bytearray = field(default_factory=bytearray)
    close_code: int = 0
    moving: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, data: bytes) -> None:
        """Count what arrived."""
        self.received += data
        self.moving.set()

    async def give(self, writer: asyncio.StreamWriter, pieces: int, *, framed: bool = False) -> None:
        """Send so many pieces."""
        for _ in range(pieces):
            piece = part(self.number, self.sent, _PIECE_BYTES)
            writer.write(pack(BINARY, piece) if framed else piece)
            self.sent += _PIECE_BYTES
            await writer.drain()
            await asyncio.sleep(_PAUSE_SECONDS)

    @property
    def is_prefix(self) -> bool:
        """Whether what arrived is the beginning of what is sent."""
        return bytes(self.received) == part(self.number, 0, len(self.received))


class ManyTunnels:
    """A backend for many transfers.

    Attributes:
        half: the pieces of each half of a download.
        go: makes downloads send their second half.
        port: where the backend listens, once it is entered.
    """

    half = 5

    def __init__(self, transfers: list[Transfer]) -> None:
        self.go = asyncio.Event()
        self.port = 0
        self._transfers = transfers
        self._served: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=len(self._transfers))
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.wait_for(asyncio.gather(*self._served), DEADLINE)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        transfer = self._transfers[int(await reader.readline())]
        with suppress(ConnectionError):
            if transfer.kind is Kind.UPLOAD:
                while data := await reader.read(65536):
                    transfer.take(data)
            elif transfer.kind is Kind.DOWNLOAD:
                await transfer.give(writer, self.half)
                await self.go.wait()
                await transfer.give(writer, self.half)
            else:
                sending = asyncio.create_task(transfer.give(writer, 1 << 30))
                try:
                    while await reader.read(65536):
                        pass
                finally:
                    await _end(sending)
        writer.close()

    async def carry(self, transfer: Transfer, gateway_port: int) -> None:
        """Open the tunnel of a transfer, and carry on until its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway_port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /api/connect?host=127.0.0.1&port={self.port} HTTP/1.1\r\nHost: 127.0.0.1:{gateway_port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        writer.write(pack(BINARY, b"%d\n" % transfer.number))
        sending = None
        if transfer.kind is Kind.UPLOAD:
            sending = asyncio.create_task(transfer.give(writer, 1 << 30, framed=True))
        while True:
            opcode, payload = await _receive(reader)
            if opcode == CLOSE:
                break
            assert opcode == BINARY
            transfer.take(payload)
        (transfer.close_code,) = struct.unpack("!H", payload[:2])
        if sending is not None:
            await _end(sending)
        writer.write(pack(CLOSE, payload[:2]))
        assert await reader.read() == b""
        writer.close()


async def _end(sending: asyncio.Task[None]) -> None:
    sending.cancel()
    with suppress(asyncio.CancelledError, ConnectionError):
        await sending


async def _receive(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", await reader.readexactly(8))
    return first & 0x0F, await reader.readexactly(length)
