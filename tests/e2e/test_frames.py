"""Any way to cut a message into frames gives the same bytes; an invalid frame ends the tunnel."""

import contextlib
import hashlib
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from tests.e2e.backends import BLOCK, Backend, MiB, backend, digest, echo
from tests.e2e.gateway import GatewayProcess
from tests.e2e.support import until
from tests.e2e.wsclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEADLINE,
    PING,
    PONG,
    TEXT,
    Close,
    WebSocketClient,
    pack,
)


def fragments(data: bytes, size: int) -> Iterator[bytes]:
    """Cut a message into frames of ``size`` bytes, each with its own key, a ping, and an empty frame."""
    starts = range(0, len(data), size)
    for number, start in enumerate(starts):
        key = struct.pack("!I", (number * 2654435761) & 0xFFFFFFFF)
        opcode = CONTINUATION if number else BINARY
        yield pack(opcode, data[start : start + size], fin=False, key=key)
        yield pack(PING, b"%d" % number, key=key)
        yield pack(CONTINUATION, fin=number == len(starts) - 1, key=key)


@pytest.mark.parametrize(
    ("size", "total"),
    [(1, 400), (125, 60_000), (126, 60_000), (4096, MiB), (65535, 5 * MiB), (65536, 5 * MiB)],
)
def test_fragments_of_any_size(gateway: GatewayProcess, size: int, total: int) -> None:
    """The bytes come back, and each ping gets one pong, in order, with its payload."""
    data = (BLOCK * 5)[:total]
    raw = b"".join(fragments(data, size))
    with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
        sender = threading.Thread(target=client.send_raw, args=(raw,))
        sender.start()
        pongs: list[int] = []
        back, pings = bytearray(), len(range(0, total, size))
        while len(back) < total or len(pongs) < pings:
            frame = client.receive()
            if frame.opcode == PONG:
                pongs.append(int(frame.payload))
            else:
                assert (frame.opcode, frame.fin) == (BINARY, True)
                back += frame.payload
        sender.join()
        client.close()
        assert client.receive().opcode == CLOSE
    assert back == data
    assert pongs == list(range(pings))


def test_frames_that_trickle_in(gateway: GatewayProcess) -> None:
    """Each byte of header, key and payload in a segment of its own."""
    raw = pack(BINARY, BLOCK[:300]) + pack(PING, b"p") + pack(TEXT, "ü🚢".encode())
    expected = BLOCK[:300] + "ü🚢".encode()
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        for number in range(len(raw)):
            client.send_raw(raw[number : number + 1])
        assert client.receive().payload == b"p"
        until(lambda: server.received == len(expected))
        client.close()
        assert server.wait_for_end() == "eof"
        assert server.sha.hexdigest() == hashlib.sha256(expected).hexdigest()


def test_text_may_be_cut_inside_a_character(gateway: GatewayProcess) -> None:
    """UTF-8 is a property of the message, not of the frame (RFC 6455 §5.6)."""
    text = "a🚢ü世".encode()
    with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
        for number in range(len(text)):
            opcode = CONTINUATION if number else TEXT
            client.send(text[number : number + 1], opcode, fin=number == len(text) - 1)
        assert client.read(len(text)) == text
        client.close()
        assert client.receive().opcode == CLOSE


@pytest.mark.slow
def test_one_frame_of_256_mib_costs_no_memory(gateway: GatewayProcess) -> None:
    """A frame is relayed while it arrives."""
    pieces = 256
    head = struct.pack("!BBQ", 0x82, 0x80 | 127, pieces * len(BLOCK)) + bytes(4)
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        before = gateway.rss_kib()
        client.send_raw(head)
        for _ in range(pieces):
            client.send_raw(BLOCK)
        until(lambda: server.received == pieces * len(BLOCK))
        assert gateway.rss_kib() - before < 4 * 1024
        client.close()
        assert server.wait_for_end() == "eof"
    assert server.sha.hexdigest() == digest(pieces * len(BLOCK))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(b"\xc2\x80\0\0\0\0", 1002, id="reserved bit 1"),
        pytest.param(b"\xa2\x80\0\0\0\0", 1002, id="reserved bit 2"),
        pytest.param(b"\x92\x80\0\0\0\0", 1002, id="reserved bit 3"),
        pytest.param(pack(11), 1002, id="reserved control opcode"),
        pytest.param(pack(PING, b"x", fin=False), 1002, id="fragmented ping"),
        pytest.param(pack(PING, bytes(126)), 1002, id="ping of 126 bytes"),
        pytest.param(pack(CONTINUATION, b"x"), 1002, id="continuation of nothing"),
        pytest.param(pack(BINARY, fin=False) + pack(BINARY, b"x"), 1002, id="message within a message"),
        pytest.param(b"\x82\xfe\0\x01\0\0\0\0x", 1002, id="length of 1 in 16 bits"),
        pytest.param(b"\x82\xff" + struct.pack("!Q", 1) + b"\0\0\0\0x", 1002, id="length of 1 in 64 bits"),
        pytest.param(b"\x82\xff\xff" + bytes(11), 1002, id="length of 2**63 and more"),
        pytest.param(pack(CLOSE, b"\x03"), 1002, id="half a close code"),
        pytest.param(pack(CLOSE, struct.pack("!H", 1005)), 1002, id="close code 1005"),
        pytest.param(pack(CLOSE, struct.pack("!H", 999)), 1002, id="close code 999"),
        pytest.param(pack(CLOSE, b"\x03\xe8\xff"), 1007, id="close reason not UTF-8"),
        pytest.param(pack(TEXT, b"\xf0\x9f\x9a"), 1007, id="text ends inside a character"),
        pytest.param(pack(TEXT, b"\xed\xa0\x80"), 1007, id="surrogate"),
        pytest.param(pack(TEXT, b"\xc3", fin=False) + pack(CONTINUATION, b"("), 1007, id="over two frames"),
    ],
)
def test_invalid_frame_ends_the_tunnel(gateway: GatewayProcess, raw: bytes, code: int) -> None:
    """With the code of RFC 6455 §7.4.1; the backend's connection is over within a second."""
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send(b"sound")
        until(lambda: server.received == 5)
        client.send_raw(raw)
        frame = client.receive()
        assert frame.opcode == CLOSE
        assert Close.parse(frame.payload).code == code
        assert server.wait_for_end(1) in {"eof", "ConnectionResetError"}


def test_bytes_after_an_invalid_frame_are_discarded(gateway: GatewayProcess) -> None:
    """Also in the same segment."""
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send(b"sound")
        until(lambda: server.received == 5)
        client.send_raw(pack(3, b"reserved") + pack(BINARY, b"more"))
        assert client.receive().opcode == CLOSE
        server.wait_for_end(1)
    assert server.received == 5


@pytest.mark.parametrize(
    ("unit", "frames"),
    [
        pytest.param(pack(TEXT, b"x"), 1, id="text messages", marks=pytest.mark.slow),
        pytest.param(pack(BINARY, b"x"), 1, id="plain messages"),
        pytest.param(
            pack(BINARY, b"x", fin=False) + pack(CONTINUATION, b"x", fin=False) * 99 + pack(CONTINUATION),
            100,
            id="fragments",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_flood_of_small_frames_does_not_stop_other_tunnels(
    gateway: GatewayProcess, unit: bytes, frames: int
) -> None:
    """256 KiB of frames of one byte: they all arrive, and a round trip beside them takes less than 0.5 s."""
    repeated = 256 * 1024 // len(unit)
    with (
        backend(echo) as echoing,
        backend(Backend.receive) as flooded,
        WebSocketClient(gateway.port, echoing.query) as client,
        WebSocketClient(gateway.port, flooded.query) as flooder,
    ):
        sender = threading.Thread(target=flooder.send_raw, args=(unit * repeated,))
        sender.start()
        longest, trips = 0.0, 0
        while flooded.received < repeated * frames:
            before = time.monotonic()
            client.send(b"key")
            assert client.read(3) == b"key"
            longest, trips = max(longest, time.monotonic() - before), trips + 1
        sender.join()
        print(f"{trips} round trips, at most {longest * 1000:.1f} ms")
        assert longest < 0.5
        for end in (client, flooder):
            end.close()
            assert end.receive().opcode == CLOSE


def test_client_is_told_why_it_failed_although_it_goes_on_sending(gateway: GatewayProcess) -> None:
    """The Close frame is not lost to a reset, and the end of the connection follows at once."""
    more = pack(BINARY, BLOCK)
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send_raw(pack(3, b"reserved") + more)
        frame = client.receive()
        assert Close.parse(frame.payload).code == 1002
        client.send_raw(more)
        assert client.socket.recv(1) == b"", "the gateway's FIN, while it still reads"
        server.wait_for_end(1)


@pytest.mark.slow
def test_client_that_failed_and_goes_on_sending_is_cut_off(gateway: GatewayProcess) -> None:
    """After 2 seconds."""
    more = pack(BINARY, BLOCK)
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send_raw(pack(3, b"reserved"))
        assert client.receive().opcode == CLOSE
        failed = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < failed + DEADLINE:
                client.send_raw(more)
        assert 1.5 < time.monotonic() - failed < 10
        server.wait_for_end(1)
