"""TLS between a socket that is read and written directly and an end of a tunnel.

Twisted makes the handshake, and moves everything until a tunnel takes the connection over. From then on
`DirectTLS` moves the data. It reads the socket as `DirectRead` does, writes to it as `DirectWrite` does, and
in between has OpenSSL open and seal the records, in the same memory BIOs of the same connection
(`portofcall.relay.tls_records`). So Twisted's TLS stays in charge of everything rare: it ends the connection,
sends alerts and close_notify, and reports errors as usual.
"""

from time import monotonic
from typing import Final, cast

from OpenSSL import SSL
from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from portofcall.limits.counters import RateLimit
from portofcall.limits.values import Rate
from portofcall.relay import tls_records
from portofcall.relay.direct_read import DirectRead, Received
from portofcall.relay.interfaces import IEndTransport, IStreamTransport
from portofcall.relay.readiness import Readiness
from portofcall.relay.sealed_write import SealedWrite
from portofcall.twisted_tls import (
    answer_records,
    end_reading,
    is_established,
    resume_writes,
    unchanged_below,
)

#: How often a peer may make us send records that are no data: requests for a renegotiation, each of which is
#: refused (RFC 5246 §7.2.2), and for key updates (RFC 8446 §4.6.3). Per second, and at once.
_ANSWERS: Final = Rate(10, 100)
_TOO_MANY_ANSWERS: Final = ("SSL routines", "", "too many renegotiations or key updates")
_NOTHING: Final = memoryview(b"")


def direct_tls(transport: IStreamTransport, readiness: Readiness, received: Received) -> IEndTransport | None:
    """Wrap Twisted's TLS so that it sends and reads directly.

    Args:
        transport: connected, without a producer.
        readiness: of the same reactor.
        received: gets the plain text that is read. `resumeProducing` starts reading.

    Returns:
        None if that is not possible: it is no established TLS right above a socket (behind the header of the
        PROXY protocol or not), or pyOpenSSL lacks what `portofcall.relay.tls_records` needs.
    """
    if tls_records.UNAVAILABLE or not readiness.available:
        return None
    if not isinstance(transport, TLSMemoryBIOProtocol) or not is_established(transport):
        return None
    below = unchanged_below(transport.transport)
    return None if below is None else cast(IEndTransport, DirectTLS(transport, below, readiness, received))


class DirectTLS(DirectRead):
    """Reads the socket of a TLS connection while that is open and without error; see `DirectRead`.

    The bytes of one read are opened within the budget of a turn. What it does not cover is kept, and the
    socket is not read until that is opened.

    Args:
        tls: gets all other calls, and the end of the stream.
        connection: below it.
        readiness: reports when to read.
        received: gets the plain text of each read, in a buffer that is overwritten afterwards.
    """

    __slots__ = (
        "_answers",
        "_kept",
        "_paused",
        "_plain_received",
        "_records",
        "_scheduled",
        "_sending",
        "_tls",
    )

    def __init__(
        self, tls: TLSMemoryBIOProtocol, connection: Connection, readiness: Readiness, received: Received
    ) -> None:
        sending = SealedWrite(tls, connection, readiness.in_turn_beside)
        self._tls = tls
        self._sending = sending
        self._records = sending.records
        self._plain_received = received
        self._answers: RateLimit | None = None
        self._kept = _NOTHING
        self._paused = False  # while something is kept
        self._scheduled = False  # to go on
        super().__init__(cast(IEndTransport, sending), connection, readiness, self._open)

    def pauseProducing(self) -> None:
        """Stop reading (`IPushProducer`)."""
        self._paused = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """Open what was kept, then read (`IPushProducer`)."""
        self._paused = False
        if not self._kept:
            super().resumeProducing()
        elif not self._scheduled:
            self._scheduled = True
            self._readiness.in_turn(self._go_on)

    def closed(self) -> None:
        """Note that the transport has closed its socket."""
        super().closed()
        self._kept = _NOTHING
        self._plain_received = self._received

    def _open(self, sealed: memoryview) -> None:
        """Pass on what the bytes of one read, or what was kept of them, hold."""
        plain, problem, left, other = self._records.open(sealed)
        if left:
            kept = sealed[-left:]
            self._kept = kept if sealed is self._kept else memoryview(bytes(kept))
            self._unwatch()
            self.resumeProducing()
        elif self._kept:
            self._kept = _NOTHING
            self.resumeProducing()
        if other and self._records.has_output and not self._answer():
            return
        if self._sending.left_to_twisted:
            resume_writes(self._tls)
        if plain:
            self._plain_received(plain)
        if problem is not None:
            self._leave_to_transport()
            end_reading(self._tls, problem)

    def _go_on(self) -> None:
        self._scheduled = False
        if self._paused or not self._kept:
            return
        try:
            self._open(self._kept)
        except Exception:  # noqa: BLE001 - as in the reactor, it ends this connection only
            self._fail()

    def _answer(self) -> bool:
        """Send what OpenSSL has to say, or reset the connection if it had to too often."""
        if self._answers is None:
            self._answers = RateLimit(_ANSWERS, now=monotonic)
        if self._answers.take(""):
            self._leave_to_transport()
            self._tls.failVerification(Failure(SSL.Error([_TOO_MANY_ANSWERS])))
            return False
        answer_records(self._tls)
        return True

    def _leave_to_transport(self) -> None:
        super()._leave_to_transport()
        self._kept = _NOTHING
        self._records.release()
