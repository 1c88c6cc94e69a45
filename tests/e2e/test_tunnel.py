"""Bytes go through a real gateway unchanged, paced, and to the last one."""

import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.backends import (
    BLOCK,
    Backend,
    GiB,
    MiB,
    backend,
    closed_port,
    digest,
    echo,
    send_and_close,
    silent_port,
    stream,
    wait_and_receive,
)
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process
from tests.e2e.support import receive_all, send_all, until, until_still
from tests.e2e.wsclient import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEADLINE,
    PING,
    PONG,
    TEXT,
    UpgradeRefusedError,
    WebSocketClient,
    pack,
)

SIZES = [0, 1, 125, 126, 65535, 65536, MiB, 5 * MiB]


@pytest.mark.parametrize("size", [32 * MiB, pytest.param(GiB, marks=pytest.mark.slow)])
def test_everything_that_the_backend_sends_arrives(gateway: GatewayProcess, size: int) -> None:
    """Down: the same bytes, then Close 1000."""
    with backend(send_and_close(size)) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            assert receive_all(client) == (size, digest(size))
            assert client.closed.code == 1000


@pytest.mark.parametrize("size", [32 * MiB, pytest.param(GiB, marks=pytest.mark.slow)])
def test_everything_that_the_client_sends_arrives(gateway: GatewayProcess, size: int) -> None:
    """Up: the same bytes, then FIN."""
    with backend(Backend.receive) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            send_all(client, size)
            assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (size, digest(size))


def test_frames_of_all_sizes_come_back(gateway: GatewayProcess) -> None:
    """Whole, in fragments, with pings in between: the bytes are the same, the messages bounded."""
    exchange_frames_of_all_sizes(gateway, limit=MiB)


@pytest.mark.slow
def test_frames_of_all_sizes_come_back_in_short_messages(tmp_path: Path) -> None:
    """Of 16 KiB at most."""
    with gateway_process(tmp_path, *LOOPBACK, "--max-message", "16K") as gateway:
        exchange_frames_of_all_sizes(gateway, limit=16 * 1024)


def exchange_frames_of_all_sizes(gateway: GatewayProcess, *, limit: int) -> None:
    """Have frames echoed, and expect the bytes back in messages of at most ``limit`` bytes."""
    with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
        for size in SIZES:
            data = BLOCK[:size] + BLOCK[: max(size - len(BLOCK), 0)] * 5
            data = data[:size]
            for pieces in ([data], [data[: size // 3], b"", data[size // 3 :]]):
                sender = threading.Thread(target=send_in_frames, args=(client, pieces))
                sender.start()
                back, pongs = b"", 0
                while len(back) < size or pongs < len(pieces):
                    frame = client.receive()
                    if frame.opcode == PONG:
                        assert frame.payload == b"between"
                        pongs += 1
                    else:
                        assert (frame.opcode, frame.fin) == (BINARY, True)
                        assert len(frame.payload) <= limit
                        back += frame.payload
                assert back == data
                sender.join(DEADLINE)
                assert not sender.is_alive()
        client.close()
        assert client.receive().opcode == CLOSE


def send_in_frames(client: WebSocketClient, pieces: list[bytes]) -> None:
    """Send one message in as many frames as there are pieces, a ping after each."""
    for number, piece in enumerate(pieces):
        opcode = CONTINUATION if number else BINARY
        client.send(piece, opcode, fin=number == len(pieces) - 1)
        client.send(b"between", PING)


def test_text_goes_to_tcp_as_utf8(gateway: GatewayProcess) -> None:
    """And comes back as binary."""
    with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
        text = "Grüße, 世界 🚢".encode()
        client.send(text, TEXT)
        assert client.read(len(text)) == text
        client.close()
        assert client.receive().opcode == CLOSE


def test_ipv6_target_in_brackets_and_bare(gateway: GatewayProcess) -> None:
    """Both forms reach [::1]."""
    for host in ("::1", "[::1]"):
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
            with WebSocketClient(gateway.port, f"host={host}&port={listener.getsockname()[1]}") as client:
                connection = listener.accept()[0]
                with connection:
                    connection.sendall(b"six")
                    assert client.read(3) == b"six"


@pytest.mark.slow
def test_client_that_stops_reading_costs_little_and_loses_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The backend's send blocks, the gateway's memory stays, and all arrives when the client reads on."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        with backend(send_and_close(GiB)) as server:
            before = gateway.rss_kib()
            with WebSocketClient(gateway.port, server.query) as client:
                until(lambda: server.sent > 2 * MiB)
                sent = until_still(lambda: server.sent)
                grown = gateway.rss_kib() - before
                record_property("stalled_client_rss_growth_kib", grown)
                print(f"stalled client: RSS {before} KiB + {grown} KiB, backend's send took {sent} bytes")
                assert sent < GiB
                assert grown < 4 * 1024
                assert receive_all(client) == (GiB, digest(GiB))


@pytest.mark.slow
def test_backend_that_stops_reading_costs_little_and_loses_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The mirror case: the client's send blocks, and all arrives when the backend reads on."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        with backend(wait_and_receive) as server:
            before = gateway.rss_kib()
            with WebSocketClient(gateway.port, server.query) as client:
                sender = threading.Thread(target=send_all, args=(client, GiB))
                sender.start()
                until(lambda: client.sent > 2 * MiB)
                sent = until_still(lambda: client.sent)
                grown = gateway.rss_kib() - before
                record_property("stalled_backend_rss_growth_kib", grown)
                print(f"stalled backend: RSS {before} KiB + {grown} KiB, client's send took {sent} bytes")
                assert sent < GiB
                assert sender.is_alive(), "the client's send blocks"
                assert grown < 4 * 1024
                server.go.set()
                sender.join(DEADLINE)
                assert server.wait_for_end() == "eof"
        assert (server.received, server.sha.hexdigest()) == (GiB, digest(GiB))


def test_many_clients_at_once(gateway: GatewayProcess) -> None:
    """Fifty tunnels echo at the same time, each its own bytes, and all of them end."""
    problems: list[BaseException] = []

    def converse(number: int) -> None:
        try:
            with backend(echo) as server, WebSocketClient(gateway.port, server.query) as client:
                for start in range(number, number + 200_000, 50_000):
                    data = BLOCK[start : start + 50_000]
                    client.send(data)
                    assert client.read(len(data)) == data
                client.close()
                assert client.receive().opcode == CLOSE
        except BaseException as problem:  # noqa: BLE001 - it is raised again where the test sees it
            problems.append(problem)

    threads = [threading.Thread(target=converse, args=(number * 1000,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    if problems:
        raise problems[0]


def test_client_that_sends_and_closes_at_once_has_sent_all(gateway: GatewayProcess) -> None:
    """A slow backend gets 8 MiB, then FIN."""
    with backend(wait_and_receive, receive_buffer=32 * 1024) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            sender = threading.Thread(target=send_all, args=(client, 8 * MiB))
            sender.start()
            until(lambda: client.sent > MiB)
            until_still(lambda: client.sent)
            server.go.set()
            sender.join(DEADLINE)
        assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (8 * MiB, digest(8 * MiB))


def test_client_that_leaves_an_echo_unread_has_still_sent_all(gateway: GatewayProcess) -> None:
    """A backend that blocks on its answer would otherwise never read the rest."""
    with backend(echo) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            send_all(client, 8 * MiB)
            assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (8 * MiB, digest(8 * MiB))


def test_backend_that_sends_and_closes_has_sent_all_to_a_slow_client(gateway: GatewayProcess) -> None:
    """8 MiB, then Close 1000."""
    with backend(send_and_close(8 * MiB)) as server:
        with WebSocketClient(gateway.port, server.query, receive_buffer=32 * 1024) as client:
            until_still(lambda: server.sent)
            assert receive_all(client) == (8 * MiB, digest(8 * MiB))
            assert client.closed.code == 1000


def test_backend_that_half_closes_still_hears_the_client(gateway: GatewayProcess) -> None:
    """What the client sends before it answers the Close frame arrives."""

    def half_close(server: Backend) -> None:
        server.connection.shutdown(socket.SHUT_WR)
        server.receive()

    with backend(half_close) as server, WebSocketClient(gateway.port, server.query) as client:
        assert client.receive().opcode == CLOSE
        client.send(b"one more thing")
        client.close()
        assert server.wait_for_end() == "eof"
    assert server.received == 14


def test_backend_that_resets_leaves_a_prefix_and_1011(gateway: GatewayProcess) -> None:
    """Exactly what came before, and the bad news."""

    def send_and_reset(server: Backend) -> None:
        server.send(3 * MiB)
        server.wait()
        server.reset()

    with backend(send_and_reset) as server, WebSocketClient(gateway.port, server.query) as client:
        first = client.receive().payload
        server.go.set()
        data = first + b"".join(client.messages())
        assert client.closed.code == 1011
        assert client.closed.reason.startswith("backend-reset: ")
    assert data == b"".join(bytes(piece) for piece in stream(3 * MiB))[: len(data)]


@pytest.mark.parametrize("reset", [True, False])
def test_client_that_vanishes_ends_the_backends_connection(gateway: GatewayProcess, reset: bool) -> None:
    """Within a second, whether by RST or by FIN without a Close frame."""
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send(b"x")
        until(lambda: server.received == 1)
        client.vanish(reset=reset)
        assert server.wait_for_end(1) in {"eof", "ConnectionResetError"}


def test_errors_about_the_target_are_close_codes(gateway: GatewayProcess) -> None:
    """Refused, blocked and senseless targets, each with its code and a reason for people."""
    for query, code, start in [
        (f"host=127.0.0.1&port={closed_port()}", 4502, "refused: 127.0.0.1:"),
        ("host=127.0.0.2&port=80", 4403, "blocked: 127.0.0.2 is loopback"),
        ("host=127.1&port=80", 4400, "invalid-target: host"),
        ("host=127.0.0.1", 4400, "invalid-target: port"),
        ("host=127.0.0.1&port=70000", 4400, "invalid-target: port"),
        ("host=127.0.0.1&port=80&port=81", 4400, "invalid-target: port"),
    ]:
        with WebSocketClient(gateway.port, query) as client:
            close = client.expect_close()
            assert close.code == code
            assert close.reason.startswith(start)
            assert len(close.reason.encode()) <= 123


@pytest.mark.slow
def test_target_that_does_not_accept_is_a_close_code(gateway: GatewayProcess) -> None:
    """When the time for it is over, with a reason for people."""
    with silent_port() as silent, WebSocketClient(gateway.port, f"host=127.0.0.1&port={silent}") as client:
        close = client.expect_close()
        assert close.code == 4504
        assert close.reason.startswith("connect-timeout: 127.0.0.1:")
        assert len(close.reason.encode()) <= 123


@pytest.mark.parametrize(
    ("offered", "agreed"), [(None, None), ("binary", "binary"), ("chat, binary", "binary"), ("base64", None)]
)
def test_subprotocol(gateway: GatewayProcess, offered: str | None, agreed: str | None) -> None:
    """``binary`` if it was offered, else none; and never compression."""
    extension = "Sec-WebSocket-Extensions: permessage-deflate"
    with backend(Backend.receive) as server:
        with WebSocketClient(gateway.port, server.query, protocols=offered, headers=(extension,)) as client:
            assert client.headers.get("sec-websocket-protocol") == agreed
            assert "sec-websocket-extensions" not in client.headers


def test_frames_sent_with_the_handshake_arrive(gateway: GatewayProcess) -> None:
    """In one segment with the request."""
    with backend(echo) as server:
        with WebSocketClient(gateway.port, server.query, along=pack(BINARY, b"hasty")) as client:
            assert client.read(5) == b"hasty"
            client.close()
            assert client.receive().opcode == CLOSE


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (struct.pack("!BB", 0x82, 3) + b"raw", 1002),
        (pack(3, b"reserved"), 1002),
        (pack(TEXT, b"\xff"), 1007),
    ],
)
def test_broken_frames_close_with_the_rfcs_code(gateway: GatewayProcess, raw: bytes, code: int) -> None:
    """Unmasked, unknown, or no UTF-8."""
    with backend(Backend.receive) as server, WebSocketClient(gateway.port, server.query) as client:
        client.send_raw(raw)
        frame = client.receive()
        assert frame.opcode == CLOSE
        assert struct.unpack("!H", frame.payload[:2])[0] == code
        assert server.wait_for_end(5) in {"eof", "ConnectionResetError"}


@pytest.mark.parametrize(
    "header", ["Origin: http://a\x85Origin: http://b", "X-Any: caf\xe9", "X-Any: a\x0bb"]
)
def test_headers_that_hide_something_are_400(gateway: GatewayProcess, header: str) -> None:
    """Control and non-ASCII bytes have no place there."""
    with pytest.raises(UpgradeRefusedError) as caught:
        WebSocketClient(gateway.port, "host=127.0.0.1&port=1", headers=(header,))
    assert caught.value.status == 400


def test_sigterm_drains_and_says_1001(tmp_path: Path) -> None:
    """An open tunnel is told, and the process ends."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway, backend(Backend.receive) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            client.send(b"in time")
            until(lambda: server.received == 7)
            gateway.process.terminate()
            assert client.expect_close().code == 1001
        assert gateway.process.wait(DEADLINE) in {0, -signal.SIGTERM}
