"""The answers to a client's pings, bounded while it does not read them."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

_MOST_OWED = 32


@implementer(IPushProducer)
class Pongs:
    """Answers pings, but while the client does not read, only the latest few (RFC 6455 §5.5.3).

    Otherwise a client that sends pings and reads nothing would fill our memory with pongs. To see when the
    client reads it stands between the transport and the producer.

    Args:
        send: sends a pong with a payload.

    Attributes:
        producer: is paused and resumed in turn.
    """

    producer: IPushProducer

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._owed: deque[bytes] | None = None

    def answer(self, payload: bytes) -> None:
        """Answer a ping, now or when the client reads again."""
        if self._owed is None:
            self._send(payload)
        else:
            self._owed.append(payload)

    def pauseProducing(self) -> None:
        """Owe from now on."""
        self._owed = deque(maxlen=_MOST_OWED)
        self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Send what is owed."""
        owed, self._owed = self._owed, None
        for payload in owed or ():
            self._send(payload)
        self.producer.resumeProducing()

    def stopProducing(self) -> None:
        """Stop the producer."""
        self.producer.stopProducing()
