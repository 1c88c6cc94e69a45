"""Clients of websockify ask with a token, or with nothing; what is wrong with that is an HTTP status."""

import re

import pytest
from twisted.internet.error import ConnectionRefusedError

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.admin.counts import EventCounts
from portofcall.events import Event, Refused, TunnelEnded
from portofcall.testing import Response, WebSocketClient, World, pack_frame
from tests.support import sentences
from tests.web.dialects.support import SECRET, make_world, no_secret, response, upgrade


@pytest.mark.parametrize(
    ("path", "dialed"),
    [
        ("/", ("10.9.0.5", 5901)),
        ("/websockify", ("10.9.0.5", 5901)),
        ("/websockify?other=1", ("10.9.0.5", 5901)),
        ("/v1", ("10.9.0.5", 5901)),
        (f"/?token={SECRET}", ("10.9.0.6", 5902)),
        (f"/websockify?token={SECRET}", ("10.9.0.6", 5902)),
        (f"/api/connect?token={SECRET}", ("10.9.0.6", 5902)),
        ("/websockify?token=desk", ("10.9.0.5", 5901)),
    ],
)
def test_a_bare_upgrade_leads_to_the_default_and_a_token_to_its_target(
    path: str, dialed: tuple[str, int]
) -> None:
    """Also to a named target; bytes go both ways, and empty messages are none."""
    world = make_world(allow=())
    client = world.connect()
    client.send(upgrade(path))
    assert world.dialed == [dialed]
    assert client.take().startswith(b"HTTP/1.1 101 ") is path.startswith("/api/")
    backend = world.accept()
    assert client.take().startswith(b"HTTP/1.1 101 ") is not path.startswith("/api/")
    client.send(pack_frame(2) + pack_frame(2, b"RFB 003.008\n") + pack_frame(2))
    assert backend.take() == b"RFB 003.008\n"
    backend.send(b"RFB 003.008\n")
    assert client.take() == b"\x82\x0cRFB 003.008\n"
    backend.fin()
    assert client.take() == b"\x88\x02\x03\xe8"


def test_no_subprotocol_is_needed_and_binary_is_echoed() -> None:
    """noVNC since 1.7 offers none, older ones and Emscripten do."""
    for offered, agreed in (
        (None, None),
        ("binary", "binary"),
        ("base64, binary", "binary"),
        ("base64", None),
    ):
        world = make_world()
        client = world.connect()
        client.send(upgrade("/websockify", Sec_WebSocket_Protocol=offered))
        world.accept()
        assert Response(client.take()).headers.get("sec-websocket-protocol") == agreed


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/websockify?token=unknown", (404, "unknown-token")),
        ("/?token=unknown", (404, "unknown-token")),
        ("/websockify?token=", (400, "invalid-target")),
        ("/websockify?token=%ff", (400, "invalid-target")),
        (f"/websockify?token={SECRET}&token={SECRET}", (400, "invalid-target")),
        (f"/websockify?token={'x' * 4097}", (400, "invalid-target")),
    ],
)
def test_no_such_token_is_a_status_before_101(path: str, expected: tuple[int, str]) -> None:
    """Nothing is dialled."""
    world = make_world()
    assert response(world, path) == expected
    assert world.dialed == []


def test_without_a_default_a_bare_upgrade_is_404() -> None:
    """The page and curl still get theirs."""
    world = make_world(default=None)
    assert response(world, "/") == response(world, "/websockify") == (404, "unknown-target")
    assert response(world, "/v1") == (400, "invalid-target")
    client = world.connect()
    client.send(b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert Response(client.take()).status == 200


def test_blocked_target_is_403_and_a_refused_connection_a_close_frame() -> None:
    """A page can read that; only what websockify has no Close frame for is a status."""
    world = make_world(deny=["10.9.0.6"])
    assert response(world, f"/websockify?token={SECRET}") == (403, "blocked")
    transport = world.connect()
    transport.send(upgrade("/websockify"))
    world.refuse(ConnectionRefusedError())
    head, _, frame = transport.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frame[2:].startswith(b"\x11\x96refused: desk refused the connection")


def test_unknown_token_over_our_own_dialect_is_close_4404() -> None:
    """Like an unknown name; a token goes with nothing else."""
    world = make_world()
    client = WebSocketClient(world, upgrade("/api/connect?token=unknown"))
    assert client.close_frame() == (4404, "unknown-token: there is no target with this token")
    for more, problem in (
        ("target=desk", "token must be given without target"),
        ("host=a&port=1", "token must be given without host and port"),
    ):
        client = WebSocketClient(world, upgrade(f"/api/connect?token={SECRET}&{more}"))
        assert client.close_frame() == (4400, f"invalid-target: {problem}")


@pytest.mark.parametrize("path", ["/websockify", "/api/connect"])
def test_guessing_tokens_is_slowed_down_like_guessing_passwords(path: str) -> None:
    """Five are free, then the client waits; not even a valid token is looked up then."""
    world = make_world()
    for number in range(5):
        assert response(world, f"{path}?token=guess{number}")[0] in (404, 101)
    assert response(world, f"{path}?token=guess") == (429, "too-many-requests")
    assert response(world, f"{path}?token={SECRET}") == (429, "too-many-requests")
    world.connect().send(upgrade("/websockify"))
    assert world.dialed == [("10.9.0.5", 5901)], "the default needs no token"
    world.reactor.advance(1.1)
    client = world.connect()
    client.send(upgrade(f"{path}?token={SECRET}"))
    assert world.dialed[-1] == ("10.9.0.6", 5902)


def test_authenticated_client_can_guess_no_faster() -> None:
    """A valid ticket does not reset the count of unknown tokens."""
    key = TicketKey(bytes(range(128, 160)))
    world = make_world(credentials=Credentials(ticket_key=key))
    ticket = key.issue(now=world.now, ttl_seconds=3000)
    statuses = [response(world, f"/websockify?token=guess{n}&ticket={ticket}")[0] for n in range(7)]
    assert statuses == [404] * 5 + [429] * 2
    assert response(world, f"/websockify?token={SECRET}")[0] == 401


def events(world: World) -> list[Event]:
    """Return the list to which a world's events are added."""
    found: list[Event] = []
    world.gateway.observe(found.append)
    return found


def test_token_is_in_no_record_and_the_failure_is_counted(logged: list[str]) -> None:
    """Neither one that is known nor one that is not, in the log, the events, the metrics or the response."""
    world = make_world()
    found = events(world)
    counts = EventCounts(())
    world.gateway.observe(counts)
    client = world.connect()
    client.send(upgrade(f"/websockify?token={SECRET}", Referer=f"http://gateway/vnc.html?token={SECRET}"))
    backend = world.accept()
    backend.fin()
    client.lose()
    backend.lose()
    bad = WebSocketClient(world, upgrade(f"/websockify?token={SECRET}x"))
    odd = WebSocketClient(world, upgrade(f"/websockify?token={SECRET}&token=x"))
    not_ws = world.connect()
    not_ws.send(f"GET /websockify?token={SECRET} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    for text in (str(bad.response.json), str(odd.response.json), not_ws.take().decode(), repr(found)):
        assert SECRET[:5] not in text
    assert no_secret(logged)
    opened = sentences(logged, "tunnel ")[0]
    assert re.fullmatch(r"tunnel \S+ -> token 9f86~[0-9a-f]{8} \(10\.9\.0\.6:5902\) opened", opened)
    ended = [event for event in found if isinstance(event, TunnelEnded)]
    assert [(event.slug, event.status) for event in ended] == [
        ("backend-closed", 101),
        ("unknown-token", 404),
        ("invalid-target", 400),
    ]
    assert [event.status for event in found if isinstance(event, Refused)] == [426]
    assert counts.auth_failures.counts["token"] == 1
    assert counts.tunnels.counts["unknown-token"] == 1


def test_page_of_another_origin_is_refused() -> None:
    """As everywhere: a token in a page's hands is no right of the page's."""
    world = make_world()
    assert response(world, f"/websockify?token={SECRET}", Origin="https://evil.example") == (
        403,
        "origin-refused",
    )
    assert world.dialed == []
