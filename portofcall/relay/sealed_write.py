"""Write to a TLS connection: records are sealed in a shared buffer, and sent at once."""

from collections.abc import Sequence
from typing import Any, cast

from twisted.internet.tcp import Connection
from twisted.protocols.tls import TLSMemoryBIOProtocol

from portofcall.relay.delivery import Delivery
from portofcall.relay.direct_write import DirectWrite, InTurn, close_stream, end_stream
from portofcall.relay.interfaces import Buffer, IStreamTransport
from portofcall.relay.tls_records import RECORD_BYTES, Records
from portofcall.relay.wrapped_transport import WrappedTransport
from portofcall.twisted_tls import flush, takes_records, write_past_buffer


class SealedWrite(WrappedTransport):
    """Seals what is written, and sends it at once; what the socket does not take is queued, sealed.

    Args:
        tls: from now on what it sends goes the same way.
        connection: below it.
        in_turn: see `portofcall.relay.direct_write.direct_write`.

    Attributes: see `IEndTransport`.
        records: of the connection.
        left_to_twisted: whether something had to be, so that it may wait for the next read.
    """

    __slots__ = ("_below", "_connection", "_tls", "delivery", "left_to_twisted", "records")

    def __init__(self, tls: TLSMemoryBIOProtocol, connection: Connection, in_turn: InTurn) -> None:
        super().__init__(tls)
        self.delivery = Delivery(cast(IStreamTransport, tls))
        flush(tls)
        self.records = Records(tls.getHandle())
        self._tls = cast(Any, tls)
        self._connection = connection
        self.left_to_twisted = not takes_records(tls)
        below = cast(IStreamTransport, tls.transport)
        self._below = DirectWrite(below, connection, in_turn, self.delivery)
        self._tls.transport = self._below

    @property
    def queued_bytes(self) -> int:
        """How many sealed bytes may still wait."""
        return self._below.queued_bytes

    def write(self, data: Buffer) -> None:
        """Send ``data`` (`ITransport`)."""
        if len(data) <= RECORD_BYTES and takes_records(self._tls):
            sealed = self.records.seal_record(bytes(data))
            if sealed:
                self._below.write(sealed)
                return
        self._send((data,))

    def writeSequence(self, pieces: Sequence[Buffer]) -> None:
        """Send the pieces as one (`ITransport`): a header and a large piece after it without joining them."""
        first, last = pieces[0], pieces[-1]
        room = RECORD_BYTES - len(first)
        if len(pieces) == 2 and 0 < room < len(last):
            self._send((b"".join((first, last[:room])), memoryview(last)[room:]))
        else:
            self.write(b"".join(pieces))

    def _send(self, pieces: Sequence[Buffer]) -> None:
        records, number, start, end = self.records, 0, 0, 0
        if takes_records(self._tls):
            while number < len(pieces):
                start, sealed = records.seal(pieces[number], start, end)
                if start == len(pieces[number]):
                    number, start, end = number + 1, 0, sealed
                elif sealed:
                    self._below.write(records.sealed(sealed))
                    end = 0
                else:
                    break
            if end:
                self._below.write(records.sealed(end))
        if number < len(pieces):
            # Twisted finds out why, and waits, or ends the connection.
            self.left_to_twisted = True
            rest = b"".join((pieces[number][start:], *pieces[number + 1 :]))
            write_past_buffer(self._tls, rest)

    def resumeProducing(self) -> None:
        """Have Twisted read (`IPushProducer`)."""
        self.records.release()
        self._tls.resumeProducing()

    def loseWriteConnection(self) -> None:
        """End what is sent with close_notify, after everything that was written (`ITCPTransport`)."""
        end_stream(self._tls)

    def loseConnection(self) -> None:
        """Close after everything that was written (`ITransport`); see `close_stream`."""
        close_stream(self._tls, self._connection)
