"""A gateway can be embedded in every documented way."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.web.resource import Resource
from twisted.web.server import Site

from portofcall.egress.connector import Race
from portofcall.events import Event, LimitReached
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits
from portofcall.relay.backend_end import BackendEnd
from portofcall.relay.delivery import Delivery
from portofcall.relay.direct_read import DirectRead
from portofcall.relay.tunnel import Tunnel
from portofcall.relay.write_chain import WriteChain
from portofcall.session import Session
from portofcall.testing import Response, WebSocketClient, World, upgrade_request
from portofcall.websocket.end import WebSocketEnd
from tests.loopback import echo_server, echo_through, exchange, listening, loopback_gateway, reactor, settle


def tls_client(certificate: Path, port: int) -> str:
    """Return the client endpoint for a server on loopback with that certificate."""
    return f"tls:localhost:{port}:trustRoots={certificate.parent}:endpoint=tcp\\:127.0.0.1\\:{port}"


@pytest_twisted.ensureDeferred
async def test_factory_for_an_endpoint() -> None:
    """``endpoint.listen(gateway.site())``."""
    gateway = loopback_gateway()
    async with echo_server() as echo, listening("tcp:0:interface=127.0.0.1", gateway.site()) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", "/api/connect", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("resource", "path"),
    [(Gateway.resource, "/gateway/api/connect"), (Gateway.tunnel_resource, "/gateway")],
    ids=["whole API", "tunnel alone"],
)
async def test_resource_in_an_existing_site(resource: Callable[[Gateway], Resource], path: str) -> None:
    """``root.putChild(b"gateway", gateway.resource())``, or ``gateway.tunnel_resource()``."""
    gateway = loopback_gateway()
    root = Resource()
    root.putChild(b"gateway", resource(gateway))
    async with echo_server() as echo, listening("tcp:0:interface=127.0.0.1", Site(root)) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", path, echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
async def test_over_tls(certificate: Path) -> None:
    """``ssl:`` endpoints carry tunnels as ``tcp:`` endpoints do."""
    gateway = loopback_gateway()
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={certificate}"
    async with echo_server() as echo, listening(endpoint, gateway.site()) as port:
        await echo_through(tls_client(certificate, port), "/api/connect", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("scheme", ["tcp", "ssl"])
@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /api/ping HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4097\r\n\r\n",
    ],
)
async def test_only_responses_over_tls_have_hsts(certificate: Path, scheme: str, words: bytes) -> None:
    """RFC 6797 §7.2: never over plain HTTP."""
    key = f":privateKey={certificate}" if scheme == "ssl" else ""
    async with listening(f"{scheme}:0:interface=127.0.0.1{key}", loopback_gateway().site()) as port:
        client = tls_client(certificate, port) if key else f"tcp:127.0.0.1:{port}"
        response = await exchange(client, words)
        assert (b"\r\nStrict-Transport-Security: max-age=" in response) is bool(key)


@pytest_twisted.ensureDeferred
async def test_over_a_unix_socket(tmp_path: Path) -> None:
    """``unix:`` endpoints are for a web server in front."""
    gateway = loopback_gateway()
    path = tmp_path / "socket"
    async with echo_server() as echo, listening(f"unix:{path}", gateway.site()):
        await echo_through(f"unix:{path}", "/api/connect", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
async def test_behind_a_proxy_that_sends_the_proxy_protocol(logged: list[str]) -> None:
    """``haproxy:`` endpoints take the client's address from it."""
    gateway = loopback_gateway()
    preface = b"PROXY TCP4 192.0.2.55 127.0.0.1 5555 8080\r\n"
    async with echo_server() as echo, listening("haproxy:tcp:0:interface=127.0.0.1", gateway.site()) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", "/api/connect", echo, preface)
        await settle(gateway)
    assert any(line.startswith("tunnel 192.0.2.55:5555 ->") for line in logged)


@pytest_twisted.ensureDeferred
async def test_only_clients_with_certificates(certificate: Path) -> None:
    """Mutual TLS, through an endpoint with a trust root of its own."""
    pem = certificate.read_bytes()
    own = ssl.PrivateCertificate.loadPEM(pem)
    options = own.options(ssl.Certificate.loadPEM(pem))
    gateway = loopback_gateway()
    port = await SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1").listen(gateway.site())
    client = tls_client(certificate, cast(Any, port.getHost()).port)
    async with echo_server() as echo:
        with_certificate = f"{client}:certificate={certificate}:privateKey={certificate}"
        await echo_through(with_certificate, "/api/connect", echo)
        with pytest.raises(Exception, match="certificate required"):
            await echo_through(client, "/api/connect", echo)
        await settle(gateway)
    await cast("Deferred[None]", port.stopListening())


def test_limit_that_is_reached_is_one_line_in_the_log(logged: list[str]) -> None:
    """It names the option, however many requests are refused."""
    world = World(limits=Limits(max_per_client=1), names={"db.example": None})
    for _ in range(5):
        WebSocketClient(world, upgrade_request("host=db.example&port=5432"))
    (line,) = [line for line in logged if line.startswith("limit reached")]
    assert line.endswith(": --max-per-client 1")


def test_connection_that_is_closed_for_another_is_one_line_in_the_log(logged: list[str]) -> None:
    """It names the option and the client with the most connections."""
    world = World(limits=Limits(max_waiting=2))
    for _ in range(5):
        world.connect()
    (line,) = [line for line in logged if line.startswith("limit reached")]
    assert line == "limit reached for 192.0.2.1: --max-waiting 2"


def test_drained_gateway_refuses_requests_and_keeps_its_tunnels() -> None:
    """New ones get 503 with Retry-After, and load balancers are to send none."""
    world = World()
    client = WebSocketClient(world)
    assert (world.gateway.accepting, world.gateway.draining) == (True, False)
    world.gateway.drain()
    assert (world.gateway.accepting, world.gateway.draining) == (False, True)
    refused = WebSocketClient(world).response
    assert (refused.status, refused.json["code"]) == (503, "draining")
    assert refused.headers["retry-after"] == "5"
    client.backend.protocol.dataReceived(b"still here")
    assert client.received() == [(2, b"still here")]


def test_observers_are_called_with_each_event_and_cannot_end_anything() -> None:
    """One that fails is logged, and the next one is called all the same."""
    world = World(limits=Limits(max_tunnels=1))
    seen: list[Event] = []

    def fail(event: Event) -> None:
        raise ValueError(event)

    world.gateway.observe(fail)
    world.gateway.observe(seen.append)
    WebSocketClient(world)
    with capturedLogs() as logs:
        WebSocketClient(world)
    assert LimitReached("max_tunnels", "") in seen
    assert [log["log_failure"].type for log in logs if "log_failure" in log]


def test_drained_gateway_closes_connections_after_the_next_response() -> None:
    """So that clients come back to another gateway, and a load balancer keeps no connection to this one."""
    world = World()
    connection = world.connect()
    for closes in (False, True):
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: gateway\r\n\r\n")
        response = Response(connection.take())
        assert (response.status, response.headers.get("connection") == "close") == (200, closes)
        world.reactor.advance(0)
        world.gateway.drain()
    assert connection.log[-1] == "close"


@pytest_twisted.ensureDeferred
async def test_tunnel_that_is_over_is_freed_at_once() -> None:
    """No part of it keeps another one alive, so that no memory waits for the garbage collector."""

    def parts() -> list[object]:
        kinds = (Tunnel, Session, WebSocketEnd, BackendEnd, DirectRead, Delivery, WriteChain, Race)
        return [part for part in gc.get_objects() if isinstance(part, kinds)]

    gateway = loopback_gateway()
    gc.collect()
    before = set(map(id, parts()))  # of tests before this one
    gc.disable()
    try:
        async with echo_server() as echo, listening("tcp:0:interface=127.0.0.1", gateway.site()) as port:
            for _ in range(3):
                await echo_through(f"tcp:127.0.0.1:{port}", "/api/connect", echo)
            await settle(gateway)
        await deferLater(reactor, 0)
        assert [type(kept) for kept in parts() if id(kept) not in before] == []
    finally:
        gc.enable()
