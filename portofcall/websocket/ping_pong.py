"""The pings and pongs of one connection (RFC 6455 §5.5.2, §5.5.3)."""

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

_MOST_OWED = 32
#: The payload of a ping: a mark.
_MARK_BYTES = 8

#: Sends a control frame with this payload.
Send = Callable[[bytes], None]


def _discard(payload: bytes) -> None:
    """Do nothing with it."""


@implementer(IPushProducer)
class PingPong:
    """Answers a client's pings, and sends it pings.

    While the client does not read, no ping is sent, and only the latest 32 pongs are kept. Otherwise a client
    that sends pings and never reads would fill the memory with pongs. This is the transport's producer, in
    front of the real one, so that it sees when the client reads.

    Args:
        send_ping: sends a ping.
        send_pong: sends a pong.

    Attributes:
        producer: the real producer, paused and resumed with this one.
        received: how many pings and pongs have come.
        mark: that of the last ping that was answered; 0 at first.
    """

    producer: IPushProducer

    def __init__(self, send_ping: Send, send_pong: Send) -> None:
        self.received = self.mark = 0
        self._send_ping = send_ping
        self._send_pong = send_pong
        self._owed: deque[bytes] | None = None
        self._unanswered = 0

    def end(self) -> None:
        """Send no more: the connection is over."""
        self._send_ping = self._send_pong = _discard

    def ping(self, mark: int) -> None:
        """Send a ping with this mark, unless the client does not read."""
        if self._owed is None:
            self._unanswered += 1
            self._send_ping(mark.to_bytes(_MARK_BYTES))

    def answer(self, payload: bytes) -> None:
        """Reply to a ping, now or when the client reads again."""
        self.received += 1
        if self._owed is None:
            self._send_pong(payload)
        else:
            self._owed.append(payload)

    def take_pong(self, payload: bytes) -> bool:
        """Take a pong; return whether it answers a ping.

        A client that was not read for hours may answer all pings at once.
        """
        self.received += 1
        if not self._unanswered or len(payload) != _MARK_BYTES:
            return False
        self._unanswered -= 1
        self.mark = int.from_bytes(payload)
        return True

    def pauseProducing(self) -> None:
        """Keep pongs from now on."""
        self._owed = deque(maxlen=_MOST_OWED)
        self.producer.pauseProducing()

    def resumeProducing(self) -> None:
        """Send the pongs that were kept."""
        owed, self._owed = self._owed, None
        for payload in owed or ():
            self._send_pong(payload)
        self.producer.resumeProducing()

    def stopProducing(self) -> None:
        """Stop the producer."""
        self.producer.stopProducing()
