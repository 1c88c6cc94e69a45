"""TLS in front of any listener: which certificate, which versions and ciphers, which clients.

Everything is kept in memory: no handshake reads a file, whatever name the client asks for.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from OpenSSL import SSL
from OpenSSL.crypto import X509, X509StoreFlags
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.errors import TooManyRequests, printable
from portofcall.service.tls_files import Certificate, TLSFileError, TLSMaterial, TLSVersion
from portofcall.twisted_tls import TLSServerConnection
from portofcall.web.handshakes import Handshakes
from portofcall.web.server import GatewaySite

#: For TLS 1.2, Mozilla's intermediate configuration 5.7 without finite-field Diffie-Hellman: forward secrecy
#: and authenticated encryption, as all ciphers of TLS 1.3 have them.
CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)
#: Session tickets are encrypted with keys of this age at most: who steals one can read TLS 1.2 sessions that
#: were resumed with its tickets.
TICKET_KEY_SECONDS: Final = 12 * 60 * 60

_VERSIONS: Final = {TLSVersion.TLS_1_2: SSL.TLS1_2_VERSION, TLSVersion.TLS_1_3: SSL.TLS1_3_VERSION}
_OPTIONS: Final = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION
_PROTOCOL: Final = b"http/1.1"
#: The most intermediate certificates between a client's and the authority's.
_MOST_INTERMEDIATES: Final = 5


class Contexts:
    """OpenSSL's contexts for one state of the files, with ticket keys of their own.

    Args:
        material: what the files hold.
        ciphers: for TLS 1.2, as OpenSSL writes them.

    Raises:
        TLSFileError: OpenSSL refuses a certificate or a key.
        OpenSSL.SSL.Error: it knows none of the ciphers.
    """

    def __init__(self, material: TLSMaterial, *, ciphers: str = CIPHERS) -> None:
        self.material = material
        self._ciphers = ciphers
        contexts = [_make_context(certificate, material, ciphers) for certificate in material.certificates]
        self.default = contexts[0]
        self._by_name: dict[bytes, SSL.Context] = {}
        for certificate, context in zip(material.certificates, contexts, strict=True):
            for name in certificate.names:
                self._by_name.setdefault(name.encode("ascii", "backslashreplace"), context)
        self.default.set_tlsext_servername_callback(self._choose)

    def renewed(self) -> "Contexts":
        """Return contexts for the same, with new ticket keys."""
        return Contexts(self.material, ciphers=self._ciphers)

    def for_name(self, name: bytes) -> SSL.Context:
        """Return the context for a server name: its own, a wildcard's, or the default one (RFC 6066 §3).

        Args:
            name: as the client sent it.
        """
        name = name.lower()
        wildcard = b"*." + name.partition(b".")[2]
        return self._by_name.get(name) or self._by_name.get(wildcard) or self.default

    def _choose(self, connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name is not None:
            connection.set_context(self.for_name(name))


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """Makes the server's side of TLS connections, for a `TLSFactory`.

    Args:
        contexts: for new connections.
        monotonic: returns the time for the age of ticket keys, in seconds.

    Attributes:
        material: what new connections use.
    """

    def __init__(self, contexts: Contexts, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.use(contexts)

    @property
    def names(self) -> Sequence[str]:
        """The names of the default certificate."""
        return self._contexts.material.certificates[0].names

    def use(self, contexts: Contexts) -> None:
        """Use these for new connections. Open ones keep theirs."""
        self._contexts = contexts
        self.material = contexts.material
        self._since = self._monotonic()

    def serverConnectionForTLS(self, _protocol: Any) -> SSL.Connection:
        """Make a connection (`IOpenSSLServerConnectionCreator`)."""
        if self._monotonic() - self._since > TICKET_KEY_SECONDS:
            self.use(self._contexts.renewed())
        return SSL.Connection(self._contexts.default, None)


class CountedTLS(TLSServerConnection):
    """A connection that speaks TLS. Its handshake is counted before it begins, and reported if it fails."""

    factory: "TLSFactory"
    _counted = False

    def dataReceived(self, data: bytes) -> None:
        """Take bytes from the client."""
        if not self._counted:
            # Not earlier: the PROXY header, with the client's address, comes first.
            self._counted = True
            try:
                self.factory.handshakes.count(self.getPeer())
            except TooManyRequests:
                self.abortConnection()
                return
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report why TLS failed, if it did."""
        # A client that is merely gone has another kind of reason.
        failed = self.failure
        if failed is not None and isinstance(failed.value, SSL.Error):
            self.factory.handshakes.failed(self.getPeer(), printable(_last_reason(failed.value)))
        super().connectionLost(reason)


class TLSFactory(TLSMemoryBIOFactory):
    """Puts TLS in front of a protocol.

    Args:
        tls: makes the server's side of connections.
        wrapped: makes what speaks inside TLS. It demands a certificate of clients if ``tls`` asks for one.
        clock: for small writes, which are sent together.
        handshakes: counts and reports the handshakes.
    """

    protocol = CountedTLS

    def __init__(
        self,
        tls: ServerTLS,
        wrapped: GatewaySite,
        *,
        clock: Any,
        handshakes: Handshakes,
    ) -> None:
        super().__init__(tls, False, wrapped, clock)
        wrapped.needs_certificate = lambda: bool(tls.material.client_authorities)
        self.handshakes = handshakes


def _make_context(certificate: Certificate, material: TLSMaterial, ciphers: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[material.min_version])
    context.set_options(_OPTIONS)
    # An idle tunnel has no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(ciphers.encode())
    context.set_alpn_select_callback(_select_protocol)
    # Tickets keep sessions on the client's side; the cache would keep them here.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"portofcall")
    try:
        leaf, *intermediates = certificate.chain
        context.use_certificate(leaf)
        context.use_privatekey(certificate.key)
        for intermediate in intermediates:
            context.add_extra_chain_cert(intermediate)
    except (SSL.Error, TypeError) as problem:
        path, reason = printable(str(certificate.path), 200), printable(_last_reason(problem))
        raise TLSFileError(f"--tls-cert {path}: OpenSSL refuses it ({reason})") from None
    if material.client_authorities:
        _ask_for_certificates(context, material)
    return context


def _ask_for_certificates(context: SSL.Context, material: TLSMaterial) -> None:
    # One that is not valid ends the handshake. Without one a client gets health checks, and the reason why it
    # gets nothing else: see `TLSFactory`.
    context.set_verify(SSL.VERIFY_PEER)
    context.set_verify_depth(_MOST_INTERMEDIATES)
    store = context.get_cert_store()
    assert store is not None
    # An authority below a root may stand for itself.
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    for authority in material.client_authorities:
        store.add_cert(X509.from_cryptography(authority))
        context.add_client_ca(authority)


def _select_protocol(_connection: SSL.Connection, offered: Sequence[bytes]) -> Any:
    return _PROTOCOL if _PROTOCOL in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _last_reason(problem: Exception) -> str:
    """Return the last of OpenSSL's reasons."""
    if problem.args and isinstance(problem.args[0], list) and problem.args[0]:
        return str(problem.args[0][-1][-1])
    return str(problem) or type(problem).__name__
