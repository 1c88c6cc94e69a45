"""TLS handshakes with clients: counted like requests, and reported when they fail."""

from twisted.internet.interfaces import IAddress

from portofcall.access.gatekeeper import Gatekeeper
from portofcall.errors import TooManyRequests
from portofcall.web.records import Records


class Handshakes:
    """What a gateway does about the TLS handshakes of its listeners.

    Args:
        gatekeeper: counts them.
        records: reports refusals and failures.
    """

    def __init__(self, gatekeeper: Gatekeeper, records: Records) -> None:
        self._gatekeeper = gatekeeper
        self._records = records

    def count(self, peer: IAddress) -> None:
        """Count a handshake as a request of this client, before it begins.

        Args:
            peer: where the connection comes from.

        Raises:
            TooManyRequests: the client is too fast; reset the connection.
        """
        try:
            self._gatekeeper.count_handshake(peer)
        except TooManyRequests as error:
            self._records.connection_failed(peer, error.slug, error.sentence)
            raise

    def failed(self, peer: IAddress, reason: str) -> None:
        """Report a handshake that failed, or a connection whose TLS broke later.

        Args:
            peer: where the connection comes from.
            reason: why, safe to log.
        """
        self._records.connection_failed(peer, "tls-handshake-failed", reason)
