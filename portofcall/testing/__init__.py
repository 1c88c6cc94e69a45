"""A gateway in memory, for the tests of applications that embed one: no sockets, and a clock turned by hand.

::

    world = World(names={"db.example.com": ["93.184.215.14"]})
    client = WebSocketClient(world, upgrade_request("host=db.example.com&port=5432"))
    client.send(pack_frame(2, b"hello"))
    assert client.backend.take() == b"hello"

Everything between the transports is the real gateway: HTTP, the handshake, the policy, the tunnel.
"""

from portofcall.testing.http import Response, request
from portofcall.testing.transports import FakeTransport
from portofcall.testing.websocket import (
    KEY,
    PUBLIC,
    UPGRADE,
    WebSocketClient,
    pack_frame,
    unpack_frames,
    upgrade_request,
)
from portofcall.testing.world import FakeResolver, World

__all__ = [
    "KEY",
    "PUBLIC",
    "UPGRADE",
    "FakeResolver",
    "FakeTransport",
    "Response",
    "WebSocketClient",
    "World",
    "pack_frame",
    "request",
    "unpack_frames",
    "upgrade_request",
]
