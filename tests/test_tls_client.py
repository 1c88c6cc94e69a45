"""The gateway speaks TLS to a named target: it verifies certificates, and half-closes with close_notify."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from OpenSSL.crypto import X509, PKey
from OpenSSL.SSL import Context
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from portofcall.egress.dial_trace import DialTrace
from portofcall.egress.dialer import Dialer
from portofcall.egress.named_target import Targets, TLSTrust
from portofcall.egress.tls_trust import make_context
from portofcall.errors import ConnectTimedOut, TargetError, TLSFailed, Unreachable
from portofcall.limits.values import Limits
from portofcall.target import TargetName
from portofcall.testing import FakeTransport, WebSocketClient, World, pack_frame, upgrade_request
from tests.certificates import DAY, Authority, Issued
from tests.support import Outcome, Post, make_dialer

ROOT = Authority()
SERVER = Authority("Test Intermediate", above=ROOT).issue("localhost")


@pytest.fixture
def cafile(tmp_path: Path) -> Path:
    """The file of ``ROOT``; servers send the certificate between it and their own."""
    return ROOT.write(tmp_path)


class Application(Protocol):
    """What the server's application has received, and how its connection ended."""

    def __init__(self) -> None:
        self.data = b""
        self.end = ""

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.end = type(reason.value).__name__


class TLSServer:
    """A TLS server in memory, at the other end of a connection of the gateway.

    Args:
        world: with the gateway.
        wire: the connection, as `World.accept` returned it.
        issued: its certificate, chain and key.
        options: of `CertificateOptions`.

    Attributes:
        application: what it received.
        server_names: those that clients sent (SNI).
    """

    def __init__(
        self, world: World, wire: FakeTransport, issued: Issued | None = None, **options: Any
    ) -> None:
        issued = issued or SERVER
        contexts = CertificateOptions(
            PKey.from_cryptography_key(issued.key),
            X509.from_cryptography(issued.chain[0]),
            extraCertChain=[X509.from_cryptography(above) for above in issued.chain[1:]],
            **options,
        )
        self.server_names: list[bytes | None] = []
        contexts.getContext().set_tlsext_servername_callback(
            lambda connection: self.server_names.append(connection.get_servername())
        )
        self.application = Application()
        listening = Factory.forProtocol(lambda: self.application)
        self.tls: Any = TLSMemoryBIOFactory(contexts, False, listening, world.reactor).buildProtocol(None)
        self._world = world
        self._wire = wire
        self._own = FakeTransport()
        self.tls.makeConnection(self._own)
        self._own.protocol = self.tls
        self.pump()

    def pump(self) -> None:
        """Carry bytes both ways until there are no more."""
        while True:
            self._world.reactor.advance(0)
            down, up = self._own.take(), self._wire.take()
            if not down and not up:
                return
            if up:
                self.tls.dataReceived(up)
            if down:
                self._wire.send(down)

    def send(self, data: bytes) -> None:
        """Send bytes to the gateway."""
        self.tls.write(data)
        self.pump()

    def close(self) -> None:
        """Send close_notify."""
        self.tls.loseConnection()
        self.pump()


def world_of(cafile: Path, host: str = "localhost", **options: Any) -> World:
    """Make a world with a TLS target ``mail``, whose certificate has to come from ``ROOT``."""
    return World(
        allow=(),
        targets=[f"mail=tls:{host}:993:cafile={cafile}"],
        names={"localhost": ["127.0.0.1"]},
        **options,
    )


class Dial(Outcome):
    """A dial to ``mail`` under way, and its result."""

    def __init__(
        self, world: World, *, dialer: Dialer | None = None, build: Callable[[], Application] = Application
    ) -> None:
        dialer = dialer or make_dialer(world)
        self.trace = DialTrace()
        super().__init__(dialer.dial(TargetName("mail"), build, client="192.0.2.1", trace=self.trace))

    @property
    def error(self) -> TargetError:
        """The error, which shows no address."""
        problem = super().error
        assert isinstance(problem, TargetError), problem
        assert "localhost" not in problem.sentence
        assert "127.0.0.1" not in problem.sentence
        return problem


def test_dial_is_done_after_the_handshake(cafile: Path) -> None:
    """The server is told its name, and the time is that of the TCP handshake alone."""
    world = world_of(cafile)
    dial = Dial(world)
    world.reactor.advance(0.2)
    wire = world.accept()
    assert dial.results == []
    world.reactor.advance(1)
    server = TLSServer(world, wire)
    assert dial.value.rtt_ms == pytest.approx(200)
    assert server.server_names == [b"localhost"]
    dial.value.protocol.transport.write(b"hello")
    server.pump()
    assert server.application.data == b"hello"
    server.send(b"hello to you")
    assert dial.value.protocol.data == b"hello to you"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_certificate_of_an_address_is_verified_for_it(cafile: Path, host: str) -> None:
    """And an address is not sent as a server name (RFC 6066 section 3)."""
    world = world_of(cafile, host=host)
    for issued in (ROOT.issue("127.0.0.1", "::1"), SERVER):
        dial = Dial(world)
        server = TLSServer(world, world.accept(), issued)
        assert server.server_names == [None]
        if issued is not SERVER:
            assert dial.value
    assert dial.error.sentence == "mail: its certificate is for another host"


def test_certificate_without_any_name_is_for_no_host(cafile: Path) -> None:
    """A common name is none (RFC 9525 section 2); nothing is sent to such a server."""
    world = world_of(cafile)
    dial = Dial(world)
    server = TLSServer(world, world.accept(), ROOT.issue(subject="localhost"))
    assert dial.error.sentence == "mail: its certificate is for another host"
    assert server.application.data == b""


def lose(wire: FakeTransport, reason: Exception | None = None) -> None:
    """End the connection of a server that has no TLS."""
    wire.take()
    wire.lose(reason)


def old_server(world: World, wire: FakeTransport) -> None:
    """Serve TLS 1.1 at most."""
    TLSServer(
        world, wire,
        insecurelyLowerMinimumTo=TLSVersion.TLSv1_0, lowerMaximumSecurityTo=TLSVersion.TLSv1_1,
    )  # fmt: skip


def expired_server(world: World, wire: FakeTransport) -> None:
    """Serve with a certificate that has ended."""
    TLSServer(world, wire, ROOT.issue("localhost", begins=-3 * DAY, ends=-2 * DAY))


Happen = Callable[[World, FakeTransport], object]


@pytest.mark.parametrize(
    ("value", "happen", "sentence"),
    [
        ("tls:localhost:993", TLSServer, "mail: its certificate is not trusted"),
        ("tls:localhost:993:cafile={}", expired_server, "mail: its certificate is not trusted"),
        ("tls:other.example:993:cafile={}", TLSServer, "mail: its certificate is for another host"),
        (
            "tls:localhost:993:cafile={}",
            lambda world, wire: wire.send(b"220 localhost ESMTP\r\n"),
            "mail: the TLS handshake failed (wrong version number)",
        ),
        (
            "tls:localhost:993:cafile={}",
            old_server,
            "mail: the TLS handshake failed (tlsv1 alert protocol version)",
        ),
        (
            "tls:localhost:993:cafile={}",
            lambda world, wire: lose(wire),
            "mail: the connection was closed during the TLS handshake",
        ),
        (
            "tls:localhost:993:cafile={}",
            lambda world, wire: lose(wire, ConnectionLost()),
            "mail: the connection was closed during the TLS handshake",
        ),
    ],
    ids=["untrusted", "expired", "other host", "no TLS", "TLS 1.1", "closed", "reset"],
)
def test_handshake_that_fails_has_an_error_of_its_own(
    cafile: Path, value: str, happen: Happen, sentence: str
) -> None:
    """tls-failed; the trace has OpenSSL's words, for the log. The place is free again."""
    world = World(
        allow=(),
        targets=[f"mail={value.format(cafile)}"],
        names={"localhost": ["127.0.0.1"], "other.example": ["127.0.0.1"]},
        limits=Limits(max_per_target=1),
    )
    dialer = make_dialer(world)
    for _ in range(2):
        dial = Dial(world, dialer=dialer)
        wire = world.accept()
        happen(world, wire)
        if not dial.results:
            assert wire.log
            wire.lose()
        assert isinstance(dial.error, TLSFailed)
        assert dial.error.sentence.startswith(sentence)
        assert (dial.error.slug, dial.error.close_code, dial.error.http_status) == ("tls-failed", 4502, 502)
        assert dial.trace.rule.startswith(sentence.removeprefix("mail: "))
    assert len(world.dialed) == 2


def test_handshake_counts_within_the_connect_timeout(cafile: Path) -> None:
    """A server that accepts and says nothing is reset, and its place is free again."""
    world = world_of(cafile, limits=Limits(max_per_target=1))
    dialer = make_dialer(world)
    dial = Dial(world, dialer=dialer)
    world.reactor.advance(6)
    wire = world.accept()
    world.reactor.advance(3.9)
    assert dial.results == []
    world.reactor.advance(0.2)
    assert isinstance(dial.error, ConnectTimedOut)
    assert dial.error.sentence == "mail did not answer within 10 s"
    assert wire.log == ["reset"]
    Dial(world, dialer=dialer)
    assert len(world.dialed) == 2
    assert len(world.reactor.getDelayedCalls()) == 1, "the time limit of the second dial"


class Unwatched(Application):
    """There is no descriptor left to watch its connection."""

    def connectionMade(self) -> None:
        raise OSError(errno.EMFILE, "no descriptors left")


def test_connection_that_its_protocol_can_not_use_has_failed(cafile: Path) -> None:
    """The dial fails at once, and its place is free."""
    world = world_of(cafile, limits=Limits(max_per_target=1))
    dialer = make_dialer(world)
    dial = Dial(world, dialer=dialer, build=Unwatched)
    wire = world.accept()
    TLSServer(world, wire)
    assert isinstance(dial.error, Unreachable)
    assert wire.log[0] == "reset"
    Dial(world, dialer=dialer)
    assert len(world.dialed) == 2


def test_authorities_are_loaded_once_and_again_for_new_targets(
    cafile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading those of the platform takes long, and a reload may bring others."""
    loaded: list[TLSTrust] = []

    def count(trust: TLSTrust) -> Context:
        loaded.append(trust)
        return make_context(trust)

    monkeypatch.setattr("portofcall.egress.dialer.make_context", count)
    world = world_of(cafile)
    dialer = make_dialer(world)
    for expected in (1, 1, 2):
        dial = Dial(world, dialer=dialer)
        TLSServer(world, world.accept())
        assert dial.value
        assert len(loaded) == expected
        if expected == 1 and len(world.dialed) == 2:
            dialer.targets = Targets.of(dialer.targets.by_name.values())


class Tunnel:
    """A tunnel of a client to ``mail``, with the server's side of it."""

    def __init__(self, cafile: Path) -> None:
        self.world = world_of(cafile)
        self.client = WebSocketClient(self.world, upgrade_request("target=mail"))
        self.wire: FakeTransport = self.client.backend
        self.server = TLSServer(self.world, self.wire)


def test_tunnel_carries_bytes_over_tls(cafile: Path) -> None:
    """Those that came before the handshake was done as well."""
    world = world_of(cafile)
    client = WebSocketClient(world, upgrade_request("target=mail"))
    client.send(pack_frame(2, b"early "))
    server = TLSServer(world, client.backend)
    client.send(pack_frame(2, b"hello"))
    server.pump()
    assert server.application.data == b"early hello"
    server.send(b"x" * 100_000)
    assert b"".join(payload for _, payload in client.received()) == b"x" * 100_000


@pytest.mark.parametrize("when", ["before the handshake", "within the handshake"])
def test_client_that_leaves_ends_the_handshake(cafile: Path, when: str) -> None:
    """The connection to the backend is reset, and its place is free again."""
    world = world_of(cafile, limits=Limits(max_per_target=1))
    client = WebSocketClient(world, upgrade_request("target=mail"))
    wire = client.backend
    if when == "within the handshake":
        wire.take()
        wire.send(b"\x16\x03\x03")
    client.transport.lose()
    assert wire.log == ["reset"]
    wire.lose()
    assert WebSocketClient(world, upgrade_request("target=mail")).backend


def test_close_notify_of_the_backend_is_a_clean_end(cafile: Path) -> None:
    """Everything before it is delivered, then the client gets Close 1000."""
    tunnel = Tunnel(cafile)
    tunnel.server.tls.write(b"the last word")
    tunnel.server.close()
    assert "close" in tunnel.wire.log
    tunnel.wire.lose()
    data, close = tunnel.client.received()
    assert data == (2, b"the last word")
    assert close == (8, b"\x03\xe8")


@pytest.mark.parametrize("reason", [None, ConnectionLost()])
def test_backend_that_ends_without_close_notify_was_cut_short(cafile: Path, reason: Exception | None) -> None:
    """By FIN or RST: anyone on the way can send these. The client gets Close 1011."""
    tunnel = Tunnel(cafile)
    tunnel.server.send(b"half a wo")
    tunnel.wire.lose(reason)
    data, close = tunnel.client.received()
    assert data == (2, b"half a wo")
    assert close[1].startswith(b"\x03\xf3backend-reset: ")


def test_close_of_a_client_is_close_notify_for_the_backend(cafile: Path) -> None:
    """After everything that it sent; what the backend still sends is delivered, and its own ends both."""
    tunnel = Tunnel(cafile)
    tunnel.client.send(pack_frame(2, b"a question") + pack_frame(8, b"\x03\xe8"))
    # The server has read close_notify and may still write, which Twisted's own TLS does not offer.
    own, sent = tunnel.server.tls, list[bytes]()
    own.dataReceived, read = sent.append, own.dataReceived
    tunnel.server.pump()
    assert "close" not in tunnel.wire.log
    assert "fin" not in tunnel.wire.log
    tunnel.server.send(b"an answer")
    assert tunnel.client.received()[0] == (2, b"an answer")
    own.dataReceived = read
    for data in sent:
        read(data)
    assert tunnel.server.application.data == b"a question"
    tunnel.server.pump()
    assert "close" in tunnel.wire.log
    tunnel.wire.lose(ConnectionDone())
    assert tunnel.client.received()[-1] == (8, b"\x03\xe8")


def test_probe_does_not_wait_for_the_close_notify_of_a_server(cafile: Path) -> None:
    """A server that never sends it would keep the connection for ever."""
    world = world_of(cafile)
    post = Post(world, "/api/ping", {"target": "mail"})
    wire = world.accept()
    TLSServer(world, wire)
    assert post.response.json["success"] is True
    assert set(wire.log) == {"close"}
