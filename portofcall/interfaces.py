"""What the parts of a tunnel are to each other."""

from typing import Protocol

from twisted.internet.interfaces import IConsumer, IPushProducer, ITCPTransport
from twisted.python.failure import Failure


class IStreamTransport(ITCPTransport, IPushProducer, IConsumer):
    """What Twisted's transports over TCP and TLS are all of."""


class IClientEnd(IConsumer, IPushProducer):
    """The WebSocket end of a tunnel, as the tunnel sees it.

    As `IConsumer` it takes bytes for the client and sends them as messages; as `IPushProducer` it stops and
    starts reading what the client sends. It reports to a `ClientEvents`.
    """

    def close(code: int, reason: str) -> None:  # noqa: N805 - an interface's methods have no self
        """Send a Close frame behind all that was written (RFC 6455 §7.1.2)."""

    def drop() -> None:
        """Close the connection once all that was written is out."""

    def abort() -> None:
        """Reset the connection now."""


class ClientEvents(Protocol):
    """What a client's end reports."""

    def client_sent(self, data: bytes) -> None:
        """The client sent ``data``."""

    def client_closed(self) -> None:
        """The client sent a Close frame. Its end answers that by itself."""

    def client_failed(self, what: str) -> None:
        """The client broke the protocol. Its end has sent the Close frame for that."""

    def client_lost(self) -> None:
        """The client's connection is gone. Reported once, last."""


class BackendEvents(Protocol):
    """What a backend's end reports."""

    def backend_sent(self, data: bytes) -> None:
        """The backend sent ``data``."""

    def backend_ended(self) -> None:
        """The backend will send no more (FIN). It may still read."""

    def backend_lost(self, reason: Failure) -> None:
        """The backend's connection is gone, whoever ended it. Reported once, last."""
