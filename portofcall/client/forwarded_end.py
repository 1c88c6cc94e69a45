"""A connection of a local program as the local end of a tunnel."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from portofcall.client.problem import Problem, Status
from portofcall.client.tunnel import ClientTunnel, LocalEnd
from portofcall.relay.readiness import Readiness

#: How often to look whether a local program has read everything, before its connection is reset.
_LOOK_SECONDS: Final = 0.05
#: The slug of what is the local program's own doing.
LOCAL_RESET: Final = "local-reset"
_LOST: Final = Problem("gateway-lost", "the connection to the gateway was lost", Status.CUT_OFF)

#: Returns what a SOCKS client is to be sent, once: None means that its target is connected.
Answer = Callable[[Problem | None], bytes]


class ForwardedEnd(LocalEnd):
    """The connection of a local program, once the gateway has accepted its tunnel.

    A tunnel that ends well closes it as the target did. Any other resets it, after everything that came
    before was delivered; a SOCKS client that still waits for the reply gets that, and FIN.

    Args:
        tunnel: to the target.
        readiness: watches the connection.
        clock: keeps the time.
        early: what the program has sent already.
        ended: whether it has sent FIN already.
        answer: for a SOCKS client; None for others.
    """

    def __init__(
        self,
        tunnel: ClientTunnel,
        *,
        readiness: Readiness,
        clock: Any,
        early: bytes = b"",
        ended: bool = False,
        answer: Answer | None = None,
    ) -> None:
        super().__init__(readiness)
        # One call less for each piece.
        self.dataReceived = tunnel.backend_sent  # type: ignore[assignment]
        self._tunnel = tunnel
        self._clock = clock
        self._early = early
        self._ended = ended
        self._answer = answer
        self._unwanted = self._has_fin = self._closing = False
        self._look: IDelayedCall | None = None

    def begin(self) -> None:
        """Pass on what has come already."""
        early, self._early = self._early, b""
        if early:
            self.events.backend_sent(early)
        if self._ended:
            self.events.backend_ended()

    def target_connected(self) -> None:
        """The target is connected."""
        answer, self._answer = self._answer, None
        if answer is not None and not self._closing:
            self.transport.write(answer(None))

    def gateway_ended(self) -> None:
        """Close the connection, as nothing that it still brings is wanted."""
        self._unwanted = True
        if self._has_fin:
            self._close()

    def finish(self) -> None:
        """Send FIN after everything that was written, or close it for good."""
        self._has_fin = True
        if self._unwanted or self._tunnel.problem is not None:
            self._close()
        else:
            super().finish()

    def abort(self) -> None:
        """Reset the connection now."""
        if not self._refused():
            self._closing = True
            super().abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Report the end of the connection. A reset by the program resets that to the target."""
        if self._look is not None and self._look.active():
            self._look.cancel()
        if not self._closing and reason.check(ConnectionDone) is None:
            self._closing = True
            sentence = "the local program reset the connection"
            self._tunnel.interrupt(Problem(LOCAL_RESET, sentence, Status.CUT_OFF))
        super().connectionLost(reason)

    def _close(self) -> None:
        if self._closing or self._refused():
            return
        self._closing = True
        if self._tunnel.problem is None:
            self.drop()
        else:
            self._reset_once_delivered()

    def _reset_once_delivered(self) -> None:
        if self.unacknowledged_bytes:
            self._look = self._clock.callLater(_LOOK_SECONDS, self._reset_once_delivered)
        else:
            super().abort()

    def _refused(self) -> bool:
        """Give a SOCKS client the reply that it still waits for; return whether it did."""
        answer, self._answer = self._answer, None
        if answer is None:
            return False
        self._closing = True
        self.transport.write(answer(self._tunnel.problem or _LOST))
        self.drop()
        return True
