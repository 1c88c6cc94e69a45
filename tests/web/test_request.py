"""Requests are served by their path and query alone, and responses do not name the server."""

import pytest
from twisted.web.resource import Resource
from twisted.web.server import Request

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.testing import PUBLIC, Response, WebSocketClient, World, request, upgrade_request

KEY = TicketKey.load(b"0123456789abcdef0123456789abcdef")


def respond(raw: bytes, world: World | None = None) -> Response:
    """Return the response to one request."""
    transport = (world or World()).connect()
    transport.send(raw)
    return Response(transport.take())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/x", 404),
        ("OPTIONS", "*", 200),
        ("POST", "/", 405),
        ("PUT", "/api/ping", 405),
    ],
)
def test_no_response_names_the_server(method: str, path: str, status: int) -> None:
    """Its version would help only attackers; the security headers are always there."""
    response = request(World(), method, path)
    assert response.status == status
    assert "server" not in response.headers
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/x", 404), ("/api/x", 404), ("/api/ping", 405), ("/api/connect", 405)]
)
def test_head_is_answered_without_a_body(path: str, status: int, logged: list[str]) -> None:
    """With the length that the body would have, and without Twisted's warning in the log."""
    full = request(World(), "GET" if path != "/api/connect" else "PUT", path)
    response = request(World(), "HEAD", path)
    assert (response.status, response.body) == (status, b"")
    if status != 405:
        assert response.headers["content-length"] == full.headers["content-length"] != "0"
    assert not any("HEAD request" in line for line in logged)


class Raising(Resource):
    """A resource that fails, at once or behind the beginning of its response."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Fail."""
        if request.postpath == [b"late"]:
            request.setHeader("Content-Length", "5")
            request.write(b"be")
        raise ZeroDivisionError("secret")


def failing_world() -> World:
    """A gateway with a resource that fails."""
    world = World()
    root = world.gateway.resource()
    root.putChild(b"raising", Raising())
    world.site = world.gateway.site(root=root)
    return world


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/x", 404),
        ("OPTIONS", "*", 200),
        ("GET", "*", 400),
        ("PUT", "/", 405),
        ("GET", "/ping/x", 404),
        ("GET", "/api/connect", 426),
        ("GET", "/raising", 500),
    ],
)
def test_every_response_has_the_same_headers(method: str, path: str, status: int) -> None:
    """Also what Twisted makes by itself."""
    response = request(failing_world(), method, path)
    assert response.status == status
    assert response.headers["x-request-id"]
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_resource_that_raises_is_500_in_the_form_of_all_errors(logged: list[str]) -> None:
    """The details are in the log only, and the log has the request, too."""
    response = request(failing_world(), "GET", "/raising?x")
    assert response.status == 500
    assert response.json == {"success": False, "error": "see the gateway's log", "code": "internal-error"}
    assert logged[0] == "/raising"
    assert '"GET /raising?..." 500' in logged[1]


def test_resource_that_raises_within_its_response_ends_the_connection() -> None:
    """The client must not take a part for the whole."""
    connection = failing_world().connect()
    connection.send(b"GET /raising/late HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert connection.log == ["reset"]


def test_absolute_target_is_served_as_its_path() -> None:
    """RFC 9112 §3.2.2."""
    assert respond(b"GET http://gateway/ HTTP/1.1\r\nHost: gateway\r\n\r\n").status == 200
    assert respond(b"GET http://gateway/x HTTP/1.1\r\nHost: gateway\r\n\r\n").status == 404


def test_host_of_an_absolute_target_is_the_host() -> None:
    """Whatever the Host header says: origins are compared with it."""
    for target, host, status in [("gateway", "other", 101), ("other", "gateway", 403)]:
        raw = upgrade_request(Host=host, Origin="http://gateway")
        client = WebSocketClient(World(), raw.replace(b"GET /", f"GET http://{target}/".encode()))
        assert client.response.status == status


def test_semicolon_does_not_separate_parameters() -> None:
    """A proxy in front would see other parameters than the gateway."""
    client = WebSocketClient(World(), upgrade_request(f"host={PUBLIC};port=22"))
    assert client.close_frame() == (4400, "invalid-target: port must be given once in the query")
    client = WebSocketClient(World(), upgrade_request(f"host={PUBLIC}&port=22;host=10.0.0.1"))
    assert client.close_frame()[0] == 4400


def test_ticket_in_a_form_is_no_ticket() -> None:
    """A body is JSON, whatever its type says; Twisted would find parameters in it."""
    world = World(credentials=Credentials(ticket_key=KEY))
    token = KEY.issue(now=world.now, ttl_seconds=60)
    body = f'{{"host": "{PUBLIC}", "port": 1, "form": "&ticket={token}&"}}'.encode()
    form = "application/x-www-form-urlencoded"
    assert request(world, "POST", "/api/ping", body, Content_Type=form).status == 401
    assert world.dialed == []


def test_query_with_too_many_parameters_is_400() -> None:
    """Before anything is dialled."""
    response = request(World(), "POST", "/api/ping?" + "&" * 100, b'{"host": "10.0.0.1", "port": 1}')
    assert (response.status, response.json["code"]) == (400, "invalid-request")
