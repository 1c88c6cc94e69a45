"""Each request has one record of what became of it."""

import base64
import json

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.error import ConnectionRefusedError

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.events import (
    Event,
    LimitReached,
    Probe,
    ProbeEnded,
    Refused,
    RequestServed,
    Side,
    Stage,
    TunnelOpened,
)
from portofcall.limits.values import Limits, Rate
from portofcall.testing import PUBLIC, Response, WebSocketClient, World, upgrade_request
from portofcall.web.records import shown_request
from tests.support import Post, SlowChecker

KEY = TicketKey.load(b"0123456789abcdef0123456789abcdef")
PASSWORDS = Credentials(checkers=[InMemoryUsernamePasswordDatabaseDontUse(ada=b"lovelace")], ticket_key=KEY)
PING = {"host": PUBLIC, "port": 443}


def events(world: World) -> list[Event]:
    """Return the list to which the events of a world are added."""
    seen: list[Event] = []
    world.gateway.observe(seen.append)
    return seen


def basic(user: str, password: str) -> str:
    """Write an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def get(world: World, path: str) -> Response:
    """Send a request with GET."""
    connection = world.connect()
    connection.send(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
    return Response(connection.take())


def test_ping_has_one_record() -> None:
    """With the dial, how long each part took, and the round trip; its id is that of the response."""
    world = World(names={"db.example": [PUBLIC]})
    seen = events(world)
    post = Post(world, "/api/ping", {"host": "db.example", "port": 5432})
    world.reactor.advance(0.125)
    world.accept()
    (event,) = seen
    assert isinstance(event, ProbeEnded)
    assert (event.probe, event.slug, event.outcome, event.stage) == (Probe.PING, "ok", "open", Stage.OPEN)
    assert event.route.address == f"{PUBLIC}:5432"
    assert (event.route.look_up_seconds, event.route.dial_seconds, event.route.rtt_ms) == (0, 0.125, 125)
    assert (event.side, event.status, event.seconds) == (Side.GATEWAY, 200, 0.125)
    assert post.response.headers["x-request-id"] == event.caller.request_id


def test_probe_that_fails_has_one_record() -> None:
    """With the error, who ended it, in which stage that was, and the status that the client got."""
    world = World()
    seen = events(world)
    Post(world, "/api/ssh/connect", {"host": "10.0.0.1"})
    Post(world, "/api/ssh/connect", {"host": PUBLIC})
    world.refuse(ConnectionRefusedError())
    Post(world, "/api/ssh/connect", {"host": PUBLIC})
    world.accept().send(b"HTTP/1.1 400 Bad Request\r\n" * 60)
    Post(world, "/api/ssh/connect", {"host": PUBLIC}).transport.lose()
    found = [
        (event.slug, event.side, event.stage, event.status) for event in seen if isinstance(event, ProbeEnded)
    ]
    assert found == [
        ("blocked", Side.GATEWAY, Stage.DNS, 403),
        ("refused", Side.BACKEND, Stage.DIAL, 502),
        ("not-ssh", Side.BACKEND, Stage.OPEN, 502),
        ("client-lost", Side.CLIENT, Stage.DIAL, 0),
    ]
    assert len(seen) == 4, "and no other record"


def test_banner_is_the_outcome() -> None:
    """Escaped, as it comes from outside."""
    world = World()
    seen = events(world)
    Post(world, "/api/ssh/connect", {"host": PUBLIC})
    world.accept().send(b"SSH-2.0-x \x1b[31m\r\n")
    assert isinstance(seen[0], ProbeEnded)
    assert seen[0].outcome == "SSH-2.0-x \\x1b[31m"


def refusal(world: World, raw: bytes) -> tuple[Refused, Response]:
    """Ask for a tunnel that is refused; return its only event and the response."""
    seen = events(world)
    response = WebSocketClient(world, raw).response
    (event,) = [event for event in seen if not isinstance(event, LimitReached)]
    assert isinstance(event, Refused)
    assert event.slug == response.json["code"]
    assert event.status == response.status
    assert event.caller.request_id == response.headers["x-request-id"]
    return event, response


def test_refused_origin_is_named() -> None:
    """And the request, but no secret of it."""
    raw = upgrade_request(f"host={PUBLIC}&port=22&ticket=secret", Origin="https://evil.example")
    event, _ = refusal(World(), raw)
    assert event.slug == "origin-refused"
    assert "https://evil.example" in event.sentence
    assert event.request == "GET /api/connect?..."
    assert (event.target, event.stage, event.seconds) == (f"{PUBLIC}:22", Stage.REQUEST, 0)


@pytest.mark.parametrize(
    ("query", "authorization", "attempted", "user"),
    [
        ("", None, "none", ""),
        ("", basic("ada", "wrong-secret"), "password", "ada"),
        ("", basic("\u202enobody", "wrong-secret"), "password", "\\u202enobody"),
        ("", basic("x" * 700, "wrong-secret"), "password", "x" * 61 + "..."),
        ("", "Basic ====", "password", ""),
        ("&ticket=wrong-secret", None, "ticket", ""),
    ],
)
def test_failed_login_names_the_user(
    query: str, authorization: str | None, attempted: str, user: str, logged: list[str]
) -> None:
    """And how the client tried; the secret appears nowhere."""
    raw = upgrade_request(f"host={PUBLIC}&port=22{query}", Authorization=authorization)
    event, _ = refusal(World(credentials=PASSWORDS), raw)
    assert (event.slug, event.attempted, event.user) == ("unauthorized", attempted, user)
    assert "secret" not in f"{event}{logged}"


def test_ticket_that_is_refused_although_it_is_signed_names_its_subject() -> None:
    """It is for another target."""
    world = World(credentials=PASSWORDS)
    ticket = KEY.issue(now=world.now, ttl_seconds=60, subject="ada", host="192.0.2.10")
    event, _ = refusal(world, upgrade_request(f"host={PUBLIC}&port=22&ticket={ticket}"))
    assert (event.attempted, event.user) == ("ticket", "ada")


def test_request_over_the_rate_has_a_record_with_its_id() -> None:
    """Although it is refused before it is complete."""
    world = World(limits=Limits(request_rate=Rate(1, 1)))
    get(world, "/")
    event, _ = refusal(world, upgrade_request(f"host={PUBLIC}&port=22&ticket=secret"))
    assert event.slug == "too-many-requests"
    assert (event.request, event.target, event.seconds) == ("GET /api/connect?...", "", 0)


def test_refusal_has_its_target_and_how_long_it_took() -> None:
    """Also that of a probe; a slow checker is seen here."""
    checker = SlowChecker()
    world = World(credentials=Credentials(checkers=[checker]))
    seen = events(world)
    connection = world.connect()
    head = f"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nAuthorization: {basic('ada', 'wrong')}\r\n"
    body = json.dumps(PING)
    connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    world.reactor.advance(2)
    checker.decision.errback(UnauthorizedLogin())
    (event,) = seen
    assert isinstance(event, Refused)
    assert (event.slug, event.target, event.seconds) == ("unauthorized", f"{PUBLIC}:443", 2)


def test_request_without_an_end_is_refused_with_as_much_as_is_known() -> None:
    """Neither a target nor a duration, as its head never was complete."""
    world = World()
    seen = events(world)
    connection = world.connect()
    connection.send(b"GET /api/connect?host=a&port=1 HTTP/1.1\r\nHost: gat")
    world.reactor.advance(60)
    (event,) = seen
    assert isinstance(event, Refused)
    assert (event.slug, event.request, event.target, event.seconds) == ("request-timeout", "", "", None)


def test_other_requests_have_a_record_too() -> None:
    """With the status and the size."""
    world = World()
    seen = events(world)
    response = get(world, "/nothing?host=1")
    (event,) = seen
    assert isinstance(event, RequestServed)
    assert (event.method, event.path, event.status, event.size) == ("GET", "/nothing?host=1", 404, 23)
    assert event.caller.request_id == response.headers["x-request-id"]


def test_request_and_refusal_after_a_login_have_its_subject() -> None:
    """So that the log shows whose they were; what is refused before has none."""
    world = World(credentials=PASSWORDS)
    seen = events(world)
    connection = world.connect()
    login = f"Authorization: {basic('ada', 'lovelace')}"
    connection.send(f"GET /api/targets HTTP/1.1\r\nHost: gateway\r\n{login}\r\n\r\n".encode())
    assert Response(connection.take()).status == 200
    get(world, "/api/targets")
    served, refused = seen
    assert isinstance(served, RequestServed)
    assert served.caller.subject == "ada"
    assert isinstance(refused, Refused)
    assert refused.caller.subject == ""


def test_gateway_that_drains_during_a_login_refuses_its_subject() -> None:
    """The checker took its time, and the log has for whom."""
    checker = SlowChecker()
    world = World(credentials=Credentials(checkers=[checker]))
    seen = events(world)
    connection = world.connect()
    connection.send(upgrade_request(Authorization=basic("ada", "lovelace")))
    world.gateway.drain()
    checker.decision.callback(b"ada")
    assert Response(connection.take()).status == 503
    (refused,) = seen
    assert isinstance(refused, Refused)
    assert (refused.slug, refused.caller.subject) == ("draining", "ada")


def test_wrong_method_and_wrong_path_of_the_api_are_refusals() -> None:
    """Once each."""
    world = World()
    seen = events(world)
    get(world, "/api/ping")
    get(world, "/api/ping/deeper")
    assert [event.slug for event in seen if isinstance(event, Refused)] == ["method-not-allowed", "not-found"]
    assert len(seen) == 2


def test_tunnel_has_the_id_of_its_response() -> None:
    """So that a client can name it in a report."""
    world = World()
    seen = events(world)
    client = WebSocketClient(world)
    (event,) = seen
    assert isinstance(event, TunnelOpened)
    assert client.response.headers["x-request-id"] == event.caller.request_id


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
        (b"/api/connect?host=a&password=secret", "/api/connect?..."),
        (b"/?token=secret", "/?..."),
        (b"http://ada:secret@gw/api/ping?host=a", "http://...@gw/api/ping?host=a"),
        (b"//ada:secret@gw/", "//...@gw/"),
        (b"/\x1b[31m\xff", "/\\x1b[31m\\xff"),
    ],
)
def test_shown_request_is_plain_and_keeps_secrets(uri: bytes, shown: str) -> None:
    """A log is read in a terminal, and by more people than a secret is for."""
    assert shown_request(b"POST", uri) == ("POST", shown)
