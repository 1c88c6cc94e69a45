"""A TLS client of a gateway in memory, and a gateway behind TLS for it."""

from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509

from portofcall.service.tls import Contexts, ServerTLS, TLSFactory
from portofcall.service.tls_files import Certificate, TLSMaterial
from portofcall.testing import FakeTransport, Response, World
from tests.certificates import Authority, Issued

ROOT = Authority()
MIDDLE = Authority("Test Intermediate", above=ROOT)
GATEWAY = MIDDLE.issue("gateway.example")
GET = b"GET / HTTP/1.1\r\nHost: gateway.example\r\n\r\n"


def material(*issued: Issued, clients: tuple[Authority, ...] = (), **more: Any) -> TLSMaterial:
    """What files with these certificates hold."""
    return TLSMaterial(
        certificates=tuple(
            Certificate(path=Path("server.pem"), chain=one.chain, key=one.key) for one in issued or (GATEWAY,)
        ),
        client_authorities=tuple(authority.certificate for authority in clients),
        **more,
    )


class TLSWorld(World):
    """A gateway in memory behind TLS.

    Args:
        tls: what the files hold; None means the certificate ``GATEWAY`` alone.
        more: as for `World`.
    """

    def __init__(self, tls: TLSMaterial | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.tls = ServerTLS(Contexts(tls or material()), monotonic=self.reactor.seconds)
        self.site: Any = TLSFactory(
            self.tls, self.site, clock=self.reactor, handshakes=self.gateway.handshakes
        )


class ClosingTransport(FakeTransport):
    """A transport that closes although a producer is registered, as Twisted's do while that is not paused.

    Twisted's TLS relies on it when a handshake fails.
    """

    def loseConnection(self) -> None:
        assert not self.producer_paused, "a transport with a paused producer never closes"
        self.producer = None
        super().loseConnection()


def connect(world: World) -> FakeTransport:
    """Connect a client that speaks no TLS yet."""
    transport = ClosingTransport()
    transport.protocol = world.site.buildProtocol(transport.getPeer())
    transport.protocol.makeConnection(transport)
    return transport


def client_context(
    own: Issued | None, version: int | None, offers: tuple[bytes, ...], ciphers: bytes
) -> SSL.Context:
    """Make the settings of a `TLSClient`."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_PEER)
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(X509.from_cryptography(ROOT.certificate))
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if own is not None:
        context.use_certificate(own.chain[0])
        context.use_privatekey(own.key)
        for intermediate in own.chain[1:]:
            context.add_extra_chain_cert(intermediate)
    if offers:
        context.set_alpn_protos(list(offers))
    if ciphers:
        context.set_cipher_list(ciphers)
    return context


class TLSClient:
    """A client in memory that verifies the server against ``ROOT``.

    Attributes:
        transport: its connection to the gateway.
        connection: OpenSSL's side of it.
    """

    def __init__(
        self,
        world: World,
        name: str | None = "gateway.example",
        *,
        own: Issued | None = None,
        version: int | None = None,
        resumes: "TLSClient | None" = None,
        offers: tuple[bytes, ...] = (),
        ciphers: bytes = b"",
    ) -> None:
        self.context: SSL.Context = (
            resumes.context if resumes else client_context(own, version, offers, ciphers)
        )
        self.world = world
        self.connection = SSL.Connection(self.context, None)
        self.connection.set_connect_state()
        if name is not None:
            self.connection.set_tlsext_host_name(name.encode())
        if resumes is not None:
            session = resumes.connection.get_session()
            assert session is not None
            self.connection.set_session(session)
        self.transport = connect(world)

    def shake_hands(self) -> "TLSClient":
        """Complete the handshake; raises `SSL.Error` if a side refuses it."""
        for _ in range(5):
            try:
                self.connection.do_handshake()
            except SSL.WantReadError:
                self.flush()
                continue
            self.flush()
            return self
        raise AssertionError("the server does not answer")

    def flush(self) -> None:
        """Pass on what each side has sent."""
        while True:
            try:
                self.transport.send(self.connection.bio_read(1 << 20))
            except SSL.WantReadError:
                break
        self.world.reactor.advance(0)
        received = self.transport.take()
        if received:
            self.connection.bio_write(received)

    def send(self, data: bytes) -> None:
        """Send data inside TLS."""
        self.connection.send(data)
        self.flush()

    def receive(self) -> bytes:
        """Return what the gateway sent inside TLS."""
        self.flush()
        received = b""
        while True:
            try:
                received += self.connection.recv(1 << 16)
            except (SSL.WantReadError, SSL.ZeroReturnError):
                return received

    def get(self, request: bytes = GET) -> Response:
        """Make a request; None means the page."""
        self.send(request)
        return Response(self.receive())

    @property
    def resumed(self) -> bool:
        """Whether an earlier session was resumed."""
        return bool(cast(Any, SSL)._lib.SSL_session_reused(self.connection._ssl))

    @property
    def server_chain(self) -> list[x509.Certificate]:
        """The certificates that the server sent."""
        return list(self.connection.get_peer_cert_chain(as_cryptography=True) or ())


def names_of(client: TLSClient) -> list[str]:
    """Return the names in the server's certificate."""
    extension = client.server_chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def refused(client: TLSClient) -> str:
    """Return why the gateway refuses the handshake, as the client sees it."""
    with pytest.raises(SSL.Error) as caught:
        client.shake_hands().receive()
    return str(caught.value.args[0][-1][-1])
