"""The echo server for outside test suites keeps what these compare: types and borders of messages."""

import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backends import BLOCK
from tests.e2e.wsclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Close,
    Frame,
    WebSocketClient,
    pack,
)

#: Nearly every test starts a gateway of its own.
pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parent.parent.parent


@pytest.fixture(params=[[], ["--fast"]], ids=["Autobahn", "fast"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where the server listens, with either parser for plain messages."""
    command = [sys.executable, "-m", "tests.conformance", "0", *request.param]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            match = re.fullmatch(r"listening on ws://127\.0\.0\.1:(\d+)\n", process.stdout.readline())
            assert match is not None
            yield int(match[1])
        finally:
            process.terminate()


def test_messages_come_back_with_their_type_and_borders(port: int) -> None:
    """Empty ones, fragments with a ping between them, and several in one read."""
    messages = [
        (BINARY, b""),
        (TEXT, b""),
        (BINARY, b"one"),
        (BINARY, b"two"),
        (TEXT, "grüß".encode()),
        (BINARY, BLOCK[:70_000]),
        (BINARY, b"last"),
    ]
    with WebSocketClient(port, "") as client:
        client.send_raw(b"".join(pack(opcode, payload) for opcode, payload in messages))
        assert [(frame.opcode, frame.payload) for frame in (client.receive() for _ in messages)] == messages
        client.send(b"a", fin=False)
        client.send(b"?", PING)
        client.send(b"b", CONTINUATION)
        assert [client.receive(), client.receive()] == [Frame(PONG, b"?"), Frame(BINARY, b"ab")]
        client.close()
        assert client.receive().opcode == CLOSE


def test_messages_that_trickle_in_come_back_whole(port: int) -> None:
    """Each byte in a segment of its own."""
    raw = pack(BINARY, b"plain") + pack(TEXT, b"text") + pack(BINARY, b"") + pack(BINARY, BLOCK[:130])
    with WebSocketClient(port, "") as client:
        for number in range(len(raw)):
            client.send_raw(raw[number : number + 1])
        got = [client.receive() for _ in range(4)]
    assert [frame.payload for frame in got] == [b"plain", b"text", b"", BLOCK[:130]]


def test_violations_close_with_the_codes_of_the_rfc(port: int) -> None:
    """And a sound Close frame comes back as it is."""
    for raw, code in (
        (pack(3, b"reserved"), 1002),
        (pack(TEXT, b"\xff"), 1007),
        (pack(CLOSE, struct.pack("!H", 3000)), 3000),
    ):
        with WebSocketClient(port, "") as client:
            client.send_raw(raw)
            assert Close.parse(client.receive().payload).code == code
            assert client.socket.recv(1) == b""
