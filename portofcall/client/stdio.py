"""Standard input and output as the local end of a tunnel."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProducer
from twisted.python.failure import Failure

from portofcall.client.descriptor_input import Input
from portofcall.client.descriptor_output import Output
from portofcall.client.problem import Problem, Status
from portofcall.client.tunnel import LocalEnd
from portofcall.relay.delivery import Progress
from portofcall.relay.interfaces import Buffer
from portofcall.relay.readiness import Readiness


class StdioTransport:
    """A pair of descriptors as a transport of a tunnel's end (`portofcall.relay.interfaces.IEndTransport`).

    Args:
        input_: the descriptor to read.
        output: the descriptor to write to.
        reactor: waits for the output to take more.
        readiness: watches the input.
        end: gets the input, its end, and the end of both.
    """

    trailer_bytes = 0
    is_exact = True
    failed = False
    most_read_bytes = 0

    def __init__(
        self, input_: int, output: int, *, reactor: Any, readiness: Readiness, end: "StdioEnd"
    ) -> None:
        self.delivery = self
        self._reactor = reactor
        self._end = end
        self._lost = False
        self._output = Output(output, reactor=reactor, readiness=readiness, failed=self._unread)
        self._input = Input(
            input_, reactor=reactor, readiness=readiness, received=end.dataReceived, ended=self._input_ended
        )
        self.is_terminal = self._input.is_terminal
        self.write: Callable[[Buffer], None] = self._output.write

    def pass_on_to(self, received: Callable[[Buffer], None]) -> None:
        """Pass the input on to ``received`` from now on."""
        self._input.received = received

    @property
    def reads_bulk(self) -> bool:
        """See `ISource`."""
        return self._input.reads_bulk

    @reads_bulk.setter
    def reads_bulk(self, reads_bulk: bool) -> None:
        self._input.reads_bulk = reads_bulk

    @property
    def queued_bytes(self) -> int:
        """How much waits to be written."""
        return self._output.queued_bytes

    @property
    def unacknowledged_bytes(self) -> int:
        """The same: what is written counts as delivered."""
        return self._output.queued_bytes

    @property
    def progress(self) -> Progress:
        """How much has been written."""
        return Progress(acknowledged=self._output.written_bytes)

    def writeSequence(self, pieces: Iterable[Buffer]) -> None:
        """Write the pieces as one."""
        self.write(b"".join(pieces))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """See `Output`."""
        self._output.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """See `Output`."""
        self._output.unregisterProducer()

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._input.pause()

    def resumeProducing(self) -> None:
        """Read from now on."""
        self._input.resume()

    def stopProducing(self) -> None:
        """Close both, as the consumer of the input is gone."""
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        """Close the output once everything is written."""
        self._output.close(self._end.output_closed)

    def loseConnection(self) -> None:
        """Close both, the output once everything is written."""
        self._input.close()
        self._output.close(lambda: self._lose(ConnectionDone()))

    def abortConnection(self) -> None:
        """Close both now."""
        self._input.close()
        self._output.abort()
        self._lose(ConnectionAborted())

    def closed(self) -> None:
        """Do nothing: both descriptors are closed."""

    def _input_ended(self, error: OSError | None) -> None:
        if error is None:
            self._end.readConnectionLost()
        else:
            self._output.abort()
            self._lose(Problem("stdin-failed", f"standard input: {error.strerror}", Status.CUT_OFF))

    def _unread(self, error: OSError) -> None:
        self._input.close()
        if isinstance(error, BrokenPipeError | ConnectionResetError):
            self._lose(Problem("stdout-closed", "standard output was closed by its reader", Status.UNREAD))
        else:
            self._lose(Problem("stdout-failed", f"standard output: {error.strerror}", Status.CUT_OFF))

    def _lose(self, reason: Exception) -> None:
        if not self._lost:
            self._lost = True
            # As of any transport, the end is not reported from within a call to it.
            self._reactor.callLater(0, self._end.connectionLost, Failure(reason))


class StdioEnd(LocalEnd):
    """Standard input and output.

    Args:
        input_: the descriptor to read.
        output: the descriptor to write to.
        reactor: waits for the output to take more.
        readiness: watches the input.
    """

    def __init__(self, input_: int, output: int, *, reactor: Any, readiness: Readiness) -> None:
        super().__init__(readiness)
        self._stdio = StdioTransport(input_, output, reactor=reactor, readiness=readiness, end=self)
        self._ends_with_output = self._stdio.is_terminal
        self._output_closed = False
        self.transport = cast(Any, self._stdio)

    def begin(self) -> None:
        """Start reading, now that the tunnel is there."""
        # One call less for each piece.
        self._stdio.pass_on_to(self.events.backend_sent)
        self._stdio.resumeProducing()

    def gateway_ended(self) -> None:
        """Read no more, and end once everything is written."""
        self._ends_with_output = True
        if self._output_closed:
            self._stdio.loseConnection()

    def output_closed(self) -> None:
        """Note that everything is written; a terminal is read no longer then."""
        self._output_closed = True
        if self._ends_with_output:
            self._stdio.loseConnection()
