"""The messages of a WebSocket connection that Autobahn parses."""

from portofcall.limits.values import KiB
from portofcall.relay.interfaces import ClientEvents
from portofcall.websocket.autobahn_internals import AutobahnConnection
from portofcall.websocket.half_close import (
    EOF,
    MAX_TEXT_BYTES,
    MESSAGE_AFTER_EOF,
    UNKNOWN_MESSAGE,
    is_eof,
)

_MESSAGE_TOO_BIG = 1009
#: Frames of a message that have at least this payload are not counted.
_SMALL_FRAME_BYTES = 1 * KiB


class MessageConnection(AutobahnConnection):
    """Passes on the payload of messages in pieces, and recognizes eof if the peer can send it.

    Nothing of a message is kept, as a tunnel carries bytes, not messages, except a text message of
    portofcall.v1, up to the size that eof can have.

    Attributes:
        events: receives what the peer does; None before the connection is open.
        half_closes: whether each direction ends by itself: the subprotocol is portofcall.v1.
        ended: whether the peer has sent eof. Then any message is an error, and only Autobahn sees it.
    """

    events: ClientEvents | None = None
    half_closes = False
    ended = False
    _text: bytearray | None = None

    def __init__(self) -> None:
        # Autobahn's would set what the class has already, see `connection_attributes`.
        self._small_frames = 0
        self._payloads: list[bytes] = []

    def send_eof(self) -> None:
        """Send eof after everything that was written."""
        self.send_text(EOF)

    # Autobahn calls these

    def onMessageBegin(self, isBinary: bool) -> None:
        """Start counting frames."""
        if self.ended:
            self.fail(*MESSAGE_AFTER_EOF)
        self._small_frames = 0
        self._text = bytearray() if self.half_closes and not isBinary else None

    def onMessageFrameBegin(self, length: int) -> None:
        """Count a small frame. A text that is too long for eof is an error before any of it is kept."""
        if self._text is not None and len(self._text) + length > MAX_TEXT_BYTES:
            self.fail(*UNKNOWN_MESSAGE)
        if length >= _SMALL_FRAME_BYTES:
            return
        self._small_frames += 1
        most = self.factory.limits.max_fragments
        if self._small_frames > most:
            self.fail(_MESSAGE_TOO_BIG, f"a message may have at most {most} frames of less than 1 KiB")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Take a piece of a frame."""
        if self._text is not None:
            self._text += payload
        elif payload:
            self._payloads.append(payload)

    def onMessageFrameEnd(self) -> None:
        """Do nothing, as nothing was kept."""

    def onMessageEnd(self) -> None:
        """Report eof, if this was it."""
        text, self._text = self._text, None
        if text is None:
            return
        if not is_eof(bytes(text)):
            self.fail(*UNKNOWN_MESSAGE)
            return
        self.ended = True
        self._pass_on()
        if self.events is not None:
            self.events.client_ended()

    def _pass_on(self) -> None:
        """Pass on the payloads that Autobahn found: those of many small frames as one piece."""
        payloads, self._payloads = self._payloads, []
        if payloads and self.events is not None:
            self.events.client_sent(payloads[0] if len(payloads) == 1 else b"".join(payloads))
