"""What the gateway does with Twisted's TLS that Twisted does not document.

`portofcall.twisted_internals` checks at import that all of it is there.
"""

from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from portofcall.twisted_internals import queued_bytes

#: How much Twisted takes from OpenSSL at a time.
_MOST_SEALED_BYTES: Final = 2**15


def unchanged_below(transport: Any) -> Connection | None:
    """Return the connection whose socket gets what is written to a transport as it is, if there is one.

    The header of the PROXY protocol may come before that; TLS changes it.
    """
    while isinstance(transport, ProtocolWrapper) and type(transport).write is ProtocolWrapper.write:
        transport = transport.transport
    return transport if isinstance(transport, Connection) and not transport.TLS else None


def unencrypted_bytes(tls: TLSMemoryBIOProtocol) -> int:
    """Return how much of what was written to a TLS connection waits in it, not encrypted yet."""
    small = getattr(tls._aggregator, "_buffer", ()) if isinstance(tls, BufferingTLSTransport) else ()
    return sum(map(len, (*tls._appSendBuffer, *small)))


def is_established(tls: TLSMemoryBIOProtocol) -> bool:
    """Return whether the handshake is done, and both sides may send."""
    return bool(tls._handshakeDone) and not (tls._aborted or tls.disconnecting or tls._lostTLSConnection)


def has_ended(tls: TLSMemoryBIOProtocol) -> bool:
    """Return whether nothing that still comes is of use: the stream has ended, or was given up."""
    return bool(tls._lostTLSConnection or tls._aborted)


def takes_records(tls: TLSMemoryBIOProtocol) -> bool:
    """Return whether records may be sent past a TLS connection: it is open, and nothing waits in it."""
    return not (tls._lostTLSConnection or tls.disconnecting or tls._appSendBuffer)


def flush(tls: TLSMemoryBIOProtocol) -> None:
    """Encrypt the small writes that wait in a TLS connection."""
    if isinstance(tls, BufferingTLSTransport):
        tls._aggregator.flush()


def write_past_buffer(tls: TLSMemoryBIOProtocol, data: bytes) -> None:
    """Write to a TLS connection, in whose buffer for small writes nothing waits, after what had to wait."""
    resume_writes(tls)
    TLSMemoryBIOProtocol.write(tls, data)


def answer_records(tls: TLSMemoryBIOProtocol) -> None:
    """Send what OpenSSL has to say to records that were read past a TLS connection."""
    tls._flushSendBIO()


def resume_writes(tls: TLSMemoryBIOProtocol) -> None:
    """Try again to write what OpenSSL did not take. Twisted does that when it has read something."""
    if tls._appSendBuffer:
        tls._unbufferPendingWrites()


def end_reading(tls: TLSMemoryBIOProtocol, problem: SSL.Error) -> None:
    """End a TLS connection as if it had read its end itself.

    Args:
        tls: if it has ended, nothing happens.
        problem: the end of the stream, `SSL.ZeroReturnError`, or the error.
    """
    if has_ended(tls):
        return
    if isinstance(problem, SSL.ZeroReturnError):
        tls._shutdownTLS()
        tls._tlsShutdownFinished(None)
    else:
        tls._tlsShutdownFinished(Failure(problem))


class TLSConnection(BufferingTLSTransport):
    """Twisted's TLS, which reports the ends of its two streams."""

    @property
    def failure(self) -> Failure | None:
        """Why TLS failed; None if it did not, and in any case after `connectionLost`."""
        reason: Failure | None = self._reason
        return reason

    def sending_ends(self) -> None:
        """Nothing more can be sent: close_notify (RFC 8446 §6.1) follows. May be called more than once."""

    def receiving_ended(self) -> None:
        """The peer has sent close_notify."""

    def _shutdownTLS(self) -> None:
        self.sending_ends()
        super()._shutdownTLS()

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        super()._tlsShutdownFinished(reason)
        if reason is None:
            self.receiving_ended()


class TLSServerConnection(TLSConnection):
    """The server's side, which sends at once what the socket takes: a handshake waits for no turn."""

    _connection: Connection | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """Wait for the client, which speaks first; Twisted declares each interface of the transport, too."""
        self._tlsConnection = self.factory._creatorCallable(self)
        self._appSendBuffer: list[bytes] = []
        self._connection = unchanged_below(transport)
        ProtocolWrapper.makeConnection(self, transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report it, and where this side has ended the stream do not ask OpenSSL how the peer has."""
        self._lostTLSConnection = self._lostTLSConnection or bool(self.disconnecting)
        super().connectionLost(reason)

    def _flushSendBIO(self) -> None:
        below = self._connection
        if below is None or not below.connected or below._writeDisconnected or queued_bytes(below):
            super()._flushSendBIO()
            return
        try:
            sealed = self._tlsConnection.bio_read(_MOST_SEALED_BYTES)
        except SSL.WantReadError:
            return
        sent = below.writeSomeData(sealed)
        # An error is the transport's, which meets it again.
        below.write(sealed[sent if isinstance(sent, int) else 0 :])
