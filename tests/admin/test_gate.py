"""The admin listener is for the operator's programs, and for no page."""

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from portofcall.access.authenticator import Credentials
from portofcall.limits.values import Limits, Rate
from portofcall.testing import request
from tests.admin.support import AdminWorld
from tests.support import basic

PATHS = ["/metrics", "/tunnels"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", ["http://gateway", "http://127.0.0.1:9090", "https://x.example", "null"])
def test_any_origin_is_refused(path: str, origin: str) -> None:
    """Its own, too: there is no page of its own."""
    response = AdminWorld().ask("GET", path, Origin=origin)
    assert (response.status, response.json["code"]) == (403, "origin-refused")


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
