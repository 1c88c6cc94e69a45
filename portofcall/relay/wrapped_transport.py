"""Wrap a transport without slowing it down."""

from typing import Any

from twisted.internet.interfaces import IAddress, IProducer


class WrappedTransport:
    """Passes on to a transport all that its wrapper does not do itself.

    Each method is spelled out: Python reads every attribute of an object more slowly whose class has
    ``__getattr__``, also those that are there.

    Args:
        transport: what is wrapped.
    """

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    @property
    def connected(self) -> bool:
        """Whether the connection is open."""
        return bool(self._transport.connected)

    @property
    def disconnecting(self) -> bool:
        """Whether it is to be closed after everything that was written."""
        return bool(self._transport.disconnecting)

    def getPeer(self) -> IAddress:
        """Return the address of the other side (`ITransport`)."""
        address: IAddress = self._transport.getPeer()
        return address

    def getHost(self) -> IAddress:
        """Return the address of this side (`ITransport`)."""
        address: IAddress = self._transport.getHost()
        return address

    def getTcpNoDelay(self) -> bool:
        """Return whether small segments are sent at once (`ITCPTransport`)."""
        return bool(self._transport.getTcpNoDelay())

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Set that."""
        self._transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """Return whether the kernel asks silent peers whether they are still there (`ITCPTransport`)."""
        return bool(self._transport.getTcpKeepAlive())

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Set that."""
        self._transport.setTcpKeepAlive(enabled)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Take a producer (`IConsumer`)."""
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """Release the producer (`IConsumer`)."""
        self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        """Stop reading (`IPushProducer`)."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Start reading (`IPushProducer`)."""
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """Close after everything that was written (`IProducer`)."""
        self._transport.stopProducing()

    def loseConnection(self) -> None:
        """Close after everything that was written (`ITransport`)."""
        self._transport.loseConnection()

    def loseWriteConnection(self) -> None:
        """End what is sent after everything that was written, and go on reading (`ITCPTransport`)."""
        self._transport.loseWriteConnection()

    def abortConnection(self) -> None:
        """Reset the connection now (`IAbortConnection`)."""
        self._transport.abortConnection()
