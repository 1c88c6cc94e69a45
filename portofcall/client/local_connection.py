"""A connection of a local program, from when it comes until the gateway has accepted its tunnel."""

from collections.abc import Callable
from typing import Any, Final, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from portofcall.client.forwarded_end import Answer, ForwardedEnd
from portofcall.client.problem import Problem
from portofcall.client.socks import Refusal, Reply, SOCKSHandshake, SOCKSLogin, reply, reply_code
from portofcall.client.tunnel import ClientTunnel
from portofcall.limits.values import KiB
from portofcall.relay.readiness import Readiness
from portofcall.target import Requested

#: How much of what a program sends is kept until its tunnel is there; then it is not read any more.
_MOST_EARLY_BYTES: Final = 64 * KiB


@implementer(IHalfCloseableProtocol)
class LocalConnection(Protocol):
    """Keeps a bounded part of what the program sends, so that its end is noticed.

    Args:
        target: where to.
        accepted: called once the connection is open.

    Attributes:
        lost: called when the program has reset the connection, or closed it before it was clear where to.
        end: the end of the tunnel, once there is one.
    """

    answer: Answer | None = None

    def __init__(self, target: Requested | None, accepted: Callable[["LocalConnection"], None]) -> None:
        self.lost: Callable[[], None] = _nothing
        self.end: ForwardedEnd | None = None
        self._target = target
        self._accepted = accepted
        self._early = bytearray()
        self._ended = self._closed = False

    def target(self) -> Deferred[Requested]:
        """Return where to, once that is known."""
        assert self._target is not None
        return succeed(self._target)

    def begin(self, tunnel: ClientTunnel, *, readiness: Readiness, clock: Any) -> ForwardedEnd:
        """Return the end of a tunnel, to which the connection belongs from now on."""
        end = self.end = ForwardedEnd(
            tunnel,
            readiness=readiness,
            clock=clock,
            early=bytes(self._early),
            ended=self._ended,
            answer=self.answer,
        )
        self._early.clear()
        transport: Any = self.transport
        transport.protocol = end
        end.makeConnection(transport)
        return end

    def target_connected(self) -> None:
        """The target is connected."""
        assert self.end is not None
        self.end.target_connected()

    def fail(self, problem: Problem) -> None:
        """Close the connection, as there will be no tunnel."""
        if self._closed:
            return
        self._closed = True
        transport: Any = self.transport
        if self.answer is None:
            transport.abortConnection()
        else:
            transport.write(self.answer(problem))
            transport.loseConnection()

    def close(self) -> None:
        """Reset the connection."""
        self._closed = True
        cast(Any, self.transport).abortConnection()

    # Twisted calls these

    def connectionMade(self) -> None:
        """Report the connection."""
        self._accepted(self)

    def dataReceived(self, data: bytes) -> None:
        """Keep ``data``."""
        self._early += data
        if len(self._early) > _MOST_EARLY_BYTES:
            cast(Any, self.transport).pauseProducing()

    def readConnectionLost(self) -> None:
        """Note FIN."""
        self._ended = True

    def writeConnectionLost(self) -> None:
        """Do nothing: the connection is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report that the connection is gone."""
        self._closed = True
        self.lost()


class SOCKSConnection(LocalConnection):
    """The connection of a SOCKS client.

    Args:
        login: what clients need; None means nothing.
        accepted: called once the connection is open.
    """

    def __init__(self, login: SOCKSLogin | None, accepted: Callable[[LocalConnection], None]) -> None:
        super().__init__(None, accepted)
        self._handshake: SOCKSHandshake | None = SOCKSHandshake(login)
        self._asked: Deferred[Requested] = Deferred()

    def target(self) -> Deferred[Requested]:
        """Return what the client asks for, once it has. Fails with `Problem` if the handshake does."""
        return self._asked

    def dataReceived(self, data: bytes) -> None:
        """Take a part of the handshake, or keep what comes after it."""
        handshake = self._handshake
        if handshake is None or self._closed:
            super().dataReceived(data)
            return
        transport: Any = self.transport
        try:
            answer = handshake.receive(data)
        except Refusal as refusal:
            self._closed = True
            transport.write(refusal.answer)
            transport.loseConnection()
            self._asked.errback(refusal.problem)
            return
        if answer:
            transport.write(answer)
        if handshake.target is not None:
            self._handshake = None
            self.answer = _answer
            super().dataReceived(handshake.take_rest())
            self._asked.callback(handshake.target)

    def readConnectionLost(self) -> None:
        """Note FIN, with which a handshake is over."""
        super().readConnectionLost()
        if self._handshake is not None:
            self.close()


def _answer(problem: Problem | None) -> bytes:
    return reply(Reply.SUCCEEDED if problem is None else reply_code(problem))


def _nothing() -> None:
    pass
