"""A request is bounded before it is one: in size, in lines, and in time."""

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from portofcall.limits.values import Limits
from portofcall.testing import Response, World, upgrade_request
from portofcall.web.server import access_line

START = b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\n"


def test_request_that_drips_ends_after_ten_seconds() -> None:
    """However steadily its bytes come."""
    world = World()
    transport = world.connect()
    for byte in START[:10]:
        transport.send(bytes([byte]))
        world.reactor.advance(1.1)
    answer = Response(transport.take())
    assert answer.status == 408
    assert answer.json["code"] == "request-timeout"
    world.reactor.advance(2.1)
    assert transport.log == ["close"]


def test_body_that_drips_ends_in_the_same_time() -> None:
    """The time is for the whole request."""
    world = World()
    transport = world.connect()
    transport.send(START + b"Content-Length: 100\r\n\r\n")
    world.reactor.pump([1.0] * 9)
    transport.send(b"{")
    assert transport.take() == b""
    world.reactor.pump([1.0] * 2)
    assert Response(transport.take()).status == 408


def test_silent_connection_ends_too() -> None:
    """Nothing has to be sent to run out of time."""
    world = World()
    transport = world.connect()
    world.reactor.pump([10.1, 2.1])
    assert "close" in transport.log


def test_answered_connection_may_idle_for_a_minute() -> None:
    """Browsers keep connections."""
    world = World()
    transport = world.connect()
    transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(transport.take()).status == 200
    world.reactor.advance(59)
    transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(transport.take()).status == 200
    world.reactor.advance(61)
    assert transport.take() == b""
    assert "close" in transport.log


def test_work_on_a_request_is_not_in_its_time() -> None:
    """A slow target is not the client's fault."""
    world = World()
    transport = world.connect()
    body = b'{"host": "93.184.215.14", "port": 1, "timeout": 30000}'
    transport.send(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    world.reactor.pump([1.0] * 29)
    assert transport.take() == b""
    world.accept()
    assert Response(transport.take()).status == 200


def test_closed_connection_leaves_no_timer() -> None:
    """Nothing stays behind of a client that left."""
    world = World()
    transport = world.connect()
    transport.lose()
    assert world.reactor.getDelayedCalls() == []


def test_too_many_that_wait_make_room_for_a_new_one() -> None:
    """The oldest goes: one that is silent, or one that idles after an answer."""
    world = World(limits=Limits(max_waiting=2))
    idle = world.connect()
    idle.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    silent = world.connect()
    third = world.connect()
    assert (idle.log, silent.log) == (["reset"], [])
    third.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(third.take()).status == 200
    world.connect()
    assert silent.log == ["reset"]


def test_whoever_is_served_does_not_wait() -> None:
    """A ping under way and a tunnel stay, however many connections wait."""
    world = World(limits=Limits(max_waiting=1))
    pinging = world.connect()
    body = b'{"host": "93.184.215.14", "port": 1}'
    pinging.send(START + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    tunnel = world.connect()
    tunnel.send(upgrade_request())
    for _ in range(3):
        world.connect()
    assert "reset" not in pinging.log + tunnel.log
    world.accept(0)
    assert Response(pinging.take()).status == 200


@pytest.mark.parametrize(
    "large",
    [
        b"GET /" + b"x" * 16_384 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"A%d: %s\r\n" % (n, b"b" * 1700) for n in range(10)) + b"\r\n",
    ],
)
def test_large_head_is_400(large: bytes) -> None:
    """More than 16 KiB, or more than 100 lines."""
    world = World()
    transport = world.connect()
    transport.send(large)
    assert Response(transport.take()).status in {400, 431}
    world.reactor.advance(2.1)
    assert "close" in transport.log


def test_hundred_header_lines_are_allowed() -> None:
    """One less is not too many."""
    transport = World().connect()
    transport.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n" + b"A: b\r\n" * 99 + b"\r\n")
    assert Response(transport.take()).status == 200


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (b"/api/ping", "/api/ping"),
        (b"/api/connect?host=a&port=1", "/api/connect?host=a&port=1"),
        (b"/api/ping?ticket=secret", "/api/ping?..."),
        (b"/api/connect?host=a&%74icket=secret", "/api/connect?..."),
        (b"/api/connect?host=a;TICKET=secret", "/api/connect?..."),
        (b"/api/connect%3fticket=secret", "/..."),
        (b"/api/connect%253f%2574icket=secret", "/..."),
        (b"/x#ticket=secret", "/..."),
        (b"/\x1b[31m\xff", "/\\x1b[31m\\xff"),
    ],
)
def test_access_line_is_plain_and_keeps_tickets_secret(uri: bytes, shown: str) -> None:
    """A log is read in a terminal, and by more people than a ticket is for."""
    request: Any = SimpleNamespace(
        uri=uri,
        method=b"POST",
        code=200,
        sentLength=5,
        getClientAddress=lambda: IPv4Address("TCP", "192.0.2.1", 4000),
    )
    assert access_line("now", request) == f'192.0.2.1 [now] "POST {shown}" 200 5'
