"""What is a valid upgrade, and what an upgrade must not have."""

from typing import Any

import pytest
from twisted.web.server import Site

from portofcall.testing import PUBLIC, Response, World, pack_frame, upgrade_request


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
