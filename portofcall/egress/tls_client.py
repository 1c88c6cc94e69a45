"""TLS from the gateway to a named target: handshake, verification, and how such a connection ends."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProtocol,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.egress.named_target import TLSTrust

P = TypeVar("P", bound=IProtocol)

#: OpenSSL's reason when it does not accept a chain; why exactly is known to its callback only.
_CHAIN_REFUSED = "certificate verify failed"


def connection_creator(host: str, trust: TLSTrust) -> IOpenSSLClientConnectionCreator:
    """Make what TLS connections to one host are made of. It is worth keeping: it loads the authorities.

    Connections demand TLS 1.2 and a certificate for ``host`` from one of the authorities (RFC 9525), and name
    ``host`` in the handshake unless it is an address (RFC 6066 section 3).
    """
    if trust.authorities is None:
        return optionsForClientTLS(host)
    authorities = [Certificate.loadPEM(authority) for authority in trust.authorities]
    return optionsForClientTLS(host, trustRootFromCertificates(authorities))


async def start_tls(
    transport: Any, creator: IOpenSSLClientConnectionCreator, build: Callable[[], P], *, reactor: Any
) -> P:
    """Make the TLS handshake on a connection that has just opened. Cancelling resets the connection.

    Args:
        transport: of that connection; its protocol is replaced.
        creator: of `connection_creator`.
        build: makes the protocol, once the handshake is done.
        reactor: of the connection.

    Returns:
        The protocol. Its end of the stream is the peer's close_notify (RFC 8446 section 6.1): this is
        reported as a half-close, and the connection is lost right after it, since TLS stacks close both
        directions then. A connection that ends without it was cut short, and is lost with an error.

    Raises:
        Exception: the handshake failed, or the connection was lost meanwhile; `tls_problem` explains which.
    """
    handshake = _Handshake(build)
    layer = _TLSConnection(TLSMemoryBIOFactory(creator, True, Factory(), reactor), handshake)
    transport.protocol = layer
    layer.makeConnection(transport)
    return await handshake.done


def tls_problem(problem: BaseException) -> str | None:
    """Explain why a handshake failed, without host or certificate; None if it is no error of TLS."""
    if isinstance(problem, VerificationError):
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


class _TLSConnection(BufferingTLSTransport):
    """Twisted's TLS, with the half-close that TLS has and Twisted's does not."""

    def loseWriteConnection(self) -> None:
        """Send close_notify after everything that was written; the peer may go on sending."""
        super().loseConnection()

    def loseConnection(self) -> None:
        """Close after everything that was written and close_notify, without waiting for the peer's."""
        super().loseConnection()
        cast(ITCPTransport, self.transport).loseConnection()


@implementer(IHandshakeListener)
class _Handshake(Protocol, Generic[P]):
    """Waits for the handshake, and then hands everything on to the protocol."""

    def __init__(self, build: Callable[[], P]) -> None:
        self.done: Deferred[P] = Deferred(lambda _: self._transport.abortConnection())
        self._build = build
        self._protocol: P | None = None

    @property
    def _transport(self) -> _TLSConnection:
        return cast(_TLSConnection, self.transport)

    def handshakeCompleted(self) -> None:
        """Connect the protocol, which then gets each read without a call in between."""
        if self.done.called:
            return
        protocol = self._protocol = self._build()
        self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
        protocol.makeConnection(self._transport)
        self.done.callback(protocol)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end; a clean one is the end of the stream first."""
        if self._protocol is None:
            if not self.done.called:
                self.done.errback(reason)
            return
        half_closeable = IHalfCloseableProtocol(self._protocol, None)
        if half_closeable is not None and reason.check(ConnectionDone):
            half_closeable.readConnectionLost()
        self._protocol.connectionLost(reason)
