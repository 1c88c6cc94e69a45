"""The admin listener is for the operator's programs, and for no page."""

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address

from portofcall.access.authenticator import Credentials
from portofcall.errors import TooManyRequests
from portofcall.events import Event, LimitReached, Refused
from portofcall.limits.values import Limits, Rate
from portofcall.testing import Response, request
from tests.admin.support import AdminWorld
from tests.support import basic

PATHS = ["/metrics", "/tunnels"]
#: Requests of all kinds, with the status that the operator gets.
ALL = [
    ("GET", "/metrics", 200),
    ("GET", "/tunnels", 200),
    ("GET", "/healthz", 200),
    ("HEAD", "/readyz?x", 200),
    ("POST", "/healthz", 405),
    ("GET", "/healthz/x", 404),
    ("GET", "/", 404),
    ("GET", "/x/y", 404),
    ("PUT", "/api/connect", 404),
    ("POST", "/metrics", 405),
    ("GET", "/metrics/x", 404),
    ("GET", "/tunnels/x", 405),
    ("DELETE", "/tunnels/x/y", 404),
    ("OPTIONS", "/loglevel", 405),
]


@pytest.mark.parametrize(("method", "path", "status"), ALL)
def test_any_origin_is_refused(method: str, path: str, status: int) -> None:
    """Its own, too: there is no page of its own. Where there is nothing, and for health checks as well."""
    world = AdminWorld()
    for origin in ("http://gateway", "http://127.0.0.1:9090", "https://x.example", "null"):
        response = world.ask(method, path, Origin=origin)
        assert response.status == 403
        assert method == "HEAD" or response.json["code"] == "origin-refused"
    assert world.ask(method, path).status == status


@pytest.mark.parametrize(("method", "path", "status"), ALL)
def test_any_request_needs_the_name_of_the_listener(method: str, path: str, status: int) -> None:
    """A page that rebinds its name to loopback learns nothing, not even what is there."""
    world = AdminWorld()
    assert world.ask(method, path, local="127.0.0.1", Host="rebound.example:8080").status == 403
    assert world.ask(method, path, local="127.0.0.1", Host="localhost:8080").status == status
    refusals = [event for event in world.admin_events if isinstance(event, Refused)]
    assert refusals[0].slug == "origin-refused"


@pytest.mark.parametrize(("method", "path", "status"), ALL)
def test_all_but_health_needs_credentials(method: str, path: str, status: int) -> None:
    """Where there are some, a stranger does not learn which paths and methods there are."""
    world = AdminWorld(operators=operators())
    health = path.startswith(("/healthz", "/readyz"))
    assert world.ask(method, path).status == (status if health else 401)
    assert world.ask(method, path, Authorization=basic("ops", "secret")[0].decode()).status == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_causes_is_refused(site: str) -> None:
    """An image of a page has no Origin, but makes work."""
    assert AdminWorld().ask("GET", "/metrics", Sec_Fetch_Site=site).status == 403


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_operator_may_use_a_browser(site: str) -> None:
    """By its address bar."""
    assert AdminWorld().ask("GET", "/metrics", Sec_Fetch_Site=site).status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost:8080", 200),
        ("[::1]:8080", 200),
        ("rebound.example:8080", 403),
        ("LOCALHOST.example:8080", 403),
        ("localhost:8080.rebound.example:8080", 403),
        ("", 400),
    ],
)
def test_host_is_checked_without_an_origin(host: str, status: int) -> None:
    """A page that rebinds its name to 127.0.0.1 sends GET without an Origin, and could read the response."""
    assert AdminWorld().ask("GET", "/tunnels", local="127.0.0.1", Host=host).status == status


def test_error_about_the_host_offers_no_option_of_the_gateway() -> None:
    """--origin is for pages of the gateway's clients."""
    error = AdminWorld().ask("GET", "/tunnels", local="127.0.0.1", Host="rebound.example:8080").json["error"]
    assert error == "the name of the admin listener is localhost, or its address"


def operators() -> Credentials:
    """Make a checker that knows one operator."""
    checker = InMemoryUsernamePasswordDatabaseDontUse()
    checker.addUser(b"ops", b"secret")
    return Credentials(checkers=[checker])


@pytest.mark.parametrize("path", PATHS)
def test_credentials_are_required_where_there_are_some(path: str) -> None:
    """As for the gateway, but they are others."""
    world = AdminWorld(operators=operators())
    refused = world.ask("GET", path)
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert world.ask("GET", path, Authorization=basic("ops", "wrong")[0].decode()).status == 401
    world.reactor.advance(5)
    assert world.ask("GET", path, Authorization=basic("ops", "secret")[0].decode()).status == 200


def test_options_of_the_whole_server_are_no_way_around_it() -> None:
    """Twisted would respond with 200 by itself, to pages and to strangers."""
    world = AdminWorld(operators=operators())
    assert world.ask("OPTIONS", "*", Origin="https://x.example").status == 403
    assert world.ask("OPTIONS", "*", local="127.0.0.1", Host="rebound.example:8080").status == 403
    assert world.ask("OPTIONS", "*").status == 404


def test_page_is_refused_before_its_body_is_read() -> None:
    """Whatever it sends."""
    world = AdminWorld()
    connection = world.admin_connection()
    head = "PUT /loglevel HTTP/1.1\r\nHost: gateway\r\nOrigin: null\r\nContent-Length: 4000\r\n\r\n"
    connection.send(head.encode())
    assert Response(connection.take()).status == 403


def test_waiting_connections_of_clients_and_operators_are_counted_apart() -> None:
    """Each kind closes only its own when there are too many."""
    world = AdminWorld(limits=Limits(max_waiting=1))
    operator, first = world.admin_connection(), world.connect()
    world.connect()
    assert ("reset" in first.log, "reset" in operator.log) == (True, False)
    world.admin_connection()
    assert "reset" in operator.log
    assert world.admin_events == [LimitReached("max_waiting", "192.0.2.1")]


def test_tls_handshakes_of_clients_and_operators_are_counted_apart() -> None:
    """A flood on a TLS listener of the gateway takes nothing from a tls+ admin endpoint."""
    world = AdminWorld(limits=Limits(request_rate=Rate(1, 1)))
    peer = IPv4Address("TCP", "192.0.2.1", 40000)
    for handshakes in (world.gateway.handshakes, world.admin.handshakes):
        handshakes.count(peer)
        with pytest.raises(TooManyRequests):
            handshakes.count(peer)
    refused = world.admin_events[-1]
    assert isinstance(refused, Refused)
    assert refused.slug == "too-many-requests"


def test_observers_of_the_gateway_see_nothing_of_it(logged: list[str]) -> None:
    """What happens on the admin listener is no event of the gateway, but it is in its log and its metrics."""
    world = AdminWorld(limits=Limits(request_rate=Rate(1, 1)))
    seen: list[Event] = []
    world.gateway.observe(seen.append)
    world.ask("GET", "/metrics", Origin="https://x.example")
    world.ask("GET", "/metrics")
    world.ask("GET", "/metrics")
    assert seen == []
    slugs = [event.slug for event in world.admin_events if isinstance(event, Refused)]
    assert slugs == ["origin-refused", "too-many-requests"]
    assert "limit reached on the admin listener for 192.0.2.1: request-rate 1:1" in logged


def test_pages_use_up_nothing_of_the_operators_rate() -> None:
    """A page in the operator's browser has the operator's address."""
    world = AdminWorld(limits=Limits(request_rate=Rate(1, 1)))
    pages = [world.ask("GET", "/metrics", Origin="https://x.example").status for _ in range(5)]
    assert pages == [403] * 5
    assert world.ask("GET", "/metrics").status == 200


def test_operator_is_named_in_the_log(logged: list[str]) -> None:
    """Who ended a tunnel, or changed what is logged."""
    world = AdminWorld(operators=operators())
    login = basic("ops", "secret")[0].decode()
    world.ask("DELETE", "/tunnels?subject=ada", Authorization=login)
    world.ask("DELETE", "/tunnels/x", Authorization=login)
    assert logged[0].startswith('ops@192.0.2.1:40000 "DELETE /tunnels?subject=ada" 200 ')
    assert logged[1].startswith("ops@192.0.2.1:40000 refused: not-found: ")


def test_sums_of_refusals_are_written_in_the_end(logged: list[str]) -> None:
    """They would be lost otherwise."""
    world = AdminWorld()
    for _ in range(12):
        world.ask("GET", "/metrics", Origin="https://x.example")
    assert len(logged) == 10
    world.admin.log.flush()
    assert logged[-1].endswith(" (and 2 more like this)")


def test_a_flood_of_clients_does_not_lock_the_operator_out() -> None:
    """Rates are counted apart, although both come from 127.0.0.1."""
    world = AdminWorld(limits=Limits(request_rate=Rate(1, 1), rate_per_client=Rate(1, 1), max_tunnels=1))
    assert [request(world, "GET", "/").status for _ in range(2)] == [200, 429]
    with world.gateway.admission.enter_client("192.0.2.1"):
        assert world.ask("GET", "/metrics").status == 200
    assert world.ask("GET", "/metrics").status == 429


@pytest.mark.parametrize("path", [*PATHS, "/tunnels/x"])
def test_nothing_of_it_is_on_other_listeners(path: str) -> None:
    """A client finds a 404 there, like anywhere."""
    world = AdminWorld()
    for method in ("GET", "DELETE"):
        assert request(world, method, path).status in (404, 405)


@pytest.mark.parametrize("path", ["/", "/x", "/metrics/x", "/tunnels/x/y", "/api/ping", "/static/x"])
def test_other_paths_are_404(path: str) -> None:
    """The API of the gateway is one of them."""
    assert AdminWorld().ask("GET", path).status == 404


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_here_too(path: str) -> None:
    """Without credentials, as on every listener."""
    assert AdminWorld(operators=operators()).ask("GET", path).status == 200
