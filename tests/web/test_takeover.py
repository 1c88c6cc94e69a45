"""A connection is taken over from HTTP without losing a byte, or goes back to it without losing one."""

from typing import Any
from unittest.mock import patch

import pytest
from twisted.cred.error import UnauthorizedLogin
from twisted.web.server import Site

from portofcall.access.authenticator import Credentials
from portofcall.testing import Response, World, pack_frame, upgrade_request
from portofcall.websocket.end import WebSocketEnd
from tests.support import SlowChecker, chunks

FRAMES = pack_frame(2, b"hasty") + pack_frame(2, b" and more")
NEXT = b"GET /next HTTP/1.1\r\nHost: gateway\r\n\r\n"
UPGRADE = upgrade_request(Authorization="Basic YTpi")


@pytest.fixture(params=["gateway's site", "plain Site"])
def slow(request: pytest.FixtureRequest) -> tuple[World, SlowChecker]:
    """A world with a slow password checker, in our own site and in an embedding one."""
    checker = SlowChecker()
    world = World(credentials=Credentials(checkers=[checker]))
    if request.param == "plain Site":
        world.site = Site(world.gateway.resource(), reactor=world.reactor)
    return world, checker


#: Where the bytes that follow the head are cut, into how many reads.
CUTS = [[], [len(UPGRADE)], [len(UPGRADE) + 3], [len(UPGRADE) - 1, len(UPGRADE), len(UPGRADE) + 7]]


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("decided", ["before", "after"])
def test_frames_right_behind_the_upgrade_reach_the_target(
    slow: tuple[World, SlowChecker], cuts: list[int], decided: str
) -> None:
    """In whatever reads they come, and whether the client is authenticated at once or later."""
    world, checker = slow
    transport = world.connect()
    if decided == "before":
        checker.decision.callback(b"a")
    for piece in chunks(UPGRADE + FRAMES, cuts):
        transport.send(piece)
    if decided == "after":
        assert transport.take() == b""
        assert transport.paused
        checker.decision.callback(b"a")
    assert transport.take().startswith(b"HTTP/1.1 101 ")
    assert not transport.paused
    assert world.accept().take() == b"hasty and more"


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("decided", ["before", "after"])
def test_request_right_behind_a_refused_upgrade_is_served(
    slow: tuple[World, SlowChecker], cuts: list[int], decided: str
) -> None:
    """What was held back goes back to HTTP, whole and once."""
    world, checker = slow
    transport = world.connect()
    if decided == "before":
        checker.decision.errback(UnauthorizedLogin())
    for piece in chunks(UPGRADE + NEXT, cuts):
        transport.send(piece)
    if decided == "after":
        checker.decision.errback(UnauthorizedLogin())
    world.reactor.advance(0)
    responses = transport.take().split(b"HTTP/1.1 ")[1:]
    assert [Response(b"HTTP/1.1 " + response).status for response in responses] == [401, 404]


def test_connection_that_can_not_be_prepared_stays_with_http() -> None:
    """The response is 500, and the client's place is free."""
    world = World()
    transport = world.connect()
    with patch("portofcall.web.takeover.direct_transport", side_effect=OSError("no descriptors left")):
        transport.send(upgrade_request())
    assert Response(transport.take()).status == 500
    assert world.gateway.admission.used == 0
    world.reactor.advance(0)
    transport.send(NEXT)
    assert Response(transport.take()).status == 404


def test_connection_that_fails_once_it_is_taken_over_is_reset(logged: list[str]) -> None:
    """No descriptor may be left to watch its socket with: nothing of it stays behind."""
    world = World()
    transport = world.connect()
    with patch.object(WebSocketEnd, "resumeProducing", side_effect=OSError("no descriptors left")):
        transport.send(upgrade_request())
    assert transport.log[-1] == "reset"
    assert "could not begin a tunnel" in logged
    transport.lose()
    assert (world.gateway.admission.used, len(world.gateway.sessions)) == (0, 0)
    assert world.reactor.getDelayedCalls() == []


def test_no_method_of_the_channel_is_replaced(slow: tuple[World, SlowChecker]) -> None:
    """What Twisted calls is what its classes define."""
    world, _ = slow
    transport = world.connect()
    channel: Any = transport.protocol
    channel = getattr(channel, "_channel", channel)
    before = {name for name in vars(channel) if callable(getattr(channel, name))}
    transport.send(UPGRADE + FRAMES)
    assert {name for name in vars(channel) if callable(getattr(channel, name))} <= before
