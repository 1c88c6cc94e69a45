"""TLS as a client: handshake, verification of the server, and how such a connection ends."""

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.target import Target
from portofcall.twisted_tls import TLSConnection

P = TypeVar("P", bound=IProtocol)

#: OpenSSL's reason for a chain that it does not accept; only its callback gets the details.
_CHAIN_REFUSED: Final = "certificate verify failed"


async def start_tls(
    transport: Any, server: Target, context: SSL.Context, build: Callable[[], P], *, reactor: Any
) -> P:
    """Make the TLS handshake on a connection that has just opened. Cancelling resets the connection.

    The host is named in the handshake, unless it is an address (RFC 6066 section 3), and the certificate has
    to be for it (RFC 9525), before anything is sent.

    Args:
        transport: of that connection; its protocol is replaced.
        server: the peer is verified as its host.
        context: decides which chains of certificates are accepted. One that asks for none (``VERIFY_NONE``)
            accepts every host, too.
        build: makes the protocol, once the handshake is done.
        reactor: of the connection.

    Returns:
        The protocol. Its end of the stream is the peer's close_notify (RFC 8446 section 6.1): this is
        reported as a half-close, and the connection is lost right after it, since TLS stacks close both
        directions then. A connection that ends without it was cut short, and is lost with an error.

    Raises:
        Exception: the handshake failed, or the connection was lost meanwhile; `tls_problem` explains which.
    """
    identity = _Identity(server, context)
    handshake = _Handshake(identity, build)
    layer = _HalfClosingTLS(TLSMemoryBIOFactory(identity, True, Factory(), reactor), handshake)
    transport.protocol = layer
    layer.makeConnection(transport)
    return await handshake.done


def tls_problem(problem: BaseException) -> str | None:
    """Explain why a handshake failed, without host or certificate; None if it is no error of TLS."""
    if isinstance(problem, VerificationError | CertificateError):
        return "its certificate is for another host"
    if isinstance(problem, SSL.Error):
        queue = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
        reasons = [str(entry[-1]) for entry in queue]
        if _CHAIN_REFUSED in reasons:
            return "its certificate is not trusted"
        return f"the TLS handshake failed ({reasons[0]})" if reasons else "the TLS handshake failed"
    if isinstance(problem, ConnectionClosed):
        return "the connection was closed during the TLS handshake"
    return None


@implementer(IOpenSSLClientConnectionCreator)
class _Identity:
    """The expected host of the peer.

    `twisted.internet.ssl.optionsForClientTLS` verifies that too, but takes a certificate without any name for
    one that is valid for every host.
    """

    def __init__(self, server: Target, context: SSL.Context) -> None:
        self._server = server
        self._context = context

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Make a connection, with the server's name (`IOpenSSLClientConnectionCreator`)."""
        connection = SSL.Connection(self._context)
        if self._server.address is None:
            connection.set_tlsext_host_name(self._server.host.encode("ascii"))
        return connection

    def verify(self, connection: SSL.Connection) -> None:
        """Verify the host of a certificate whose chain is accepted, unless none is asked for.

        Raises:
            VerificationError, CertificateError: it is for another host, or for none.
        """
        if connection.get_verify_mode() == SSL.VERIFY_NONE:
            return
        verify = verify_hostname if self._server.address is None else verify_ip_address
        verify(connection, self._server.host)


class _HalfClosingTLS(TLSConnection):
    """Twisted's TLS, with the half-close that TLS has and Twisted's does not."""

    def loseWriteConnection(self) -> None:
        """Send close_notify after everything that was written; the peer may go on sending."""
        super().loseConnection()

    def loseConnection(self) -> None:
        """Close after everything that was written and close_notify, without waiting for the peer's."""
        super().loseConnection()
        cast(ITCPTransport, self.transport).loseConnection()

    def sending_ends(self) -> None:
        """Release the producer, which would hold up the end; the peer may have ended first."""
        self.unregisterProducer()

    def receiving_ended(self) -> None:
        """Report that the peer has ended what it sends."""
        cast(_Handshake[Any], self.wrappedProtocol).end_of_stream()


@implementer(IHandshakeListener)
class _Handshake(Protocol, Generic[P]):
    """Waits for the handshake, and then hands everything on to the protocol."""

    def __init__(self, identity: _Identity, build: Callable[[], P]) -> None:
        self.done: Deferred[P] = Deferred(lambda _: self._transport.abortConnection())
        self._identity = identity
        self._build = build
        self._protocol: P | None = None

    @property
    def _transport(self) -> _HalfClosingTLS:
        return cast(_HalfClosingTLS, self.transport)

    def handshakeCompleted(self) -> None:
        """Verify the server, and connect the protocol, which then gets each read without another call."""
        if self.done.called:
            return
        try:
            self._identity.verify(self._transport.getHandle())
        except (VerificationError, CertificateError) as problem:
            self._transport.abortConnection()
            self.done.errback(problem)
            return
        protocol = self._protocol = self._build()
        self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
        try:
            protocol.makeConnection(self._transport)
        except OSError:
            # No descriptor or no memory of the kernel is left for it.
            self._transport.abortConnection()
            self.done.errback()
            return
        self.done.callback(protocol)

    def end_of_stream(self) -> None:
        """Report that the peer has ended what it sends."""
        half_closeable = IHalfCloseableProtocol(self._protocol, None)
        if half_closeable is not None:
            half_closeable.readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection."""
        if self._protocol is not None:
            self._protocol.connectionLost(reason)
        elif not self.done.called:
            self.done.errback(reason)
