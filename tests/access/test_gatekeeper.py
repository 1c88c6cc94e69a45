"""Admission: origins, clients and credentials, checked before any upgrade, ping or banner."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address

from portofcall.access.authenticator import Credentials
from portofcall.access.client_address import parse_network
from portofcall.access.gatekeeper import AccessRules
from portofcall.access.ticket_key import TicketKey
from portofcall.limits.values import Limits, Rate
from portofcall.testing import (
    PUBLIC,
    FakeTransport,
    Response,
    WebSocketClient,
    World,
    request,
    upgrade_request,
)
from tests.support import SlowChecker

PING = b'{"host": "93.184.215.14", "port": 443}'
NOW = 1_800_000_000.0
KEY = TicketKey.load(b"0123456789abcdef0123456789abcdef")


def ping(world: World, *, query: str = "", **headers: str) -> Response:
    """Request a ping; one that is admitted is answered only after the target has accepted."""
    lines = [f"POST /api/ping{query} HTTP/1.1", "Host: gateway", f"Content-Length: {len(PING)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    transport = world.connect()
    dialed = len(world.dialed)
    transport.send("\r\n".join([*lines, "", ""]).encode("latin-1") + PING)
    if len(world.dialed) > dialed:
        world.accept()
    return Response(transport.take())


def upgrade(world: World, query: str = "", **headers: Any) -> WebSocketClient:
    """Request a tunnel."""
    return WebSocketClient(world, upgrade_request(f"host={PUBLIC}&port=22{query}", **headers))


def basic(text: str) -> str:
    """Write an Authorization header."""
    return "Basic " + base64.b64encode(text.encode()).decode()


def passwords(**users: str) -> Credentials:
    """Make credentials that know these users."""
    checker = InMemoryUsernamePasswordDatabaseDontUse()
    for user, password in users.items():
        checker.addUser(user.encode(), password.encode())
    return Credentials(checkers=[checker])


def tickets() -> Credentials:
    """Make credentials that take tickets of `KEY`."""
    return Credentials(ticket_key=KEY)


@pytest.mark.parametrize("ask", [ping, upgrade])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://gateway", None),
        ("https://gateway", None),
        ("http://gateway:8080", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("https://pages.example", None),
        ("gateway", 400),
        ("http://gateway/path", 400),
    ],
)
def test_cross_origin_pages_are_refused(ask: Any, origin: str, status: int | None) -> None:
    """The gateway's own origin and those of --origin are allowed."""
    world = World(rules=AccessRules(origins=frozenset({"https://pages.example"})))
    result = ask(world, Origin=origin)
    answer = result.response if isinstance(result, WebSocketClient) else result
    assert answer.status == (status or (101 if isinstance(result, WebSocketClient) else 200))
    if status == 403:
        assert answer.json["code"] == "origin-refused"


def test_two_origins_are_400() -> None:
    """Browsers send one."""
    raw = upgrade_request().replace(
        b"Host: gateway", b"Host: gateway\r\nOrigin: http://gateway\r\nOrigin: http://gateway"
    )
    assert WebSocketClient(World(), raw).response.status == 400


def test_page_that_rebinds_its_name_to_loopback_is_refused() -> None:
    """DNS rebinding: Origin and Host agree, but the name is not known for this host."""
    for host, status in [("evil.example:8080", 403), ("localhost:8080", 101), ("127.0.0.1:8080", 101)]:
        world = World()
        transport = world.connect(local_host="127.0.0.1")
        transport.send(upgrade_request(Host=host, Origin=f"http://{host}"))
        assert Response(transport.take()).status == status


def test_proxy_on_the_same_host_may_forward_its_name() -> None:
    """It has a port of its own, which it forwards or leaves out."""
    world = World()
    transport = world.connect(local_host="127.0.0.1")
    transport.send(upgrade_request(Host="gateway.example", Origin="https://gateway.example"))
    assert Response(transport.take()).status == 101


@pytest.mark.parametrize("ask", [ping, upgrade])
def test_without_credentials_it_is_401(ask: Any) -> None:
    """And the response names the scheme."""
    result = ask(World(credentials=passwords(ada="lovelace")))
    answer = result.response if isinstance(result, WebSocketClient) else result
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert answer.json["code"] == "unauthorized"


def test_password_is_accepted_and_the_log_names_the_user(logged: list[str]) -> None:
    """The password is never logged."""
    world = World(credentials=passwords(ada="lovelace"))
    assert ping(world, Authorization=basic("ada:lovelace")).status == 200
    assert upgrade(world, Authorization=basic("ada:lovelace")).response.status == 101
    assert ping(world, Authorization=basic("ada:babbage")).status == 401
    assert any("tunnel ada@192.0.2.1:40000" in line for line in logged)
    assert not any("lovelace" in line or "babbage" in line for line in logged)


def test_ticket_opens_its_target_once(logged: list[str]) -> None:
    """A single-use ticket for one target; it is never logged."""
    world = World(credentials=tickets())
    token = KEY.issue(now=NOW, ttl_seconds=60, host=PUBLIC, port=22, subject="page", once=True)
    elsewhere = WebSocketClient(world, upgrade_request(f"host={PUBLIC}&port=23&ticket={token}"))
    assert elsewhere.response.status == 401
    assert upgrade(world, f"&ticket={token}").response.status == 101
    assert upgrade(world, f"&ticket={token}").response.status == 401
    assert ping(world, query=f"?ticket={token}").status == 401
    assert any("tunnel page@" in line for line in logged)
    assert not any(token[:20] in line for line in logged)


def test_ticket_without_a_sound_target_is_not_used_up() -> None:
    """A typing error does not cost the ticket."""
    world = World(credentials=tickets())
    token = KEY.issue(now=NOW, ttl_seconds=60, once=True)
    slip = WebSocketClient(world, upgrade_request(f"host={PUBLIC}&port=0&ticket={token}"))
    assert slip.response.status == 101
    assert slip.close_frame()[0] == 4400
    assert upgrade(world, f"&ticket={token}").response.status == 101


@pytest.fixture
def slow() -> Iterator[tuple[World, SlowChecker]]:
    """A world with a slow password checker."""
    checker = SlowChecker()
    credentials = Credentials(checkers=[checker])
    return World(credentials=credentials), checker  # type: ignore[return-value]


def test_client_that_leaves_during_authentication_frees_its_place(slow: tuple[World, SlowChecker]) -> None:
    """Nothing stays counted."""
    world, _ = slow
    transport = world.connect()
    transport.send(upgrade_request(Authorization=basic("a:b")))
    assert world.gateway.admission.used == 1
    transport.lose()
    assert world.gateway.admission.used == 0


def test_too_many_of_one_client_are_429_with_retry_after() -> None:
    """Tunnels and pings count alike, and a closed tunnel frees its place."""
    world = World(limits=Limits(max_per_client=1))
    client = upgrade(world)
    for answer in (ping(world), upgrade(world).response):
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.json["code"] == "too-many-requests"
    client.transport.lose()
    client.backend.lose()
    assert ping(world).status == 200


def test_too_fast_is_429_with_retry_after() -> None:
    """Tunnels and pings share one rate."""
    world = World(limits=Limits(rate_per_client=Rate(0.25, 2)))
    assert [ping(world).status for _ in range(2)] == [200, 200]
    answer = ping(world)
    assert (answer.status, answer.headers["retry-after"]) == (429, "4")
    world.reactor.advance(4)
    assert ping(world).status == 200


def test_busy_target_is_429_over_http() -> None:
    """The same error as Close 4429."""
    world = World(limits=Limits(rate_per_target=Rate(0.5, 1)))
    assert ping(world).status == 200
    answer = ping(world)
    assert (answer.status, answer.json["code"], answer.headers["retry-after"]) == (429, "target-busy", "2")


def test_forwarded_client_is_counted_if_the_proxy_is_trusted(logged: list[str]) -> None:
    """Otherwise the header is ignored, because any client can write it."""
    trusting = World(
        rules=AccessRules(trusted=(parse_network("192.0.2.0/24"),)), limits=Limits(max_per_client=1)
    )
    for address in ("198.51.100.1", "198.51.100.2"):
        assert upgrade(trusting, X_Forwarded_For=f"203.0.113.9, {address}").response.status == 101
    assert upgrade(trusting, X_Forwarded_For="198.51.100.2").response.status == 429
    assert any("tunnel 198.51.100.1 ->" in line for line in logged)
    wary = World(limits=Limits(max_per_client=1))
    assert upgrade(wary, X_Forwarded_For="198.51.100.1").response.status == 101
    assert upgrade(wary, X_Forwarded_For="198.51.100.2").response.status == 429


def test_no_request_is_admitted_during_shutdown() -> None:
    """503 with Retry-After."""
    world = World()
    world.gateway.shut_down()
    for answer in (ping(world), upgrade(world).response):
        assert answer.status == 503
        assert answer.json["code"] == "draining"
        assert int(answer.headers["retry-after"]) > 0


def test_gateway_is_never_its_own_target() -> None:
    """Whatever the rules say."""
    world = World(allow=["127.0.0.1", "public"], names={"me.example.com": ["127.0.0.1"]})
    world.gateway.loop_guard.add("0.0.0.0", 8080)
    for host in ("127.0.0.1", "me.example.com"):
        code, reason = WebSocketClient(world, upgrade_request(f"host={host}&port=8080")).close_frame()
        assert (code, reason) == (4403, f"blocked: {host}:8080 is this gateway itself")
    assert WebSocketClient(world, upgrade_request("host=127.0.0.1&port=8081")).received() == []


def test_rules_are_parsed_from_text() -> None:
    """As options take them: origins in their canonical form, an address as a network."""
    rules = AccessRules.parse(origins=["https://Pages.example:443"], trusted=["10.0.0.0/8", "192.0.2.1"])
    assert rules.origins == {"https://pages.example"}
    assert [str(network) for network in rules.trusted] == ["10.0.0.0/8", "192.0.2.1/32"]
    assert AccessRules.parse() == AccessRules()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"origins": ["pages.example"]}, ValueError, "origins: expected an origin .*, got 'pages.example'"),
        ({"trusted": ["10.0.0.1/8"]}, ValueError, "trusted: expected an address, .*, got '10.0.0.1/8'"),
        ({"trusted": ["\n"]}, ValueError, r"got '\\n'"),
        ({"origins": "https://a.example"}, TypeError, "origins: expected a collection"),
    ],
)
def test_rules_that_are_not_valid_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """The message names the argument, what was expected, and the text."""
    with pytest.raises(error, match=message):
        AccessRules.parse(**arguments)


@pytest.mark.parametrize(("trusted", "warned"), [((), True), (("127.0.0.1",), False)])
def test_proxy_that_is_not_trusted_is_named_in_a_warning(
    trusted: tuple[str, ...], warned: bool, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, at the first 429 of this host: all clients behind it are counted as one."""
    peer = IPv4Address("TCP", "127.0.0.1", 40000)
    monkeypatch.setattr(FakeTransport, "getPeer", lambda _: peer)
    rules = AccessRules(trusted=tuple(parse_network(text) for text in trusted))
    world = World(limits=Limits(request_rate=Rate(1, 1)), rules=rules)
    statuses = [request(world, "GET", "/", X_Forwarded_For="198.51.100.1").status for _ in range(4)]
    assert statuses == [200, 429, 429, 429]
    found = [line for line in logged if "--trust-forwarded" in line]
    assert len(found) == warned
    if warned:
        assert found[0].startswith("127.0.0.1:40000 sends too many requests")
    assert any("--request-rate 1:1" in line for line in logged)


def test_remote_client_over_the_rate_is_not_taken_for_a_proxy(logged: list[str]) -> None:
    """The warning is about this host only."""
    world = World(limits=Limits(request_rate=Rate(1, 1)))
    assert [request(world, "GET", "/").status for _ in range(2)] == [200, 429]
    assert not any("--trust-forwarded" in line for line in logged)
