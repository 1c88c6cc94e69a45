"""Connections to a gateway with real sockets: TLS, UNIX sockets, and proxies in between."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from portofcall.client import Gateway, GatewayEndpoint, GatewayURL, Problem, Route, Status
from portofcall.client.api import ping
from portofcall.client.dial import Stream
from portofcall.client.proxy import Proxy
from portofcall.client.tls import TLSOptions
from portofcall.service.tls import Contexts, ServerTLS, TLSFactory
from portofcall.target import Target
from tests.certificates import Authority
from tests.client.support import result
from tests.loopback import DEADLINE, echo_server, listening, loopback_gateway, reactor, settle
from tests.tls_client import material

ROOT = Authority()
CLIENTS = Authority("Test Clients")


class Talk(Protocol):
    """Says something, and collects the answer until it is complete."""

    def __init__(self, size: int) -> None:
        self.data = b""
        self.done: Deferred[bytes] = Deferred()
        self._size = size

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) == self._size:
            self.done.callback(self.data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.done.called:
            self.done.errback(reason)


async def echo_through(route: Route, port: int) -> None:
    """Send bytes through the gateway to the echo server, and get them back."""
    endpoint = GatewayEndpoint(reactor, route, "127.0.0.1", port)
    talk = await connectProtocol(endpoint, Talk(300_000))
    cast(Any, talk.transport).write(b"abc" * 100_000)
    assert await talk.done.addTimeout(DEADLINE, reactor) == b"abc" * 100_000
    cast(Any, talk.transport).loseConnection()


@asynccontextmanager
async def gateway(endpoint: str = "tcp:0:interface=127.0.0.1") -> AsyncIterator[int]:
    """Serve a gateway, and yield its port."""
    served = loopback_gateway()
    async with listening(endpoint, served.site()) as port:
        yield port
        await settle(served)


@asynccontextmanager
async def tls_gateway(*, clients: tuple[Authority, ...] = ()) -> AsyncIterator[int]:
    """Serve a gateway with TLS for ``localhost``, and yield its port."""
    served = loopback_gateway()
    tls = ServerTLS(Contexts(material(ROOT.issue("localhost"), clients=clients)), monotonic=reactor.seconds)
    factory = TLSFactory(tls, served.site(), clock=reactor, handshakes=served.handshakes)
    async with listening("tcp:0:interface=127.0.0.1", factory) as port:
        yield port
        await settle(served)


def route(url: str, **options: Any) -> Route:
    """Return a route."""
    return Route(url=GatewayURL.parse(url), **options)


@pytest_twisted.ensureDeferred
async def test_over_tcp() -> None:
    """By address and by name."""
    async with echo_server() as echo, gateway() as port:
        await echo_through(route(f"ws://127.0.0.1:{port}"), echo)
        await echo_through(route(f"ws://localhost:{port}"), echo)


@pytest_twisted.ensureDeferred
async def test_over_a_unix_socket(tmp_path: Path) -> None:
    """A proxy is never asked for one."""
    path = tmp_path / "socket"
    async with echo_server() as echo, gateway(f"unix:{path}"):
        await echo_through(route(f"unix:{path}", proxy=Proxy.parse("http://192.0.2.1:1")), echo)


@pytest_twisted.ensureDeferred
async def test_over_tls(tmp_path: Path) -> None:
    """The certificate is verified against the authorities of a file."""
    tls = TLSOptions(cacert=ROOT.write(tmp_path))
    async with echo_server() as echo, tls_gateway() as port:
        await echo_through(route(f"wss://localhost:{port}", tls=tls), echo)


@pytest_twisted.ensureDeferred
async def test_with_a_client_certificate(tmp_path: Path) -> None:
    """Mutual TLS; a client without is refused, with the gateway's reason."""
    cert, key = CLIENTS.issue(subject="alice", client=True).write(tmp_path, "client")
    cacert = ROOT.write(tmp_path)
    async with echo_server() as echo, tls_gateway(clients=(CLIENTS,)) as port:
        url = f"wss://localhost:{port}"
        await echo_through(route(url, tls=TLSOptions(cacert=cacert, cert=cert, key=key)), echo)
        with pytest.raises(Problem, match="certificate-required: this listener requires a client") as caught:
            await echo_through(route(url, tls=TLSOptions(cacert=cacert)), echo)
        assert caught.value.status is Status.AUTHENTICATION


@pytest_twisted.ensureDeferred
async def test_certificates_that_are_refused(tmp_path: Path) -> None:
    """Of an unknown authority, or for another name; accepted only if nothing is verified."""
    cacert = ROOT.write(tmp_path)
    async with echo_server() as echo, tls_gateway() as port:
        for url, tls, why in (
            (f"wss://localhost:{port}", TLSOptions(), "its certificate is not trusted"),
            (f"wss://127.0.0.1:{port}", TLSOptions(cacert=cacert), "its certificate is for another host"),
        ):
            with pytest.raises(Problem, match=f"gateway-tls-failed: TLS with .*: {why}") as caught:
                await echo_through(route(url, tls=tls), echo)
            assert caught.value.status is Status.UNREACHABLE
        await echo_through(route(f"wss://127.0.0.1:{port}", tls=TLSOptions(insecure=True)), echo)


class TinyProxy(Protocol):
    """An HTTP proxy for one connection: a password, CONNECT, and bytes both ways."""

    def __init__(self) -> None:
        self.head = b""
        self.other: Any = None

    def dataReceived(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)
            return
        self.head += data
        if self.head.endswith(b"\r\n\r\n"):
            cast(Any, self.transport).pauseProducing()
            Deferred.fromCoroutine(self._connect())

    async def _connect(self) -> None:
        transport = cast(Any, self.transport)
        host, _, port = self.head.split()[1].decode().rpartition(":")
        if b"\r\nProxy-Authorization: Basic dTpw\r\n" not in self.head:
            transport.write(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
            transport.loseConnection()
            return
        self.other = await connectProtocol(TCP4ClientEndpoint(reactor, host, int(port)), TinyProxy())
        self.other.other = self
        transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.other is not None:
            self.other.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_through_a_proxy(tmp_path: Path) -> None:
    """With its password; TLS is that of the gateway."""
    tls = TLSOptions(cacert=ROOT.write(tmp_path))
    factory = Factory.forProtocol(TinyProxy)
    async with (
        echo_server() as echo,
        gateway() as plain,
        tls_gateway() as secure,
        listening("tcp:0:interface=127.0.0.1", factory) as port,
    ):
        good, bad = Proxy.parse(f"http://u:p@127.0.0.1:{port}"), Proxy.parse(f"http://127.0.0.1:{port}")
        await echo_through(route(f"ws://127.0.0.1:{plain}", proxy=good), echo)
        with pytest.raises(Problem, match="proxy-unauthorized"):
            await echo_through(route(f"ws://127.0.0.1:{plain}", proxy=bad), echo)
        # The proxy goes to an address: the name that is verified is the gateway's.
        with pytest.raises(Problem, match="another host"):
            await echo_through(route(f"wss://127.0.0.1:{secure}", tls=tls, proxy=good), echo)


@pytest_twisted.ensureDeferred
async def test_nothing_there(tmp_path: Path) -> None:
    """Over UNIX, TCP, IPv6, and through a proxy, which is named."""
    async with listening("tcp:0:interface=127.0.0.1", Factory.forProtocol(Protocol)) as port:
        closed = port
    for options, where in (
        (route(f"unix:{tmp_path}/none"), f"unix:{tmp_path}/none"),
        (route(f"ws://127.0.0.1:{closed}"), f"ws://127.0.0.1:{closed}"),
        (route(f"ws://[::1]:{closed}"), f"ws://[::1]:{closed}"),
        (route("ws://gw", proxy=Proxy.parse(f"http://127.0.0.1:{closed}")), f"the proxy 127.0.0.1:{closed}"),
    ):
        with pytest.raises(Problem) as caught:
            await ping(Gateway(reactor, options), Target("db", 1))
        assert caught.value.slug == "gateway-unreachable"
        assert f"can't connect to {where}" in caught.value.sentence


def test_a_stream_reports_its_end_to_the_one_that_waits() -> None:
    """And to the one that asks afterwards, and to what it was handed over to."""
    stream = Stream()
    waiting = Deferred.fromCoroutine(stream.read_more())
    stream.connectionLost()
    assert result(waiting).slug == "gateway-lost"
    assert result(Deferred.fromCoroutine(stream.read_more())).slug == "gateway-lost"
    stream, protocol = Stream(), Talk(1)
    stream.hand_over(protocol)
    Stream.dataReceived(stream, b"x")
    assert protocol.data == b"x"
    stream.connectionLost()
