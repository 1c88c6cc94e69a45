"""Take a connection away from HTTP, in any `twisted.web` site: hold back, then give back or hand over."""

from types import TracebackType
from typing import Any, Self

from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.web.server import Request

from portofcall.relay.direct_transport import direct_transport
from portofcall.relay.socket_options import set_options
from portofcall.websocket.end import WebSocketEnd
from portofcall.websocket.protocol import Handshake


class Takeover:
    """What a client sends behind its upgrade, before it has the response, until it is known who gets it.

    A context manager: on entry the connection is read no further, and what has been read waits. Inside it
    `hand_over` may be called once. Without that, all of it goes back to HTTP as the next request.

    It uses that `HTTPChannel` is a `LineReceiver`: one that is ``paused`` keeps what it gets, and
    ``clearLineBuffer`` returns that.

    Args:
        request: an upgrade that is complete and has no body.
    """

    _log = Logger()

    def __init__(self, request: Request) -> None:
        self._channel: Any = request.channel

    def __enter__(self) -> Self:
        self._channel.transport.pauseProducing()
        self._channel.paused = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._channel is not None:
            self._give_back()

    def hand_over(self, end: WebSocketEnd, handshake: Handshake) -> None:
        """Attach the connection to ``end``, as Autobahn's own resource does, and send the 101 response.

        If that fails once the connection is taken from HTTP, for example because there is no descriptor left
        to watch its socket with, the connection is reset.

        Args:
            end: not connected yet. It gets everything that was held back.
            handshake: to be answered.

        Raises:
            OSError: the connection could not be prepared; HTTP has it still.
        """
        channel = self._channel
        transport: Any = channel.transport
        set_options(transport)
        # The channel is still registered as the transport's producer.
        transport.unregisterProducer()
        direct = direct_transport(transport, end.factory.readiness, end.dataReceived)
        # Nothing that may fail comes between this and the end's own connectionLost.
        self._channel = None
        early = channel.clearLineBuffer()
        channel.transport = None
        # A cycle; without it the channel and the request are freed at once.
        channel.requests.clear()
        if isinstance(transport, ProtocolWrapper):  # TLS, or the PROXY protocol
            transport.wrappedProtocol = end
        else:
            transport.protocol = end
        end.makeConnection(direct)
        try:
            end.resumeProducing()
            end.shake_hands(handshake)
            if early:
                end.dataReceived(early)
        except Exception:  # noqa: BLE001 - as in the reactor, it ends this connection only
            self._log.failure("could not begin a tunnel")
            transport.abortConnection()

    def _give_back(self) -> None:
        early = self._channel.clearLineBuffer()
        self._channel.paused = False
        if early:
            self._channel.dataReceived(early)
