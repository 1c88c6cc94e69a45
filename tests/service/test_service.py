"""``twistd portofcall`` can be configured, and a gateway can be embedded in every documented way."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.application.service import IService
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.wire import Echo
from twisted.python import usage
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface.verify import verifyObject

from portofcall.egress.policy import Policy
from portofcall.gateway import Gateway
from portofcall.limits.values import Limits, MiB, Rate
from portofcall.service.listener import NotListening
from portofcall.service.maker import makeService
from portofcall.service.option_values import DEFAULT_LISTEN
from portofcall.service.options import Options
from portofcall.testing import pack_frame, unpack_frames, upgrade_request

reactor = cast(Any, global_reactor)


def parse(*arguments: str) -> Options:
    """Parse a command line."""
    options = Options()
    options.parseOptions(list(arguments))
    return options


def test_defaults_are_those_of_the_help() -> None:
    """What --help says without options is what happens without options."""
    options = parse()
    assert options["listen"] == [DEFAULT_LISTEN]
    assert (options["high-water"], options["max-message"]) == (MiB, MiB)
    assert (options["connect-timeout"], options["dns-timeout"]) == (10, 5)
    assert (options["allow"], options["deny"], options["demo"]) == ([], [], 0)
    assert options.limits() == Limits()


def test_options_are_read_with_their_units() -> None:
    """Sizes, times and repeatable rules."""
    options = parse(
        "--high-water=512K", "--max-message", "64K", "--connect-timeout=2.5", "--dns-timeout=1",
        "--allow=public:443", "--allow=10.0.0.0/8:22", "--deny=10.1.0.0/16",
        "--listen=tcp:1", "--listen=unix:/run/x",
        "--origin=HTTPS://Pages.example:443", "--trust-forwarded=10.0.0.0/8",
        "--max-tunnels=7", "--max-per-client=0", "--rate-per-client=3", "--rate-per-target=2.5:9",
    )  # fmt: skip
    assert options["origin"] == ["https://pages.example"]
    assert [str(network) for network in options["trust-forwarded"]] == ["10.0.0.0/8"]
    limits = options.limits()
    assert (limits.max_tunnels, limits.max_per_client, limits.max_per_target) == (7, 0, 256)
    assert (limits.rate_per_client, limits.rate_per_target) == (Rate(3, 12), Rate(2.5, 9))
    assert (options["high-water"], options["max-message"]) == (512 * 1024, 64 * 1024)
    assert (options["connect-timeout"], options["dns-timeout"]) == (2.5, 1)
    assert options["allow"] == ["public:443", "10.0.0.0/8:22"]
    assert options["deny"] == ["10.1.0.0/16"]
    assert options["listen"] == ["tcp:1", "unix:/run/x"]


SENSELESS = [
    (["--listen", "nonsense:1"], "--listen"),
    (["--listen", "tcp:banana"], "--listen"),
    (["--listen", "ssl:1:privateKey=/nonexistent"], "--listen"),
    (["--allow", "10.0.0.1/8"], "--allow"),
    (["--allow", "example.com:0"], "--allow"),
    (["--deny", "10.0.0.0/33"], "--deny"),
    (["--high-water", "banana"], "--high-water"),
    (["--max-message", "0"], "--max-message"),
    (["--connect-timeout", "-1"], "--connect-timeout"),
    (["--dns-timeout", "inf"], "--dns-timeout"),
    (["--max-tunnels", "many"], "--max-tunnels"),
    (["--rate-per-client", "1:0"], "--rate-per-client"),
    (["--origin", "pages.example"], "--origin"),
    (["--origin", "null"], "--origin"),
    (["--trust-forwarded", "10.0.0.1/8"], "--trust-forwarded"),
    (["--auth", "nonsense:secret"], "--auth"),
    (["--ticket-key", "/nonexistent"], "--ticket-key"),
    (["--no-auth", "--auth", "memory:a:b"], "--no-auth"),
    (["--demo", "--allow", "public"], "--demo"),
    (["--demo", "--deny", "public"], "--demo"),
    (["--policy", "/nonexistent"], "--policy"),
    (["--policy", "/dev/null", "--policy", "/dev/null"], "--policy: expected once"),
    (["--max-tunnels", "1", "--max-tunnels", "1"], "--max-tunnels: expected once"),
]


@pytest.mark.parametrize(("arguments", "option"), SENSELESS)
def test_senseless_option_is_named_in_one_line(arguments: list[str], option: str) -> None:
    """And the line says what was expected."""
    with pytest.raises(usage.UsageError) as caught:
        parse(*arguments)
    assert option in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("arguments", "option"), SENSELESS)
def test_under_twistd_that_line_is_all(arguments: list[str], option: str) -> None:
    """twistd would print the whole help before it."""
    options = Options()
    options.parent = usage.Options()
    with pytest.raises(SystemExit) as caught:
        options.parseOptions(arguments)
    assert option in str(caught.value.code)


class WebSocketProtocol(Protocol):
    """Collects what the other side says, and tells when it is enough."""

    def __init__(self) -> None:
        self.data = b""
        self.waiting: tuple[Callable[[bytes], bool], Deferred[bytes]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if self.waiting is not None and self.waiting[0](self.data):
            enough, self.waiting = self.waiting, None
            enough[1].callback(self.data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.waiting is not None:
            enough, self.waiting = self.waiting, None
            enough[1].errback(reason)

    def until(self, enough: Callable[[bytes], bool]) -> Deferred[bytes]:
        found: Deferred[bytes] = Deferred()
        self.waiting = (enough, found)
        self.dataReceived(b"")
        return found.addTimeout(10, reactor)


async def echo_through(endpoint: str, path: str, port: int, before: bytes = b"") -> None:
    """Send bytes through the gateway at ``endpoint`` to the echo server at ``port``, and get them back."""
    talk = WebSocketProtocol()
    await connectProtocol(clientFromString(reactor, endpoint), talk)
    assert talk.transport is not None
    upgrade = upgrade_request(f"host=127.0.0.1&port={port}").replace(b"/api/connect", path.encode(), 1)
    talk.transport.write(before + upgrade)
    await talk.until(lambda data: b"\r\n\r\n" in data)
    assert talk.data.startswith(b"HTTP/1.1 101 ")
    talk.data = talk.data.partition(b"\r\n\r\n")[2]
    talk.transport.write(pack_frame(2, b"there and back"))
    await talk.until(lambda data: len(data) >= 16)
    assert unpack_frames(talk.data) == [(2, b"there and back")]
    talk.transport.write(pack_frame(8, b"\x03\xe8"))
    await talk.until(lambda data: len(data) >= 20)
    talk.transport.loseConnection()


@asynccontextmanager
async def listening(endpoint: str, factory: Any) -> AsyncIterator[int]:
    """Listen, and give the port."""
    port = await serverFromString(reactor, endpoint).listen(factory)
    try:
        yield getattr(port.getHost(), "port", 0)
    finally:
        await cast("Deferred[None]", port.stopListening())


@asynccontextmanager
async def echo_server() -> AsyncIterator[int]:
    """Serve echo, and give the port."""
    async with listening("tcp:0:interface=127.0.0.1", Factory.forProtocol(Echo)) as port:
        yield port


def loopback_gateway() -> Gateway:
    """Make a gateway that goes to 127.0.0.1 only."""
    return Gateway(reactor, policy=Policy.parse(allow=["127.0.0.1"]))


async def settle(gateway: Gateway) -> None:
    """Wait until the gateway has no tunnel left."""
    over: Deferred[Any] = gateway.shut_down()
    await over.addTimeout(10, reactor)


@pytest_twisted.ensureDeferred
async def test_factory_for_an_endpoint() -> None:
    """``endpoint.listen(gateway.site())``."""
    gateway = loopback_gateway()
    async with echo_server() as echo, listening("tcp:0:interface=127.0.0.1", gateway.site()) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", "/api/connect", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
async def test_whole_api_in_a_site_that_is_there_already() -> None:
    """``root.putChild(b"gateway", gateway.resource())``."""
    gateway = loopback_gateway()
    root = Resource()
    root.putChild(b"gateway", gateway.resource())
    async with echo_server() as echo, listening("tcp:0:interface=127.0.0.1", Site(root)) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", "/gateway/api/connect", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
async def test_only_the_tunnel_in_a_site_that_is_there_already() -> None:
    """``root.putChild(b"tcp", gateway.tunnel_resource())``."""
    gateway = loopback_gateway()
    root = Resource()
    root.putChild(b"tcp", gateway.tunnel_resource())
    async with echo_server() as echo, listening("tcp:0:interface=127.0.0.1", Site(root)) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", "/tcp", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
async def test_over_tls(certificate: Path) -> None:
    """``ssl:`` endpoints carry tunnels as tcp: ones do."""
    gateway = loopback_gateway()
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={certificate}"
    async with echo_server() as echo, listening(endpoint, gateway.site()) as port:
        trust = certificate.parent
        client = f"tls:localhost:{port}:trustRoots={trust}:endpoint=tcp\\:127.0.0.1\\:{port}"
        await echo_through(client, "/api/connect", echo)
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
async def test_only_answers_over_tls_ask_for_tls_from_now_on(
    certificate: Path, scheme: str, words: bytes
) -> None:
    """RFC 6797 §7.2: never over plain HTTP."""
    key = f":privateKey={certificate}" if scheme == "ssl" else ""
    async with listening(f"{scheme}:0:interface=127.0.0.1{key}", loopback_gateway().site()) as port:
        trust = certificate.parent
        plain = f"tcp:127.0.0.1:{port}"
        secure = f"tls:localhost:{port}:trustRoots={trust}:endpoint=tcp\\:127.0.0.1\\:{port}"
        talk = WebSocketProtocol()
        await connectProtocol(clientFromString(reactor, secure if key else plain), talk)
        assert talk.transport is not None
        talk.transport.write(words)
        answer = await talk.until(lambda data: b"\r\n\r\n" in data)
        assert (b"\r\nStrict-Transport-Security: max-age=" in answer) is bool(key)
        talk.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_over_a_unix_socket(tmp_path: Path) -> None:
    """``unix:`` endpoints are for a web server in front."""
    gateway = loopback_gateway()
    path = tmp_path / "socket"
    async with echo_server() as echo, listening(f"unix:{path}", gateway.site()):
        await echo_through(f"unix:{path}", "/api/connect", echo)
        await settle(gateway)


@pytest_twisted.ensureDeferred
async def test_behind_a_proxy_that_tells_the_peer(logged: list[str]) -> None:
    """``haproxy:`` endpoints take the client's address from the PROXY protocol."""
    gateway = loopback_gateway()
    preface = b"PROXY TCP4 192.0.2.55 127.0.0.1 5555 8080\r\n"
    async with echo_server() as echo, listening("haproxy:tcp:0:interface=127.0.0.1", gateway.site()) as port:
        await echo_through(f"tcp:127.0.0.1:{port}", "/api/connect", echo, preface)
        await settle(gateway)
    assert any(line.startswith("tunnel 192.0.2.55:5555 ->") for line in logged)


@pytest_twisted.ensureDeferred
async def test_service_of_an_application(tmp_path: Path) -> None:
    """``makeService(options)`` listens while it runs, and drains when it stops."""
    path = tmp_path / "socket"
    async with echo_server() as echo:
        service = makeService(parse("--listen", f"unix:{path}", "--allow", f"127.0.0.1/32:{echo}"))
        assert verifyObject(IService, service)
        service.privilegedStartService()
        service.startService()
        await echo_through(f"unix:{path}", "/api/connect", echo)
        stopping: Deferred[Any] = service.stopService()
        await stopping.addTimeout(10, reactor)
        assert not path.exists()


@pytest_twisted.ensureDeferred
async def test_port_that_is_taken_ends_the_start() -> None:
    """A gateway that does not listen must not look as if it ran."""
    async with echo_server() as taken:
        service = makeService(parse("--listen", f"tcp:{taken}:interface=127.0.0.1"))
        with pytest.raises(NotListening, match="in use"):
            service.privilegedStartService()
        await cast("Deferred[Any]", service.stopService())


@pytest_twisted.ensureDeferred
async def test_demo_allows_its_three_backends_only(logged: list[str]) -> None:
    """The log says what to try, and it works."""
    service = makeService(parse("--demo", "--listen", "tcp:0:interface=127.0.0.1"))
    service.privilegedStartService()
    service.startService()
    demos = {line.split()[1]: line.split()[-1] for line in logged if line.startswith("demo ")}
    assert list(demos) == ["echo", "discard", "chargen"]
    base, _, query = demos["echo"].removeprefix("ws://").partition("/api/connect?")
    host, _, port = base.partition(":")
    await echo_through(f"tcp:{host}:{port}", "/api/connect", int(query.rpartition("=")[2]))
    stopping: Deferred[Any] = service.stopService()
    await stopping.addTimeout(10, reactor)


@pytest.mark.parametrize("proof", [[], ["--no-auth"], ["--auth", "memory:ada:lovelace"]])
@pytest_twisted.ensureDeferred
async def test_nobody_listens_to_all_without_saying_so(proof: list[str]) -> None:
    """Where others can connect, something proves who they are, or the operator says that nothing does."""
    service = makeService(parse("--listen", "tcp:0", *proof))
    if proof:
        service.privilegedStartService()
    else:
        with pytest.raises(NotListening, match="--no-auth"):
            service.privilegedStartService()
    await cast("Deferred[Any]", service.stopService())


@pytest_twisted.ensureDeferred
async def test_only_this_machine_needs_no_proof(tmp_path: Path) -> None:
    """Loopback and Unix sockets are not open to others."""
    endpoints = ["tcp:0:interface=127.0.0.1", "tcp6:0:interface=\\:\\:1", f"unix:{tmp_path / 'socket'}"]
    service = makeService(parse(*(f"--listen={endpoint}" for endpoint in endpoints)))
    service.privilegedStartService()
    await cast("Deferred[Any]", service.stopService())


def test_under_twistd_a_failed_start_is_one_line() -> None:
    """No traceback for a port that is taken or must not be open."""
    options = parse("--listen", "tcp:0")
    options.parent = usage.Options()
    options.parent["nodaemon"] = True
    with pytest.raises(SystemExit, match="others than this machine"):
        makeService(options).privilegedStartService()
    options.parent["nodaemon"] = False
    with pytest.raises(NotListening):
        makeService(options).privilegedStartService()


def test_tunnels_are_bounded_by_the_file_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 % of them, if that is less than what was asked for."""
    import resource

    made: list[Limits] = []

    class Spy(Gateway):
        def __init__(self, reactor: Any, *, limits: Limits, **others: Any) -> None:
            made.append(limits)
            super().__init__(reactor, limits=limits, **others)

    monkeypatch.setattr("portofcall.service.maker.Gateway", Spy)
    for descriptors, asked, most in [(1000, [], 400), (100_000, [], 10_000), (1000, ["--max-tunnels=0"], 0)]:
        monkeypatch.setattr(resource, "getrlimit", lambda _, d=descriptors: (d, d))
        makeService(parse(*asked))
        assert made.pop().max_tunnels == most


@pytest_twisted.ensureDeferred
async def test_clients_with_certificates_only(certificate: Path) -> None:
    """Mutual TLS, by an endpoint with a trust root of its own."""
    from twisted.internet import ssl
    from twisted.internet.endpoints import SSL4ServerEndpoint

    pem = certificate.read_bytes()
    own = ssl.PrivateCertificate.loadPEM(pem)
    options = own.options(ssl.Certificate.loadPEM(pem))
    gateway = loopback_gateway()
    port = await SSL4ServerEndpoint(reactor, 0, options, interface="127.0.0.1").listen(gateway.site())
    number = cast(Any, port.getHost()).port
    client = f"tls:localhost:{number}:trustRoots={certificate.parent}:endpoint=tcp\\:127.0.0.1\\:{number}"
    async with echo_server() as echo:
        with_certificate = f"{client}:certificate={certificate}:privateKey={certificate}"
        await echo_through(with_certificate, "/api/connect", echo)
        with pytest.raises(Exception, match="certificate required"):
            await echo_through(client, "/api/connect", echo)
        await settle(gateway)
    await cast("Deferred[None]", port.stopListening())


@pytest_twisted.ensureDeferred
async def test_methods_of_auth_let_in_whom_they_know(tmp_path: Path) -> None:
    """As the command line gives them: users in a file, users in memory."""
    from portofcall.access.authenticator import Authenticator, Credentials
    from portofcall.errors import Unauthorized

    path = tmp_path / "passwd"
    path.write_text("ada:lovelace\n")
    for method in (f"file:{path}", "memory:ada:lovelace"):
        checkers = parse("--auth", method)["credCheckers"]
        credentials = Credentials(checkers=checkers)
        authenticator = Authenticator(credentials, wall_clock=lambda: 0, monotonic=lambda: 0)
        sound = [b"Basic " + base64.b64encode(b"ada:lovelace")]
        assert await authenticator.check(authorization=sound, tickets=[], client="a", target=None) == "ada"
        wrong = [b"Basic " + base64.b64encode(b"ada:babbage")]
        with pytest.raises(Unauthorized):
            await authenticator.check(authorization=wrong, tickets=[], client="a", target=None)
