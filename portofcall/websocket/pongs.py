"""Pongs for a client's pings, bounded while the client does not read them."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

_MOST_OWED = 32


@implementer(IPushProducer)
class Pongs:
    """Sends pongs; while the client does not read, only the latest 32 are kept (RFC 6455 §5.5.3).

    Otherwise a client that sends pings and never reads would fill the memory with pongs. This is the
    transport's producer, in front of the real one, so that it sees when the client reads.

    Args:
        send: sends a pong with this payload.

    Attributes:
        producer: the real producer, paused and resumed with this one.
    """

    producer: IPushProducer

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._owed: deque[bytes] | None = None

    def answer(self, payload: bytes) -> None:
        """Reply to a ping, now or when the client reads again."""
        if self._owed is None:
            self._send(payload)
        else:
            self._owed.append(payload)

    def pauseProducing(self) -> None:
        """Keep pongs from now on."""
        self._owed = deque(maxlen=_MOST_OWED)
        self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Send the pongs that were kept."""
        owed, self._owed = self._owed, None
        for payload in owed or ():
            self._send(payload)
        self.producer.resumeProducing()

    def stopProducing(self) -> None:
        """Stop the producer."""
        self.producer.stopProducing()
