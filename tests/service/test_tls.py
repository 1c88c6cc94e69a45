"""TLS in front of the gateway, with a client in memory: certificates, versions, names, clients, renewals."""

import re
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory

from portofcall.access.gatekeeper import AccessRules
from portofcall.events import Event, Refused
from portofcall.limits.values import Limits, Rate
from portofcall.service.tls import TICKET_KEY_SECONDS, Contexts, ServerTLS, TLSFactory
from portofcall.service.tls_files import TLSFileError, TLSVersion
from portofcall.testing import PUBLIC, FakeTransport, pack_frame, unpack_frames, upgrade_request
from tests.admin.support import AdminWorld
from tests.certificates import DAY, Authority, Issued
from tests.support import sentences
from tests.tls_client import (
    GATEWAY,
    GET,
    MIDDLE,
    ROOT,
    TLSClient,
    TLSWorld,
    connect,
    material,
    names_of,
    refused,
)


def ends(transport: FakeTransport) -> list[str]:
    """Return how the gateway ended a connection."""
    return [entry for entry in transport.log if entry in ("close", "reset")]


def test_the_whole_chain_is_sent() -> None:
    """A client that knows only the root can verify it; the response says that it came over TLS."""
    client = TLSClient(TLSWorld()).shake_hands()
    assert client.server_chain == [*GATEWAY.chain]
    response = client.get()
    assert response.status == 200
    assert "strict-transport-security" in response.headers


def test_tunnel_goes_through() -> None:
    """From the upgrade to the Close, with the backend's bytes in order."""
    world = TLSWorld()
    client = TLSClient(world).shake_hands()
    client.send(upgrade_request())
    backend = world.accept()
    assert client.receive().startswith(b"HTTP/1.1 101 ")
    client.send(pack_frame(2, b"hello"))
    assert backend.take() == b"hello"
    backend.send(b"hello to you")
    assert unpack_frames(client.receive()) == [(2, b"hello to you")]
    client.send(pack_frame(8, struct.pack("!H", 1000)))
    assert backend.log[-1] == "fin"
    backend.protocol.readConnectionLost()
    assert unpack_frames(client.receive())[-1] == (8, struct.pack("!H", 1000))


def test_slow_client_pauses_the_backend() -> None:
    """Backpressure crosses TLS: what is queued for the client is bounded, and nothing is lost."""
    world = TLSWorld(limits=Limits(high_water_bytes=64 * 1024))
    client = TLSClient(world).shake_hands()
    client.send(upgrade_request())
    backend = world.accept()
    client.receive()
    sent = 0
    while not backend.paused:
        assert sent < 1 << 20, "the backend is never paused"
        backend.send(b"x" * 16_384)
        world.reactor.advance(0)
        sent += 16_384
    received = 0
    while backend.paused:
        received += sum(len(payload) for _, payload in unpack_frames(client.receive()))
    received += sum(len(payload) for _, payload in unpack_frames(client.receive()))
    assert received == sent


SITES = [
    MIDDLE.issue("gateway.example"),
    MIDDLE.issue("Other.example", "*.wild.example"),
    MIDDLE.issue("last.example"),
]


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ("gateway.example", "gateway.example"),
        ("other.example", "Other.example"),
        ("OTHER.EXAMPLE", "Other.example"),
        ("a.wild.example", "Other.example"),
        ("a.b.wild.example", "gateway.example"),
        ("wild.example", "gateway.example"),
        ("last.example", "last.example"),
        ("unknown.example", "gateway.example"),
        ("x" * 255, "gateway.example"),
        ("*", "gateway.example"),
        (None, "gateway.example"),
    ],
)
def test_server_name_chooses_the_certificate(asked: str | None, served: str) -> None:
    """A wildcard stands for one label; the first certificate is for all other names, and for none."""
    client = TLSClient(TLSWorld(material(*SITES)), asked).shake_hands()
    assert names_of(client)[0] == served
    assert client.get().status == 200


def test_name_in_two_certificates_gets_the_first() -> None:
    """The order of the command line decides."""
    first, second = MIDDLE.issue("same.example"), MIDDLE.issue("same.example")
    client = TLSClient(TLSWorld(material(GATEWAY, first, second)), "same.example").shake_hands()
    assert client.server_chain[0] == first.chain[0]


@pytest.mark.parametrize(
    ("lowest", "version", "accepted"),
    [
        (TLSVersion.TLS_1_2, SSL.TLS1_3_VERSION, True),
        (TLSVersion.TLS_1_2, SSL.TLS1_2_VERSION, True),
        (TLSVersion.TLS_1_3, SSL.TLS1_3_VERSION, True),
        (TLSVersion.TLS_1_3, SSL.TLS1_2_VERSION, False),
    ],
)
def test_versions_below_the_lowest_are_refused(lowest: TLSVersion, version: int, accepted: bool) -> None:
    """1.2 by default."""
    client = TLSClient(TLSWorld(material(min_version=lowest)), version=version)
    if accepted:
        assert client.shake_hands().get().status == 200
    else:
        assert refused(client) == "tlsv1 alert protocol version"


def test_tls_1_1_is_refused() -> None:
    """Whatever the client's security level."""
    client = TLSClient(TLSWorld(), version=SSL.TLS1_1_VERSION, ciphers=b"ALL:@SECLEVEL=0")
    assert refused(client) == "tlsv1 alert protocol version"


@pytest.mark.parametrize("cipher", [b"AES256-GCM-SHA384", b"ECDHE-ECDSA-AES128-SHA256"])
def test_ciphers_without_forward_secrecy_or_authenticated_encryption_are_refused(cipher: bytes) -> None:
    """TLS 1.2 has some; none of them is accepted."""
    client = TLSClient(TLSWorld(), version=SSL.TLS1_2_VERSION, ciphers=cipher)
    assert "handshake failure" in refused(client)


@pytest.mark.parametrize(
    ("offers", "chosen"), [((b"h2", b"http/1.1"), b"http/1.1"), ((b"h2",), b""), ((), b"")]
)
def test_http_1_1_is_agreed_on(offers: tuple[bytes, ...], chosen: bytes) -> None:
    """It alone has connections to take over; a client that offers something else may try all the same."""
    client = TLSClient(TLSWorld(), offers=offers).shake_hands()
    assert client.connection.get_alpn_proto_negotiated() == chosen
    assert client.get().status == 200


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize("clients", [(), (ROOT,)])
def test_session_is_resumed_by_its_ticket(version: int, clients: tuple[Authority, ...]) -> None:
    """On another connection, while the ticket keys are the same: they change with a reload and with age."""
    world = TLSWorld(material(clients=clients))
    own = MIDDLE.issue(subject="ada", client=True) if clients else None

    def connect(resumes: TLSClient | None = None) -> TLSClient:
        client = TLSClient(world, own=own, version=version, resumes=resumes).shake_hands()
        assert client.get().status == 200
        return client

    first = connect()
    second = connect(first)
    assert (first.resumed, second.resumed) == (False, True)
    world.reactor.advance(TICKET_KEY_SECONDS + 1)
    third = connect(second)
    assert not third.resumed
    assert connect(third).resumed
    world.tls.use(Contexts(material(clients=clients)))
    assert not connect(third).resumed


def test_renewed_certificate_is_for_new_connections() -> None:
    """An open tunnel lives on with the old one."""
    world = TLSWorld()
    before = TLSClient(world).shake_hands()
    before.send(upgrade_request())
    backend = world.accept()
    before.receive()
    renewed = MIDDLE.issue("gateway.example")
    world.tls.use(Contexts(material(renewed)))
    after = TLSClient(world).shake_hands()
    assert after.server_chain == [*renewed.chain]
    backend.send(b"still here")
    assert unpack_frames(before.receive()) == [(2, b"still here")]


def test_certificate_that_openssl_refuses_is_one_line() -> None:
    """A key of 1024 bits can be broken."""
    weak = MIDDLE.issue("gateway.example", key=rsa.generate_private_key(65537, 1024))
    with pytest.raises(
        TLSFileError, match=r"^--tls-cert server\.pem: OpenSSL refuses it \(ee key too small\)$"
    ):
        Contexts(material(weak))


# Client certificates


def test_client_with_a_certificate_gets_in() -> None:
    """One of the authority itself, or of an intermediate that the client sends along."""
    world = TLSWorld(material(clients=(ROOT,)))
    for authority in (ROOT, MIDDLE):
        own = authority.issue(subject="ada", client=True)
        assert TLSClient(world, own=own).shake_hands().get().status == 200


def test_intermediate_authority_stands_for_itself() -> None:
    """Its clients get in without the root, and those of the root do not."""
    world = TLSWorld(material(clients=(MIDDLE,)))
    assert TLSClient(world, own=MIDDLE.issue(subject="ada", client=True)).shake_hands().get().status == 200
    assert refused(TLSClient(world, own=ROOT.issue(subject="eve", client=True))) == "tlsv1 alert unknown ca"


STRANGER = Authority("Another Root")


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
@pytest.mark.parametrize(
    ("own", "alert"),
    [
        (STRANGER.issue(subject="ada", client=True), "unknown ca"),
        (
            Authority("Test Root").issue(subject="ada", client=True),
            "unknown ca|decrypt error",
        ),
        (ROOT.issue("gateway.example"), "unsupported certificate"),
        (ROOT.issue(subject="ada", client=True, ends=-DAY / 2), "certificate expired"),
        (ROOT.issue(subject="ada", client=True, begins=DAY), "bad certificate"),
    ],
    ids=["another authority", "same name", "a server's", "expired", "not yet"],
)
def test_client_with_an_invalid_certificate_is_refused(own: Issued, alert: str, version: int) -> None:
    """In the handshake: no request of it is read."""
    world = TLSWorld(material(clients=(ROOT,)))
    client = TLSClient(world, own=own, version=version)
    assert re.search(alert, refused(client))
    assert ends(client.transport) == ["close"]


#: All that a client may ask for, but for health checks.
REQUESTS = [
    GET,
    GET.replace(b"GET /", b"GET /static/page.js"),
    GET.replace(b"GET /", b"GET /nothing"),
    GET.replace(b"GET /", b"GET /healthz/x"),
    GET.replace(b"GET /", b"GET http://gateway.example/healthz"),
    GET.replace(b"GET /", b"POST /healthz"),
    GET.replace(b"GET /", b"OPTIONS *"),
    GET.replace(b"GET /", b"GET /api/targets"),
    GET.replace(b"GET /", f"GET /ping/{PUBLIC}:443".encode()),
    b"POST /api/ping HTTP/1.1\r\nHost: gateway.example\r\nContent-Length: 4000\r\n\r\n{",
    upgrade_request(),
]


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_client_without_a_certificate_gets_nothing_but_health(version: int) -> None:
    """A load balancer has none. The rest is refused as soon as its head is complete, with the reason."""
    world = TLSWorld(material(clients=(ROOT,)))
    for path in (b"/healthz", b"/readyz?x"):
        client = TLSClient(world, version=version).shake_hands()
        assert client.get(GET.replace(b"/ ", path + b" ", 1)).status == 200
    for request in REQUESTS:
        client = TLSClient(world, version=version).shake_hands()
        response = client.get(request)
        assert response.status == 403
        assert response.json["code"] == "certificate-required"
        assert response.json["error"] == "this listener requires a client certificate"
        assert response.headers["connection"] == "close"
    assert world.dialed == []


def test_health_check_opens_no_door() -> None:
    """What a client without a certificate sends behind one is refused like any request."""
    world = TLSWorld(material(clients=(ROOT,)))
    client = TLSClient(world).shake_hands()
    client.send(GET.replace(b"/ ", b"/healthz ", 1) + upgrade_request())
    received = client.receive()
    world.reactor.advance(0)
    received += client.receive()
    assert (received.count(b"HTTP/1.1 200 "), received.count(b"HTTP/1.1 403 ")) == (1, 1)
    assert world.dialed == []


def test_requests_without_a_certificate_count() -> None:
    """In the client's rate, before they are refused."""
    world = TLSWorld(material(clients=(ROOT,)), limits=Limits(request_rate=Rate(0.1, 3)))
    assert TLSClient(world).shake_hands().get().status == 403
    assert TLSClient(world).shake_hands().get().status == 429


def test_client_certificate_is_asked_for_under_every_name() -> None:
    """Another certificate of the server has no other rules for clients."""
    for name in ("gateway.example", "other.example", "unknown.example"):
        world = TLSWorld(material(*SITES, clients=(ROOT,)))
        assert TLSClient(world, name).shake_hands().get().status == 403
        own = ROOT.issue(subject="ada", client=True)
        assert TLSClient(world, name, own=own).shake_hands().get().status == 200
        stranger = STRANGER.issue(subject="ada", client=True)
        assert "unknown ca" in refused(TLSClient(world, name, own=stranger))


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_resumed_session_has_the_certificate_of_its_first_handshake(version: int, logged: list[str]) -> None:
    """The tunnel has its subject; a session that had none gets none."""
    world = TLSWorld(material(clients=(ROOT,)))
    own = ROOT.issue(subject="ada", client=True)
    first = TLSClient(world, own=own, version=version).shake_hands()
    assert first.get().status == 200
    second = TLSClient(world, resumes=first).shake_hands()
    assert second.resumed
    second.send(upgrade_request())
    world.accept()
    assert second.receive().startswith(b"HTTP/1.1 101 ")
    assert sentences(logged)[-1].startswith("tunnel CN=ada@192.0.2.1:40000 -> ")
    stranger = TLSClient(world, version=version).shake_hands()
    assert stranger.get().status == 403
    again = TLSClient(world, resumes=stranger).shake_hands()
    assert again.resumed
    assert again.get().status == 403


def test_every_record_has_the_subject_of_the_certificate(logged: list[str]) -> None:
    """Requests for the page, and refusals; not only tunnels."""
    world = TLSWorld(material(clients=(ROOT,)))
    own = ROOT.issue(subject="ada", client=True)
    for request in (GET, upgrade_request(Origin="https://evil.example"), GET.replace(b"GET", b"POST")):
        TLSClient(world, own=own).shake_hands().get(request)
    assert len(logged) == 3
    assert all(line.startswith("CN=ada@192.0.2.1:40000 ") for line in logged)


def test_missing_certificate_is_logged_and_counted_as_a_failed_login(logged: list[str]) -> None:
    """With the client, and the request that it made."""
    world = TLSWorld(material(clients=(ROOT,)))
    seen: list[Event] = []
    world.gateway.observe(seen.append)
    TLSClient(world).shake_hands().get()
    (event,) = seen
    assert isinstance(event, Refused)
    assert (event.attempted, event.status, event.request) == ("certificate", 403, "GET /")
    sentence = "192.0.2.1:40000 refused: certificate-required: this listener requires a client certificate"
    assert sentences(logged) == [sentence]


def test_admin_listener_requires_a_certificate_too() -> None:
    """And health needs none there either."""
    world = AdminWorld()
    tls = ServerTLS(Contexts(material(clients=(ROOT,))), monotonic=world.reactor.seconds)
    admin = world.admin
    site: Any = TLSFactory(tls, admin.factory, clock=world.reactor, handshakes=admin.handshakes)
    world.site = site
    for path, status in ((b"/metrics", 403), (b"/nothing", 403), (b"/healthz", 200)):
        request = GET.replace(b"/ ", path + b" ", 1)
        assert TLSClient(world).shake_hands().get(request).status == status
    own = ROOT.issue(subject="ops", client=True)
    request = GET.replace(b"/ ", b"/metrics ", 1)
    assert TLSClient(world, own=own).shake_hands().get(request).status == 200


def test_ticket_of_a_refused_authority_is_worth_nothing() -> None:
    """After a reload without it, a session that it let in is not resumed."""
    world = TLSWorld(material(clients=(ROOT, STRANGER)))
    own = STRANGER.issue(subject="eve", client=True)
    client = TLSClient(world, own=own).shake_hands()
    assert client.get().status == 200
    world.tls.use(Contexts(material(clients=(ROOT,))))
    assert refused(TLSClient(world, own=own, resumes=client)) == "tlsv1 alert unknown ca"


# Hostile handshakes


@pytest.mark.parametrize("sent", [0, 1, 5, 60, 10_000])
def test_handshake_that_stops_half_way_ends_in_time(sent: int) -> None:
    """After 10 seconds the connection is reset, and nothing is left of it."""
    world = TLSWorld()
    client = TLSClient(world)
    with pytest.raises(SSL.WantReadError):
        client.connection.do_handshake()
    client.transport.send(client.connection.bio_read(sent)) if sent else None
    world.reactor.pump([1.0] * 9)
    assert ends(client.transport) == []
    world.reactor.pump([1.0] * 6)
    assert ends(client.transport)[-1] == "reset"
    client.transport.lose()
    assert world.reactor.getDelayedCalls() == []


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 192.0.2.9"], ids=["none", "half"])
def test_connection_whose_proxy_header_never_comes_ends_in_time(sent: bytes) -> None:
    """The same 10 seconds are for both."""
    world = TLSWorld()
    world.site = HAProxyWrappingFactory(world.site)
    transport = connect(world)
    transport.send(sent) if sent else None
    world.reactor.pump([1.0] * 9)
    assert ends(transport) == []
    world.reactor.pump([1.0] * 2)
    assert ends(transport)[-1] == "reset"
    transport.lose()
    assert world.reactor.getDelayedCalls() == []


def test_nothing_is_kept_of_connections_that_are_over() -> None:
    """Whether their handshake succeeded, failed or was refused."""
    world = TLSWorld(limits=Limits(request_rate=Rate(0.5, 2)))
    for hello in (None, GET, client_hello(b"a")):
        transport = connect(world) if hello else TLSClient(world).shake_hands().transport
        transport.send(hello) if hello else None
        transport.lose()
    assert world.site.protocols == {}
    assert world.reactor.getDelayedCalls() == []


def test_connections_in_a_handshake_count_as_waiting() -> None:
    """Too many of them make room for each other."""
    world = TLSWorld(limits=Limits(max_waiting=2))
    first = TLSClient(world)
    TLSClient(world)
    assert ends(first.transport) == []
    TLSClient(world)
    assert ends(first.transport) == ["reset"]


def test_handshakes_of_one_client_have_a_rate() -> None:
    """Beyond it a connection is reset, before any work on its handshake; each request counts in addition."""
    world = TLSWorld(limits=Limits(request_rate=Rate(0.5, 3)))
    assert TLSClient(world).shake_hands().get().status == 200
    TLSClient(world).shake_hands()
    late = TLSClient(world)
    with pytest.raises(AssertionError, match="does not answer"):
        late.shake_hands()
    assert ends(late.transport)[-1] == "reset"
    assert late.transport.take() == b""
    world.reactor.advance(2)
    TLSClient(world).shake_hands()


def test_handshakes_of_a_trusted_proxy_have_no_rate() -> None:
    """They are for many clients."""
    rules = AccessRules.parse(trusted=["192.0.2.0/24"])
    world = TLSWorld(limits=Limits(request_rate=Rate(1, 1)), rules=rules)
    for _ in range(3):
        TLSClient(world).shake_hands()


def test_handshakes_are_counted_for_the_client_in_the_proxy_header() -> None:
    """The PROXY header comes before the handshake, and names the client."""
    world = TLSWorld(limits=Limits(request_rate=Rate(0.5, 1)))
    world.site = HAProxyWrappingFactory(world.site)

    def connect_from(host: str) -> TLSClient:
        client = TLSClient(world)
        client.transport.send(f"PROXY TCP4 {host} 192.0.2.2 5000 443\r\n".encode())
        return client

    for host in ("198.51.100.1", "198.51.100.2"):
        connect_from(host).shake_hands()
    with pytest.raises(AssertionError, match="does not answer"):
        connect_from("198.51.100.1").shake_hands()


def test_failed_handshake_is_logged(logged: list[str]) -> None:
    """With the client and OpenSSL's reason."""
    own = STRANGER.issue(subject="ada", client=True)
    client = TLSClient(TLSWorld(material(clients=(ROOT,))), own=own, version=SSL.TLS1_2_VERSION)
    refused(client)
    client.transport.lose()
    sentence = "192.0.2.1:40000 refused: tls-handshake-failed: certificate verify failed"
    assert sentences(logged)[-1] == sentence


def test_client_that_leaves_is_not_logged(logged: list[str]) -> None:
    """Before, in or after its handshake: load balancers do so to see whether the gateway lives."""
    for hello in (b"", client_hello(b"a")[:20]):
        transport = connect(TLSWorld())
        transport.send(hello) if hello else None
        transport.lose()
    TLSClient(TLSWorld()).shake_hands().transport.lose()
    assert [line for line in logged if "TLS" in line] == []


def client_hello(name: bytes) -> bytes:
    """Make a ClientHello of TLS 1.2 with this server name (RFC 5246 §7.4.1.2, RFC 6066 §3)."""
    entry = struct.pack("!BH", 0, len(name)) + name
    listed = struct.pack("!H", len(entry)) + entry
    extension = struct.pack("!HH", 0, len(listed)) + listed
    body = b"\x03\x03" + b"r" * 32 + b"\0" + b"\0\x02\xc0\x2b" + b"\x01\0"
    body += struct.pack("!H", len(extension)) + extension
    message = b"\x01" + struct.pack("!I", len(body))[1:] + body
    records = [message[start : start + 16_000] for start in range(0, len(message), 16_000)]
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(record)) + record for record in records)


@pytest.mark.parametrize(
    "name", [b"x" * 256, b"x" * 60_000, b"", b"a\0b"], ids=["256 bytes", "60000 bytes", "empty", "with a NUL"]
)
def test_invalid_server_name_is_a_failed_handshake(name: bytes) -> None:
    """OpenSSL refuses it; the connection is closed."""
    world = TLSWorld()
    transport = connect(world)
    transport.send(client_hello(name))
    assert transport.take()[:1] == b"\x15", "an alert"
    assert ends(transport) == ["close"]


def test_plain_http_is_closed() -> None:
    """It is no TLS."""
    transport = connect(TLSWorld())
    transport.send(GET)
    assert ends(transport) == ["close"]


def test_renegotiation_is_refused() -> None:
    """A client can't ask for one handshake after the other on one connection."""
    client = TLSClient(TLSWorld(), version=SSL.TLS1_2_VERSION).shake_hands()
    assert client.get().status == 200
    client.connection.renegotiate()
    with pytest.raises(SSL.Error):
        client.shake_hands()
