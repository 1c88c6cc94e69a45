"""One port for TLS and plain HTTP: the first byte shows which of them a client speaks."""

from typing import Any, Final

from portofcall.web.channel import GatewayChannel
from portofcall.web.connection_state import State

#: Begins a TLS record of a handshake (RFC 8446 §5.1); no request begins with it.
_HANDSHAKE: Final = b"\x16"


class SharedChannel(GatewayChannel):
    """A connection that speaks HTTP, unless its first byte is that of TLS.

    It is counted and has its deadline like any other that waits for its client, so a client that sends
    nothing costs no more here than elsewhere.

    Args:
        tls: makes the protocol of connections that speak TLS.
        settings: as for `GatewayChannel`.
    """

    _first = True

    def __init__(self, *settings: Any, tls: Any, **named_settings: Any) -> None:
        super().__init__(*settings, **named_settings)
        self._tls = tls

    def dataReceived(self, data: bytes) -> None:
        """Take what the client sends, or hand the connection over to TLS."""
        if self._first:
            self._first = False
            if data.startswith(_HANDSHAKE) and self.state is State.WAITING:
                self._hand_over(data)
                return
        super().dataReceived(data)

    def _hand_over(self, data: bytes) -> None:
        transport: Any = self.transport
        self._connection.become(State.GONE)
        # The channel is its producer.
        transport.unregisterProducer()
        protocol = self._tls.buildProtocol(transport.getPeer())
        transport.protocol = protocol
        protocol.makeConnection(transport)
        protocol.dataReceived(data)
