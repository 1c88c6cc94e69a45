"""Load balancers see whether the process lives, and whether clients should be sent to it."""

import pytest

from portofcall.access.authenticator import Credentials
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits, Rate
from portofcall.testing import Response, World, request
from portofcall.web.health import is_health_check
from tests.support import SlowChecker, sentences, turn


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_credentials(path: str) -> None:
    """Where clients have to authenticate, and from a page or under any name, too."""
    world = World(credentials=Credentials(checkers=[SlowChecker()]))
    response = request(world, "GET", path, Origin="https://elsewhere.example")
    assert (response.status, response.body) == (200, b"ok\n")
    assert response.headers["cache-control"] == "no-store"


def test_draining_gateway_lives_but_is_not_ready() -> None:
    """A load balancer sends clients elsewhere, and nobody kills the process."""
    world = World()
    world.gateway.shut_down()
    assert request(world, "GET", "/healthz").status == 200
    response = request(world, "GET", "/readyz")
    assert (response.status, response.body) == (503, b"draining\n")


@pytest.mark.parametrize(("ready_when_full", "status"), [(True, 200), (False, 503)])
def test_full_gateway_is_ready_if_the_operator_says_so(ready_when_full: bool, status: int) -> None:
    """With ``--ready-when-full no`` it is not, until a place is free again."""
    world = World()
    gateway = Gateway(
        world.reactor,
        limits=Limits(max_tunnels=1),
        resolver=world.resolver,
        ready_when_full=ready_when_full,
    )
    world.site = gateway.site()
    with gateway.admission.enter_client("192.0.2.1"):
        assert request(world, "GET", "/readyz").status == status
        assert request(world, "GET", "/healthz").status == 200
    assert request(world, "GET", "/readyz").status == 200


def test_without_a_limit_a_gateway_is_never_full() -> None:
    """0 means no limit."""
    world = World()
    gateway = Gateway(
        world.reactor, limits=Limits(max_tunnels=0), resolver=world.resolver, ready_when_full=False
    )
    world.site = gateway.site()
    assert request(world, "GET", "/readyz").status == 200


def test_health_counts_in_no_rate() -> None:
    """Neither is it refused, nor does it use up what the clients behind the same proxy may send."""
    world = World(limits=Limits(request_rate=Rate(1, 1)))
    assert [request(world, "GET", "/readyz").status for _ in range(5)] == [200] * 5
    assert request(world, "GET", "/").status == 200
    assert request(world, "GET", "/").status == 429
    assert request(world, "HEAD", "/healthz").status == 200
    assert request(world, "GET", "/healthz?from=balancer&n=1").status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        (b"POST", b"/healthz"),
        (b"GET", b"/healthz/"),
        (b"GET", b"/healthzz?x"),
        (b"GET", b"/x?/healthz"),
        (b"GET", b"http://a/healthz"),
    ],
)
def test_everything_else_is_no_health_check(method: bytes, path: bytes) -> None:
    """It is counted and logged like any request."""
    assert not is_health_check(method, path, {b"/healthz", b"/readyz"})


def test_other_methods_and_paths_below_are_refused() -> None:
    """405 names the methods; 404 is as short as anywhere."""
    response = request(World(), "POST", "/readyz", b"")
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")
    assert request(World(), "GET", "/healthz/x").status == 404
    assert request(World(), "HEAD", "/healthz").body == b""


def test_health_checks_take_turns_like_other_requests() -> None:
    """A flood of them over one connection is one request a turn, and ends with the connection's last one."""
    world = World()
    connection = world.connect()
    connection.send(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n" * 150)
    served = [connection.take().count(b"HTTP/1.1 200")]
    for _ in range(120):
        turn(world.reactor)
        served.append(connection.take().count(b"HTTP/1.1 200"))
    assert (max(served), sum(served)) == (1, 100)


def test_health_checks_are_not_logged(logged: list[str]) -> None:
    """One every few seconds would hide the rest of the access log."""
    world = World()
    connection = world.connect()
    for path in ("/healthz", "/readyz", "/readyz?x", "/healthz?", "/other"):
        connection.send(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode())
        world.reactor.advance(0)
        assert Response(connection.take()).status in (200, 404)
    (line,) = sentences(logged)
    assert line.startswith('192.0.2.1:40000 "GET /other" 404 ')
