"""Every undocumented part of Autobahn that the gateway uses, named here only and checked at import.

Autobahn documents its callbacks. It does not document how to answer a handshake that was parsed elsewhere,
how to feed its parser, or how to see where that stands. The C code that it unmasks with is in
`portofcall.websocket.nvx`.
"""

from functools import cached_property
from typing import Any, cast

from autobahn import version
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import WebSocketProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.defer import succeed
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from portofcall.errors import printable
from portofcall.limits.values import KiB
from portofcall.relay.interfaces import IEndTransport
from portofcall.websocket.frames import FIN_BINARY

_METHODS = (
    "_connectionMade",
    "_fail_connection",
    "processData",
    "onClose",
    "dropConnection",
    "sendCloseFrame",
    "sendData",
    "sendFrame",
)
_CONSTANTS = ("CONFIG_ATTRS", "STATE_OPEN", "STATE_CLOSED")
#: Each attribute of a connection, and the method of Autobahn's that has to use it.
_ATTRIBUTES = {
    "websocket_version": "onCloseFrame",
    "state": "consumeData",
    "data": "processData",
    "current_frame": "processData",
    "current_frame_masker": "processData",
    "length": "processData",
    "pointer": "processData",
    "inside_message": "processData",
    "failedByMe": "_fail_connection",
    "utf8validator": "onFrameBegin",
    "is_open": "succeedHandshake",
}
#: What each connection would have of its own: a future that nothing waits for, another and a validator, which
#: are made when they are asked for, and a queue that only replaced methods use.
_OMITTED = {"is_closed", "is_open", "send_queue", "utf8validator"}
#: How much Autobahn's parser gets at a time: it copies the rest at each frame. Of one frame it gets more.
_PIECE_BYTES = 4 * KiB
_MOST_PIECE_BYTES = 64 * KiB
#: How a plain message begins.
_PLAIN = bytes([FIN_BINARY])


#: What `AutobahnConnection.close_code` is without a code, and without a Close frame.
_NO_CODE, _NO_CLOSE_FRAME = 1005, 1006


def check(protocol: type[Any] = WebSocketServerProtocol) -> None:
    """Check that Autobahn has all that is used here.

    Raises:
        ImportError: it has not; the message names what is missing and Autobahn's version.
    """
    for name in _METHODS + _CONSTANTS:
        if not hasattr(protocol, name):
            raise missing(f"WebSocketServerProtocol.{name}")
    for name, method in _ATTRIBUTES.items():
        code = getattr(getattr(protocol, method, None), "__code__", None)
        if code is None or name not in code.co_names:
            raise missing(f"{name} in WebSocketServerProtocol.{method}")


def missing(name: str) -> ImportError:
    """Return the error for a part of Autobahn's that is not there; it has Autobahn's version."""
    found = printable(version)
    return ImportError(f"Autobahn {found} has no {name}; portofcall needs autobahn >= 26.10, < 27")


check()


def connection_attributes(factory: WebSocketServerFactory) -> dict[str, Any]:
    """Return the options and the initial state as attributes for a class of connections.

    Autobahn would set them for each connection, and format all options for a log that is off: half of the
    cost of a handshake. Its counts of traffic are shared, too, and mean nothing.
    """
    options = {name: getattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS}
    attributes = {**options, "CONFIG_ATTRS": (), "factory": factory}
    first: Any = type("First", (WebSocketServerProtocol,), attributes)()
    WebSocketProtocol._connectionMade(first)
    return attributes | {name: value for name, value in vars(first).items() if name not in _OMITTED}


class AutobahnConnection(WebSocketServerProtocol):
    """A server's connection whose handshake is parsed elsewhere.

    Twisted's and Autobahn's own calls do less here: Autobahn looks up details of the transport that nothing
    needs, and formats lines for a log that is off. It would also answer a Close frame, and close the
    connection, by itself.

    Attributes:
        close_frame_bytes: the size of the Close frame that was sent; 0 before that.
        close_code: its code: 1005 if it has none, 1006 before that (RFC 6455 §7.1.5).
    """

    transport: IEndTransport
    close_frame_bytes = 0
    close_code = _NO_CLOSE_FRAME
    _withheld: tuple[int | None, bytes | None] | None = None
    utf8validator: Any = cached_property(lambda _: Utf8Validator())
    is_open: Any = cached_property(lambda _: succeed(None))

    def begin(self) -> None:
        """Begin, now that the handshake is done."""
        self.websocket_version, self.state = 13, self.STATE_OPEN
        self.inside_message, self.current_frame = False, cast(Any, None)
        self.onOpen()

    def parse(self, data: memoryview, most: int) -> tuple[memoryview, int]:
        """Parse frames, and keep a partial one for the next call.

        Args:
            data: follows on what was parsed before.
            most: how many frames are parsed at most; each 4 KiB count as one in addition.

        Returns:
            The rest, and how many frames were parsed. The rest begins with a frame that is one too many, or
            with one that could be plain. There is none when the connection has failed or is closed, as then
            nothing may be parsed any more (RFC 6455 §7.1.7).
        """
        at = frames = 0
        while at < len(data) and frames < most:
            piece = data[at : at + max(_PIECE_BYTES, min(self.frame_left, _MOST_PIECE_BYTES))]
            self.data += piece
            at += len(piece)
            frames += 1 + len(piece) // _PIECE_BYTES
            more = True
            while more:
                more = self.processData()
                if self.failedByMe or self.state == self.STATE_CLOSED:
                    self.data = b""
                    return data[:0], frames
                if self.current_frame is None:
                    frames += more
                    begins = at - len(self.data)
                    if begins > 0 and (frames >= most or data[begins : begins + 1] in (b"", _PLAIN)):
                        self.data = b""
                        return data[begins:], frames
        return data[at:], frames

    @property
    def is_between_messages(self) -> bool:
        """Whether the parser waits for a message to begin, and keeps nothing."""
        return not (self.data or self.inside_message or self.current_frame)

    @property
    def frame_left(self) -> int:
        """How many bytes of the frame that is being parsed are still to come."""
        frame = self.current_frame
        return 0 if frame is None else int(frame.length - self.current_frame_masker.pointer())

    @property
    def failed(self) -> bool:
        """Whether the client broke the protocol, so that a Close frame with an error was sent."""
        return bool(self.failedByMe)

    @property
    def over(self) -> bool:
        """Whether the connection has failed or is closed, so that nothing may be parsed any more."""
        return self.failedByMe or self.state == self.STATE_CLOSED

    def fail(self, code: int, reason: str) -> None:
        """Fail the connection (RFC 6455 §7.1.7): send a Close frame with an error, and parse nothing more."""
        if not self.failedByMe:
            self.failedByMe = True
            self.sendCloseFrame(code, reason.encode())
            self.on_failed(reason)

    def _fail_connection(self, code: int = 1002, reason: str = "") -> None:
        self.fail(code, reason)

    def send_text(self, text: bytes) -> None:
        """Send a text message in one frame, after everything that was written."""
        self.sendFrame(opcode=1, payload=text)

    def close(self, code: int, reason: str) -> None:
        """Send a Close frame after everything that was written (RFC 6455 §7.1.2)."""
        if self._withheld is None:
            self.sendCloseFrame(code, reason.encode())
        else:
            self._withheld = (code, reason.encode())
            self.reply()

    def reply(self) -> None:
        """Answer the client's Close frame, with its own code (RFC 6455 §5.5.1)."""
        if self._withheld is not None:
            code, reason = self._withheld
            payload = b"" if code is None else code.to_bytes(2, "big") + (reason or b"")
            self.close_frame_bytes = 2 + len(payload)
            self.close_code = code or _NO_CODE
            self.sendFrame(opcode=8, payload=payload)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """Send a Close frame, unless it is a reply, which waits for `reply`."""
        if isReply:
            self._withheld = (code, reasonUtf8)
        else:
            super().sendCloseFrame(code, reasonUtf8, isReply)
            if not self.close_frame_bytes:
                self.close_frame_bytes = 4 + len(reasonUtf8 or b"")
                self.close_code = code or _NO_CODE

    def on_failed(self, reason: str) -> None:
        """The client broke the protocol, and the Close frame for that was sent."""
        raise NotImplementedError

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Write at once: nothing here is chopped or synchronized."""
        self.transport.write(data)

    def connectionMade(self) -> None:
        """Do nothing: the handshake has been parsed already."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End. None of Autobahn's timers runs."""
        self.state = self.STATE_CLOSED
        self.onClose(False, None, None)

    def dropConnection(self, abort: bool = False) -> None:
        """Parse nothing more; the connection is closed by its owner, where Autobahn would do so by itself."""
        self.state = self.STATE_CLOSED
