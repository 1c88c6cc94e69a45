"""Neon's driver names its target in ``?address=``, and learns every failure from an HTTP status."""

from unittest.mock import patch

import pytest
from twisted.internet.error import ConnectionRefusedError, TCPTimedOutError

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.limits.values import Limits
from portofcall.testing import PUBLIC, FakeResolver, Response, WebSocketClient, World, pack_frame
from tests.web.dialects.support import make_world, response, upgrade

KEY = TicketKey(bytes(range(128, 160)))


@pytest.mark.parametrize(
    ("query", "dialed"),
    [
        (f"address={PUBLIC}:5432", (PUBLIC, 5432)),
        (f"address={PUBLIC}%3A5432", (PUBLIC, 5432)),
        ("address=[2606:4700::1]:5432", ("2606:4700::1", 5432)),
        ("address=2606:4700::1:5432", ("2606:4700::1", 5432)),
        ("address=db.example:5432", (PUBLIC, 5432)),
    ],
)
def test_target_is_dialled_before_the_response(query: str, dialed: tuple[str, int]) -> None:
    """Frames that the driver sends before that wait, and are delivered in order."""
    world = World(names={"db.example": [PUBLIC]})
    client = world.connect()
    client.send(
        upgrade(f"/v1?{query}", Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits")
    )
    client.send(pack_frame(2, b"startup") + pack_frame(2, b"password"))
    assert client.take() == b""
    assert world.dialed == [dialed]
    backend = world.accept()
    head, _, rest = client.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"xtensions" not in head
    assert rest == b""
    assert backend.take() == b"startuppassword"
    backend.send(b"R")
    assert client.take() == b"\x82\x01R"
    backend.fin()
    assert client.take() == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", (400, "invalid-target")),
        ("address=db.example", (400, "invalid-target")),
        ("address=db.example:", (400, "invalid-target")),
        ("address=db.example:70000", (400, "invalid-target")),
        ("address=127.1:5432", (400, "invalid-target")),
        (f"address={PUBLIC}:1&address={PUBLIC}:2", (400, "invalid-target")),
        ("address=10.0.0.1:5432", (403, "blocked")),
        ("address=inside.example:5432", (403, "blocked")),
        ("address=none.example:5432", (502, "name-not-found")),
    ],
)
def test_failure_is_a_status(query: str, expected: tuple[int, str]) -> None:
    """With the error in JSON as its body; nothing is dialled."""
    world = World(names={"inside.example": ["10.0.0.1"]})
    assert response(world, f"/v1?{query}") == expected
    assert world.dialed == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ConnectionRefusedError(), (502, "refused")), (TCPTimedOutError(), (504, "connect-timeout"))],
)
def test_failure_to_connect_is_a_status(error: Exception, expected: tuple[int, str]) -> None:
    """And every place is free again."""
    world = World()
    client = world.connect()
    client.send(upgrade(f"/v1?address={PUBLIC}:5432"))
    world.refuse(error)
    answer = Response(client.take())
    assert (answer.status, answer.json["code"]) == expected
    assert world.gateway.admission.used == 0


def test_dial_that_hangs_has_a_deadline() -> None:
    """The half-open upgrade takes a place meanwhile, and none afterwards."""
    world = World(limits=Limits(connect_timeout_seconds=10))
    client = world.connect()
    client.send(upgrade(f"/v1?address={PUBLIC}:5432"))
    world.reactor.advance(9)
    assert (client.take(), world.gateway.admission.used) == (b"", 1)
    world.reactor.advance(2)
    answer = Response(client.take())
    assert (answer.status, answer.json["code"]) == (504, "connect-timeout")
    assert world.gateway.admission.used == 0
    assert world.given_up == [(PUBLIC, 5432)]


def test_client_that_goes_during_the_dial_gives_it_up(logged: list[str]) -> None:
    """And the log says so."""
    world = World()
    client = world.connect()
    client.send(upgrade(f"/v1?address={PUBLIC}:5432"))
    client.lose()
    assert world.given_up == [(PUBLIC, 5432)]
    assert world.gateway.admission.used == 0
    (line,) = [line for line in logged if line.startswith("tunnel ")]
    assert "client disconnected before the response" in line
    assert "result=client-lost by=client stage=dial code=1006" in line


def test_what_a_client_sends_before_the_response_is_not_read_without_end() -> None:
    """The connection is paused until the dial is over; only what was read already waits."""
    world = World()
    client = world.connect()
    client.send(upgrade(f"/v1?address={PUBLIC}:5432") + pack_frame(2, b"first"))
    assert client.paused
    assert world.accept().take() == b"first"
    assert not client.paused


def test_dial_that_ends_while_the_gateway_shuts_down_is_503() -> None:
    """The backend's connection is closed again, and no tunnel is left behind."""
    world = World()
    client = world.connect()
    client.send(upgrade(f"/v1?address={PUBLIC}:5432"))
    world.gateway.drain()
    backend = world.accept()
    assert Response(client.take()).status == 503
    assert "reset" in backend.log
    assert len(world.gateway.sessions) == world.gateway.admission.used == 0


def test_ticket_may_be_in_the_path(logged: list[str]) -> None:
    """Because the driver appends its own query; it is in no record, valid or not, and one is enough."""
    world = World(credentials=Credentials(ticket_key=KEY))
    ticket = KEY.issue(now=world.now, ttl_seconds=300, host=PUBLIC, port=5432)
    assert response(world, f"/v1?address={PUBLIC}:5432") == (401, "unauthorized")
    assert response(world, f"/v1/{ticket}x?address={PUBLIC}:5432") == (401, "unauthorized")
    assert response(world, f"/v1/{ticket}?address={PUBLIC}:5432&ticket={ticket}") == (401, "unauthorized")
    assert response(world, f"/v1/{ticket}?address={PUBLIC}:22") == (401, "unauthorized")
    assert response(world, f"/v1/{ticket}/more?address={PUBLIC}:5432") == (404, "not-found")
    plain = world.connect()
    plain.send(f"GET /v1/{ticket}?address={PUBLIC}:5432 HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    assert Response(plain.take()).status == 426
    client = world.connect()
    client.send(upgrade(f"/v1/{ticket}?address={PUBLIC}:5432"))
    world.accept()
    assert client.take().startswith(b"HTTP/1.1 101 ")
    assert logged
    assert ticket[:20] not in "".join(logged)
    assert f'request="GET /v1/...?address={PUBLIC}:5432"' in "".join(logged)


def test_session_of_a_ticket_counts_from_its_admission() -> None:
    """Not from the response, which the dial holds up."""
    world = World(credentials=Credentials(ticket_key=KEY), limits=Limits(ping_interval_seconds=0))
    ticket = KEY.issue(now=world.now, ttl_seconds=300, session_seconds=6)
    client = world.connect()
    client.send(upgrade(f"/v1/{ticket}?address={PUBLIC}:5432"))
    world.reactor.advance(5)
    world.accept()
    assert client.take().startswith(b"HTTP/1.1 101 ")
    world.reactor.pump([0.5] * 4)
    assert b"lifetime-over: the session of the ticket is over" in client.take()


def test_tunnel_that_can_not_take_its_connection_has_a_record(logged: list[str]) -> None:
    """Its backend is reset, and the places are free again."""
    world = World()
    client = world.connect()
    with patch("portofcall.web.takeover.set_options", side_effect=OSError("no memory")):
        client.send(upgrade(f"/v1?address={PUBLIC}:5432"))
        backend = world.accept()
    assert Response(client.take()).status == 500
    assert "reset" in backend.log
    assert world.gateway.admission.used == 0
    opened, closed = [line for line in logged if line.startswith("tunnel ")]
    assert " opened " in opened
    assert "result=internal-error by=gateway" in closed


def test_ticket_in_the_path_is_hidden_however_the_path_is_escaped(logged: list[str]) -> None:
    """The server unescapes each segment."""
    world = World(credentials=Credentials(ticket_key=KEY))
    for path in ("/%76%31/Q0123", "/v1/%510123", "/v1//Q0123", "/v1/Q%25300123", "//v1/Q0123"):
        WebSocketClient(world, upgrade(f"{path}?address={PUBLIC}:5432"))
    assert len(logged) >= 5
    assert "0123" not in "".join(logged)


def test_default_target_is_dialled_where_no_address_is_given() -> None:
    """An address that is given counts all the same."""
    world = make_world(default="10.9.0.8:5432")
    world.connect().send(upgrade("/v1"))
    world.connect().send(upgrade(f"/v1?address={PUBLIC}:5432"))
    assert world.dialed == [("10.9.0.8", 5432), (PUBLIC, 5432)]


def test_look_up_counts_like_any_other() -> None:
    """The limits and rates of clients and targets are those of /api/connect."""
    world = World(limits=Limits(max_per_client=2))
    world.resolver.names["slow.example"] = None
    clients = [world.connect() for _ in range(3)]
    for client in clients:
        client.send(upgrade("/v1?address=slow.example:5432"))
    assert Response(clients[2].take()).status == 429


def test_error_of_the_gateway_itself_is_500_and_a_record(logged: list[str]) -> None:
    """The places are free again."""
    world = World()
    with patch.object(FakeResolver, "resolve", side_effect=ZeroDivisionError):
        assert response(world, "/v1?address=db.example:5432") == (500, "internal-error")
    assert world.gateway.admission.used == 0
    (line,) = [line for line in logged if line.startswith("tunnel ")]
    assert "result=internal-error by=gateway stage=dns code=1006 status=500" in line
