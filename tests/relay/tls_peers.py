"""TLS in memory for tests: both sides of a connection, and a peer that updates its keys."""

import ctypes
import ctypes.util
from contextlib import suppress
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from OpenSSL.crypto import X509

from tests.certificates import Authority, Issued

ROOT: Final = Authority()
VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
PROTOCOL: Final = b"http/1.1"


@cache
def issued(kind: str) -> Issued:
    """Return a certificate with an "ECDSA" or an "RSA" key."""
    return ROOT.issue("gateway.example", key=rsa.generate_private_key(65537, 2048) if kind == "RSA" else None)


@cache
def server_context(version: str = "1.3", kind: str = "ECDSA") -> SSL.Context:
    """Return the settings of a server, which asks for a client certificate and takes none, too."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(VERSIONS[version])
    context.set_max_proto_version(VERSIONS[version])
    context.use_certificate(issued(kind).chain[0])
    context.use_privatekey(issued(kind).key)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_id(b"test")
    context.set_verify(SSL.VERIFY_PEER)
    context.set_alpn_select_callback(lambda _, offered: offered[0])
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(X509.from_cryptography(ROOT.certificate))
    return context


@cache
def client_context() -> SSL.Context:
    """Return the settings of a client with a certificate."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    own = ROOT.issue(subject="ada", client=True)
    context.use_certificate(own.chain[0])
    context.use_privatekey(own.key)
    context.set_alpn_protos([PROTOCOL])
    return context


def client_connection() -> SSL.Connection:
    """Make a client's side of a connection."""
    connection = SSL.Connection(client_context(), None)
    connection.set_connect_state()
    connection.set_tlsext_host_name(b"gateway.example")
    return connection


def output(connection: SSL.Connection) -> bytes:
    """Return what a side has to send."""
    sent = b""
    while True:
        try:
            sent += connection.bio_read(1 << 20)
        except SSL.WantReadError:
            return sent


def plain_text(connection: SSL.Connection, sealed: bytes = b"") -> bytes:
    """Return what a side has received."""
    if sealed:
        connection.bio_write(sealed)
    received = b""
    while True:
        try:
            received += connection.recv(1 << 16)
        except SSL.WantReadError:
            return received


def connected(version: str = "1.3", kind: str = "ECDSA") -> tuple[SSL.Connection, SSL.Connection]:
    """Return the server's and the client's side of a connection, after the handshake."""
    server, client = SSL.Connection(server_context(version, kind), None), client_connection()
    server.set_accept_state()
    for _ in range(4):
        for here, there in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                here.do_handshake()
            sent = output(here)
            if sent:
                there.bio_write(sent)
    # The tickets of TLS 1.3.
    assert plain_text(client) == b""
    return server, client


class KeyUpdatingPeer:
    """A client with the system's OpenSSL, which can do what pyOpenSSL can't: update its keys.

    It trusts everybody.
    """

    def __init__(self, version: str = "1.3") -> None:
        name = ctypes.util.find_library("ssl")
        assert name is not None, "these tests need the system's OpenSSL, the shared library libssl"
        library = ctypes.CDLL(name)
        for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_new", "BIO_s_mem"):
            getattr(library, function).restype = ctypes.c_void_p
        self._library = library
        self._context = ctypes.c_void_p(library.SSL_CTX_new(ctypes.c_void_p(library.TLS_client_method())))
        self._ssl = ctypes.c_void_p(library.SSL_new(self._context))
        kind = ctypes.c_void_p(library.BIO_s_mem())
        self._into, self._from = (ctypes.c_void_p(library.BIO_new(kind)) for _ in range(2))
        library.SSL_set_bio(self._ssl, self._into, self._from)
        library.SSL_set_connect_state(self._ssl)

    def close(self) -> None:
        """Free it."""
        self._library.SSL_free(self._ssl)
        self._library.SSL_CTX_free(self._context)

    def take(self, sealed: bytes) -> None:
        """Get bytes from the server."""
        self._library.BIO_write(self._into, sealed, len(sealed))

    def output(self) -> bytes:
        """Return what it has to send."""
        buffer = ctypes.create_string_buffer(1 << 20)
        count = self._library.BIO_read(self._from, buffer, len(buffer))
        return buffer.raw[: max(0, count)]

    def shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done."""
        return bool(self._library.SSL_do_handshake(self._ssl) == 1)

    def update_key(self, *, asks: bool) -> None:
        """Send a key update, which may ask the server for one of its own."""
        assert self._library.SSL_key_update(self._ssl, int(asks)) == 1
        assert self._library.SSL_do_handshake(self._ssl) == 1

    def send(self, data: bytes) -> None:
        """Send data."""
        assert self._library.SSL_write(self._ssl, data, len(data)) == len(data)

    def receive(self) -> bytes:
        """Return the data that has come."""
        buffer, received = ctypes.create_string_buffer(1 << 16), b""
        while (count := self._library.SSL_read(self._ssl, buffer, len(buffer))) > 0:
            received += buffer.raw[:count]
        return received


def with_key_updating_peer() -> tuple[SSL.Connection, KeyUpdatingPeer]:
    """Return a server's side, and a client that can update its keys, after the handshake."""
    server, client = SSL.Connection(server_context(), None), KeyUpdatingPeer()
    server.set_accept_state()
    for _ in range(4):
        client.shake_hands()
        sent = client.output()
        if sent:
            server.bio_write(sent)
        with suppress(SSL.WantReadError):
            server.do_handshake()
        client.take(output(server))
    assert client.receive() == b""
    return server, client
