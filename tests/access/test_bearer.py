"""Tickets in headers."""

import json
from typing import Any, cast

import pytest
from twisted.logger import ILogObserver, globalLogPublisher

from portofcall.access.authenticator import Credentials
from portofcall.access.bearer import bearer_tickets
from portofcall.access.ticket_key import TicketKey
from portofcall.testing import WebSocketClient, World, upgrade_request

KEY = TicketKey.load(b"k" * 32)


def ticket(world: World) -> str:
    """Return a ticket that is good for a minute."""
    return KEY.issue(now=world.now, ttl_seconds=60)


def demanding() -> World:
    """Return a gateway that wants a ticket."""
    return World(credentials=Credentials(ticket_key=KEY))


@pytest.mark.parametrize(
    ("authorization", "protocols", "found"),
    [
        ([], [], []),
        ([b"Bearer a.b.c"], [], [b"a.b.c"]),
        ([b"bEARER  a.b.c "], [], [b"a.b.c"]),
        ([b"Basic eDp5"], [b"binary"], []),
        ([b"Bearer"], [], []),
        ([b"Bearer "], [], [b""]),
        ([], [b"binary, portofcall.bearer.a.b.c"], [b"a.b.c"]),
        ([], [b"portofcall.bearer.a", b"portofcall.bearer.b,x"], [b"a", b"b"]),
        ([b"Bearer a"], [b"portofcall.bearer.b"], [b"a", b"b"]),
    ],
)
def test_tickets_of_headers(authorization: list[bytes], protocols: list[bytes], found: list[bytes]) -> None:
    """All of them, so that a second one is noticed."""
    assert list(bearer_tickets(authorization, protocols)) == found


@pytest.mark.parametrize("where", ["query", "header", "subprotocol"])
def test_a_ticket_is_accepted_in_each_place(where: str) -> None:
    """In the query, in the Authorization header, and beside a subprotocol that is agreed on."""
    world = demanding()
    token = ticket(world)
    query = f"host=93.184.215.14&port=22{f'&ticket={token}' if where == 'query' else ''}"
    headers: dict[str, Any] = {"Sec_WebSocket_Protocol": "binary"}
    if where == "header":
        headers["Authorization"] = f"Bearer {token}"
    if where == "subprotocol":
        headers["Sec_WebSocket_Protocol"] = f"portofcall.bearer.{token}, binary"
    client = WebSocketClient(world, upgrade_request(query, **headers))
    assert client.response.status == 101
    assert client.response.headers["sec-websocket-protocol"] == "binary"


def test_the_ticket_is_never_the_agreed_subprotocol() -> None:
    """Nothing is agreed on if it is the only one that is offered."""
    world = demanding()
    raw = upgrade_request(Sec_WebSocket_Protocol=f"portofcall.bearer.{ticket(world)}")
    client = WebSocketClient(world, raw)
    assert client.response.status == 101
    assert "sec-websocket-protocol" not in client.response.headers


def test_two_tickets_are_refused() -> None:
    """Two parts of a request must not disagree about who sends it."""
    world = demanding()
    token = ticket(world)
    raw = upgrade_request(
        Authorization=f"Bearer {token}", Sec_WebSocket_Protocol=f"binary, portofcall.bearer.{token}"
    )
    client = WebSocketClient(world, raw)
    assert client.response.status == 401
    assert "ticket must be given once" in client.response.body.decode()


def test_the_challenge_names_the_scheme() -> None:
    """RFC 6750 §3; browsers show no dialog for it."""
    client = WebSocketClient(demanding())
    assert client.response.status == 401
    assert client.response.headers["www-authenticate"] == 'Bearer realm="portofcall"'


def test_no_ticket_of_a_header_reaches_the_log() -> None:
    """Neither a valid one nor an invalid one, in no line and in no field of a line."""
    events: list[Any] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    try:
        world = demanding()
        token = ticket(world)
        for value in (token, token[:-4] + "AAAA"):
            for headers in (
                {"Authorization": f"Bearer {value}"},
                {"Sec_WebSocket_Protocol": f"binary, portofcall.bearer.{value}"},
            ):
                client = WebSocketClient(world, upgrade_request(**headers))
                client.transport.lose()
                world.reactor.advance(10)
    finally:
        globalLogPublisher.removeObserver(observer)
    assert events
    assert token[:-4] not in json.dumps(events, default=repr)
