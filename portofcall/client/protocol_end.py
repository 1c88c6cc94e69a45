"""An application's protocol as the local end of a tunnel, which is its transport."""

from collections.abc import Iterable
from typing import Any, Final, cast

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPullProducer,
    IPushProducer,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.client.gateway_url import GatewayURL
from portofcall.client.problem import Problem, Status
from portofcall.client.tunnel import ClientTunnel, LocalEnd
from portofcall.relay.delivery import Progress
from portofcall.relay.interfaces import Buffer
from portofcall.target import Requested

_ABORTED: Final = Problem("aborted", "the connection was aborted", Status.CUT_OFF)


@implementer(IAddress)
class TunnelAddress:
    """The address of a tunnel's far end.

    Attributes:
        target: where the tunnel goes.
        gateway: the gateway that it goes through.
    """

    def __init__(self, target: Requested, gateway: GatewayURL) -> None:
        self.target = target
        self.gateway = gateway

    def __repr__(self) -> str:
        return f"<{self.target} through {self.gateway}>"


@implementer(ITransport, IPushProducer)
class ProtocolEnd(LocalEnd):
    """The local end of a tunnel, and the transport of an application's protocol.

    Args:
        protocol: the application's.
        tunnel: to the target.
        address: of the target.
        reactor: for what must not happen within a call.
    """

    trailer_bytes = queued_bytes = unacknowledged_bytes = 0
    is_exact = reads_bulk = True
    progress = Progress()
    failed = disconnecting = False

    def __init__(
        self, protocol: IProtocol, tunnel: ClientTunnel, address: TunnelAddress, reactor: Any
    ) -> None:
        self._protocol = protocol
        self._tunnel = tunnel
        self._address = address
        self._reactor = reactor
        self._source: IPushProducer | None = None  # the application's, paused while the gateway is slow
        self._chain: IPushProducer | None = None  # the tunnel's, paused while the application is slow
        self._pull: _Pull | None = None
        self._ended = self._lost = False
        self.transport = cast(Any, _EndOfTunnel(self))

    def begin(self) -> None:
        """Connect the protocol."""
        self._tunnel.closed.addBoth(self._tunnel_closed)
        self._protocol.makeConnection(self)

    # ITransport, for the application

    def write(self, data: bytes) -> None:
        """Send ``data`` to the target."""
        if data and not self._ended:
            self.events.backend_sent(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send the pieces to the target."""
        self.write(b"".join(data))

    def loseWriteConnection(self) -> None:
        """Send no more, after everything that was written; the target may go on sending."""
        if not self._ended:
            self._ended = True
            self.unregisterProducer()
            self.events.backend_ended()

    def loseConnection(self) -> None:
        """Close the connection after everything that was written."""
        if not self.disconnecting:
            self.disconnecting = True
            self.loseWriteConnection()
            self._tunnel.finish()
            self._report(ConnectionDone())

    def abortConnection(self) -> None:
        """Close the connection now."""
        self.disconnecting = self._ended = True
        self._reactor.callLater(0, self._tunnel.interrupt, _ABORTED)

    def getPeer(self) -> IAddress:
        """Return the target's address."""
        return cast(IAddress, self._address)

    def getHost(self) -> IAddress:
        """Return the same: the address of the near end means nothing to the target."""
        return cast(IAddress, self._address)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Do nothing: it is on."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Do nothing: it is on."""

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Have a producer paused while the gateway is slow (`IConsumer`)."""
        if self._source is not None:
            raise RuntimeError("a producer is registered already")
        if not streaming:
            producer = self._pull = _Pull(cast(IPullProducer, producer), self._reactor)
        self._source = cast(IPushProducer, producer)
        if self._pull is not None:
            self._pull.resumeProducing()

    def unregisterProducer(self) -> None:
        """Release the producer (`IConsumer`)."""
        if self._pull is not None:
            self._pull.pauseProducing()
        self._source = self._pull = None

    def pauseProducing(self) -> None:
        """Have the target wait (`IPushProducer`)."""
        if self._chain is not None:
            self._chain.pauseProducing()

    def resumeProducing(self) -> None:
        """Go on (`IPushProducer`)."""
        if self._chain is not None:
            self._chain.resumeProducing()

    def stopProducing(self) -> None:
        """Close the connection (`IPushProducer`)."""
        self.loseConnection()

    # LocalEnd, for the tunnel

    def finish(self) -> None:
        """Report that the target sends no more."""
        half_closeable = IHalfCloseableProtocol(self._protocol, None)
        if half_closeable is not None and not self.disconnecting:
            half_closeable.readConnectionLost()
        else:
            self.loseConnection()

    def drop(self) -> None:
        """Report the end to the tunnel; the protocol gets it once the tunnel is closed."""
        self._report(ConnectionDone())

    def abort(self) -> None:
        """The same."""
        self._report(ConnectionAborted())

    def _report(self, reason: Exception) -> None:
        if not self._lost:
            self._lost = self._ended = True
            self._reactor.callLater(0, self.events.backend_lost, Failure(reason))

    def _tunnel_closed(self, result: Failure | None) -> Failure | None:
        source, self._source = self._source, None
        if source is not None:
            source.stopProducing()
        problem = result.value if isinstance(result, Failure) else None
        if problem is None:
            reason = Failure(ConnectionDone())
        elif problem is _ABORTED:
            reason = Failure(ConnectionAborted())
        else:
            reason = Failure(problem)
        self._protocol.connectionLost(reason)
        return result


class _EndOfTunnel:
    """The application's side of a tunnel, as the tunnel's chains use it (`IEndTransport`)."""

    queued_bytes = 0
    reads_bulk = True

    def __init__(self, end: ProtocolEnd) -> None:
        self._end = end

    def write(self, data: Buffer) -> None:
        """Pass ``data`` on to the protocol."""
        if not self._end.disconnecting:
            self._end._protocol.dataReceived(bytes(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Have the tunnel wait while the application has paused."""
        self._end._chain = cast(IPushProducer, producer)

    def unregisterProducer(self) -> None:
        """Release the tunnel."""
        self._end._chain = None

    def pauseProducing(self) -> None:
        """Pause the application's producer."""
        if self._end._source is not None:
            self._end._source.pauseProducing()

    def resumeProducing(self) -> None:
        """Resume it."""
        if self._end._source is not None:
            self._end._source.resumeProducing()

    def closed(self) -> None:
        """Do nothing: there is no socket."""


@implementer(IPushProducer)
class _Pull:
    """A pull producer as a push producer: asked once in each turn of the reactor."""

    def __init__(self, producer: IPullProducer, reactor: Any) -> None:
        self._producer = producer
        self._reactor = reactor
        self._running = self._scheduled = False

    def resumeProducing(self) -> None:
        self._running = True
        self._schedule()

    def pauseProducing(self) -> None:
        self._running = False

    def stopProducing(self) -> None:
        self._running = False
        self._producer.stopProducing()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._produce)

    def _produce(self) -> None:
        self._scheduled = False
        if self._running:
            self._producer.resumeProducing()
            self._schedule()
