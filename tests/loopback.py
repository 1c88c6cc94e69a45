"""Real connections on loopback, for the few tests where sockets are the point."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure

from portofcall.egress.policy import Policy
from portofcall.gateway import Gateway
from portofcall.testing import pack_frame, unpack_frames, upgrade_request

#: How long each step may take, in seconds.
DEADLINE = 10

reactor = cast(Any, global_reactor)


class Collector(Protocol):
    """Collects the bytes of the other side."""

    def __init__(self) -> None:
        self.data = b""
        self._waiting: tuple[Callable[[bytes], bool], Deferred[bytes]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if self._waiting is not None and self._waiting[0](self.data):
            (_, found), self._waiting = self._waiting, None
            found.callback(self.data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._waiting is not None:
            (_, found), self._waiting = self._waiting, None
            found.errback(reason)

    def until(self, enough: Callable[[bytes], bool]) -> Deferred[bytes]:
        """Return the bytes collected so far, once ``enough`` of them is true."""
        found: Deferred[bytes] = Deferred()
        self._waiting = (enough, found)
        self.dataReceived(b"")
        return found.addTimeout(DEADLINE, reactor)


async def exchange(endpoint: str, request: bytes) -> bytes:
    """Send ``request`` to a client endpoint, and return the response's head with what came along."""
    client = Collector()
    await connectProtocol(clientFromString(reactor, endpoint), client)
    assert client.transport is not None
    client.transport.write(request)
    response = await client.until(lambda data: b"\r\n\r\n" in data)
    client.transport.loseConnection()
    return response


async def echo_through(endpoint: str, path: str, port: int, before: bytes = b"") -> None:
    """Send bytes through the gateway at ``endpoint`` to the echo server at ``port``, and get them back."""
    client = Collector()
    await connectProtocol(clientFromString(reactor, endpoint), client)
    assert client.transport is not None
    upgrade = upgrade_request(f"host=127.0.0.1&port={port}").replace(b"/api/connect", path.encode(), 1)
    client.transport.write(before + upgrade)
    await client.until(lambda data: b"\r\n\r\n" in data)
    assert client.data.startswith(b"HTTP/1.1 101 ")
    client.data = client.data.partition(b"\r\n\r\n")[2]
    client.transport.write(pack_frame(2, b"there and back"))
    await client.until(lambda data: len(data) >= 16)
    assert unpack_frames(client.data) == [(2, b"there and back")]
    client.transport.write(pack_frame(8, b"\x03\xe8"))
    await client.until(lambda data: len(data) >= 20)
    client.transport.loseConnection()


@asynccontextmanager
async def listening(endpoint: str, factory: Any) -> AsyncIterator[int]:
    """Listen, and yield the port."""
    port = await serverFromString(reactor, endpoint).listen(factory)
    try:
        yield getattr(port.getHost(), "port", 0)
    finally:
        await cast("Deferred[None]", port.stopListening())


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """Serve echo, and yield the port."""
    async with listening("tcp:0:interface=127.0.0.1", Factory.forProtocol(Echo)) as port:
        yield port


def loopback_gateway() -> Gateway:
    """Make a gateway that goes to 127.0.0.1 only."""
    return Gateway(reactor, policy=Policy.parse(allow=["127.0.0.1"]))


async def settle(gateway: Gateway) -> None:
    """Wait until the gateway has no tunnel left."""
    await gateway.shut_down().addTimeout(DEADLINE, reactor)
