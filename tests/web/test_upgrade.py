"""What is a valid upgrade, and what an upgrade must not have."""

from typing import Any

import pytest
from twisted.web.server import Site

from portofcall.testing import PUBLIC, Response, WebSocketClient, World, pack_frame, upgrade_request
from portofcall.websocket.half_close import SUBPROTOCOL


@pytest.mark.parametrize("site", ["gateway's site", "plain Site"])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Length": "5"}, b"hello"),
        ({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"),
        ({"Transfer-Encoding": "chunked"}, b"0\r\n\r\n"),
    ],
)
def test_upgrade_with_a_body_is_400(site: str, headers: dict[str, Any], body: bytes) -> None:
    """Frames behind it would be taken for a part of it, or the other way round."""
    world = World()
    if site == "plain Site":
        world.site = Site(world.gateway.resource(), reactor=world.reactor)
    transport = world.connect()
    transport.send(upgrade_request(**headers) + body + pack_frame(2, b"frame"))
    response = Response(transport.take().partition(b"HTTP/1.1 400 Bad Request\r\n\r\n")[0])
    assert (response.status, response.json["code"]) == (400, "invalid-header")
    assert "an upgrade has no body" in response.json["error"]
    assert world.dialed == []


def test_upgrade_with_an_empty_body_is_one() -> None:
    """Some clients send Content-Length: 0 with every GET."""
    world = World()
    transport = world.connect()
    transport.send(upgrade_request(Content_Length="0") + pack_frame(2, b"frame"))
    assert transport.take().startswith(b"HTTP/1.1 101 ")
    assert world.dialed == [(PUBLIC, 22)]
    assert world.accept().take() == b"frame"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, []),
        ({"Portofcall_Report": "connected"}, [(10, b"connected")]),
        ({"Portofcall_Report": "connected", "Sec_WebSocket_Protocol": "binary"}, []),
        ({"Portofcall_Report": "nothing"}, []),
    ],
)
def test_a_client_that_asks_is_told_when_the_backend_is_connected(
    headers: dict[str, str], expected: list[tuple[int, bytes]]
) -> None:
    """With a pong, before all data, and only with portofcall.v1."""
    request = upgrade_request(**{"Sec_WebSocket_Protocol": SUBPROTOCOL, **headers})
    client = WebSocketClient(World(), request)
    assert client.received() == expected
    client.backend.send(b"data")
    assert client.received() == [(2, b"data")]


def test_a_client_that_asks_is_told_nothing_of_a_dial_that_fails() -> None:
    """The Close frame says it."""
    headers = {"Sec_WebSocket_Protocol": SUBPROTOCOL, "Portofcall_Report": "connected"}
    client = WebSocketClient(World(), upgrade_request("host=10.0.0.1&port=22", **headers))
    assert [opcode for opcode, _ in client.received()] == [8]
