"""Frames of RFC 6455, valid and invalid, and what a server must do with each: pass it on, reply, or close."""

import struct
from typing import NamedTuple
from unittest.mock import patch

import pytest

from portofcall.testing import WebSocketClient, World, pack_frame, upgrade_request
from portofcall.websocket.protocol import WebSocketProtocol

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Row(NamedTuple):
    """The frames that a client sends, and their effect.

    Attributes:
        section: of RFC 6455.
        what: the frames, in a few words.
        sent: the frames.
        passed: to the backend; of invalid text less may be.
        pong: the payload of the reply; None if there must be none.
        code: of the Close frame; 0 for one without a code, None if there must be none.
        fails: whether the client broke the protocol.
    """

    section: str
    what: str
    sent: bytes
    passed: bytes = b""
    pong: bytes | None = None
    code: int | None = None
    fails: bool = False


def message(opcode: int, *parts: bytes) -> bytes:
    """Pack a message of several frames."""
    last = len(parts) - 1
    return b"".join(
        pack_frame(CONTINUATION if number else opcode, part, fin=number == last)
        for number, part in enumerate(parts)
    )


def unchanged(header: str, payload: bytes) -> bytes:
    """Write a frame with a header in hexadecimal and a key of zeros."""
    return bytes.fromhex(header) + bytes(4) + payload


def close(code: int, reason: bytes = b"") -> bytes:
    """Pack a Close frame."""
    return pack_frame(CLOSE, struct.pack("!H", code) + reason)


GREEK = "κόσμε".encode()
VALID = [
    Row("5.7", "masked text", bytes.fromhex("818537fa213d7f9f4d5158"), b"Hello"),
    Row("5.7", "a masked pong", bytes.fromhex("8a8537fa213d7f9f4d5158")),
    Row("5.7", "256 bytes", unchanged("82fe0100", bytes(range(256))), bytes(range(256))),
    Row("5.7", "64 KiB", unchanged("82ff0000000000010000", bytes(65536)), bytes(65536)),
    Row("5.4", "fragments", message(TEXT, b"Hello ", b"you"), b"Hello you"),
    Row("5.4", "a message that has not ended", pack_frame(BINARY, b"half", fin=False), b"half"),
    Row("5.4", "fragments without payload", message(BINARY, b"", b"", b"x", b""), b"x"),
    Row(
        "5.4",
        "a ping between fragments",
        pack_frame(TEXT, b"Hello ", fin=False) + pack_frame(PING, b"?") + pack_frame(CONTINUATION, b"you"),
        b"Hello you",
        pong=b"?",
    ),
    Row("5.5.2", "a ping", pack_frame(PING), pong=b""),
    Row("5.5.2", "a ping of 125 bytes", pack_frame(PING, b"x" * 125), pong=b"x" * 125),
    Row("5.5.3", "a pong without a ping", pack_frame(PONG, b"x" * 125)),
    Row("5.6", "messages without payload", pack_frame(BINARY) + pack_frame(TEXT)),
    Row("5.6", "characters of 1 to 4 bytes", pack_frame(TEXT, "aü€🚢".encode()), "aü€🚢".encode()),
    Row("5.6", "the last code point", pack_frame(TEXT, b"\xf4\x8f\xbf\xbf"), b"\xf4\x8f\xbf\xbf"),
    Row("5.6", "a noncharacter", pack_frame(TEXT, b"\xef\xbf\xbf"), b"\xef\xbf\xbf"),
    Row("5.6", "a fragment for each byte", message(TEXT, *(bytes([byte]) for byte in GREEK)), GREEK),
]
VIOLATIONS = [
    Row("5.1", "unmasked text", bytes.fromhex("810548656c6c6f")),
    Row("5.1", "unmasked binary", bytes.fromhex("820100")),
    Row("5.1", "an unmasked fragment", bytes.fromhex("010348656c")),
    Row("5.1", "an unmasked ping", bytes.fromhex("890548656c6c6f")),
    Row("5.1", "an unmasked Close frame", bytes.fromhex("880203e8")),
    *(
        Row("5.2", f"bits {bits:03b} of opcode {opcode}", unchanged(f"{8 + bits:x}{opcode:x}80", b""))
        for bits in (0b100, 0b010, 0b001, 0b111)
        for opcode in (TEXT, BINARY, PING, CLOSE)
    ),
    *(
        Row("5.2", f"reserved opcode {opcode}", pack_frame(opcode, b"x"))
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    ),
    Row("5.2", "a length of 125 in 16 bits", unchanged("82fe007d", bytes(125))),
    Row("5.2", "a length of 65535 in 64 bits", unchanged("82ff000000000000ffff", bytes(65535))),
    Row("5.2", "a length of 2**63", unchanged("82ff8000000000000000", bytes(8))),
    Row("5.4", "a continuation of nothing", pack_frame(CONTINUATION, b"x", fin=False)),
    Row("5.4", "an end of nothing", pack_frame(CONTINUATION, b"x")),
    Row("5.4", "a second end", message(TEXT, b"one", b"") + pack_frame(CONTINUATION), b"one"),
    Row("5.4", "a message within another", pack_frame(TEXT, b"one", fin=False) + pack_frame(BINARY), b"one"),
    Row("5.5", "a fragmented ping", pack_frame(PING, fin=False)),
    Row("5.5", "a fragmented Close frame", pack_frame(CLOSE, fin=False)),
    Row("5.5", "a ping of 126 bytes", pack_frame(PING, bytes(126))),
    Row("5.5", "a Close frame of 126 bytes", close(1000, b"x" * 124)),
    Row("5.5.1", "a Close frame with half a code", pack_frame(CLOSE, b"\x03")),
    *(
        Row("7.4", f"close code {code}", close(code))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
]
CLOSES = [
    Row("5.5.1", "no code", pack_frame(CLOSE), code=0),
    Row("5.5.1", "a reason of 123 bytes", close(1000, b"x" * 123), code=1000),
    Row("5.5.1", "frames after it", close(1000) + pack_frame(BINARY, b"x") + pack_frame(PING), code=1000),
    Row("5.4", "within a message", pack_frame(BINARY, b"half", fin=False) + close(1000), b"half", code=1000),
    *(
        Row("7.4", f"close code {code}", close(code), code=code)
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    ),
]
NOT_UTF_8 = {
    "a lone continuation byte": b"\x80",
    "a byte that is never used": b"\xff",
    "an overlong NUL": b"\xc0\x80",
    "an overlong slash": b"\xe0\x80\xaf",
    "a surrogate": b"\xed\xa0\x80",
    "a pair of surrogates": b"\xed\xa0\xbd\xed\xba\xa2",
    "more than the last code point": b"\xf4\x90\x80\x80",
    "a sequence of 5 bytes": b"\xf8\x88\x80\x80\x80",
    "an end within a character": b"\xf0\x9f\x9a",
}
INVALID_TEXTS = [
    *(Row("8.1", what, pack_frame(TEXT, b"a" + text), b"a" + text) for what, text in NOT_UTF_8.items()),
    *(
        Row("8.1", f"{what} in fragments", message(TEXT, b"a", text[:1], b"", text[1:]), b"a" + text)
        for what, text in NOT_UTF_8.items()
    ),
    *(Row("5.5.1", f"a reason with {what}", close(1000, b"a" + text)) for what, text in NOT_UTF_8.items()),
]
TABLE = [
    *VALID,
    *CLOSES,
    *(row._replace(code=1002, fails=True) for row in VIOLATIONS),
    *(row._replace(code=1007, fails=True) for row in INVALID_TEXTS),
]


@pytest.mark.parametrize("masker", [WebSocketProtocol.masker, None], ids=["fast parser", "Autobahn alone"])
@pytest.mark.parametrize("piecemeal", [False, True], ids=["at once", "in pieces"])
@pytest.mark.parametrize("row", TABLE, ids=[f"{row.section} {row.what}" for row in TABLE])
def test_frames_have_the_effect_that_the_rfc_demands(row: Row, piecemeal: bool, masker: object) -> None:
    """After a plain message; with either parser; in one read, or with a read for each of the first bytes.

    The client is a page: to others the reply to a Close frame waits for the backend.
    """
    with patch.object(WebSocketProtocol, "masker", masker):
        client = WebSocketClient(World(), upgrade_request(Origin="http://gateway"))
        sent = pack_frame(BINARY, b"plain ") + row.sent
        if piecemeal:
            for number in range(min(100, len(sent))):
                client.send(sent[number : number + 1])
            sent = sent[100:]
        client.send(sent)
    frames = client.received()
    passed = client.backend.take()
    expected = [] if row.pong is None else [(PONG, row.pong)]
    if row.code is not None:
        assert frames, "there must be a Close frame"
        opcode, payload = frames.pop()
        assert (opcode, payload[:2]) == (CLOSE, struct.pack("!H", row.code) if row.code else b"")
    assert frames == expected
    if row.fails and row.code == 1007:
        assert passed.startswith(b"plain ")
        assert (b"plain " + row.passed).startswith(passed)
    else:
        assert passed == b"plain " + row.passed
    assert ("reset" in client.backend.log) == row.fails, "the stream may have been cut short"
