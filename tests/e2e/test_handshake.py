"""Which handshakes open a tunnel, and which subprotocol is agreed on."""

import re
import socket

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.gateway import GatewayProcess
from tests.e2e.wsclient import BINARY, CLOSE, DEADLINE, UpgradeRefusedError, WebSocketClient, pack

KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
UPGRADE = ("Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", KEY)


def send_lines(gateway: GatewayProcess, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send a request unchanged, and read the response until it is complete or the connection ends."""
    with socket.create_connection(("127.0.0.1", gateway.port), DEADLINE) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = connection.recv(65536)
            assert data, answer
            answer += data
        head, _, rest = answer.partition(b"\r\n\r\n")
        status, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        while len(rest) < int(headers.get("content-length", 0)):
            data = connection.recv(65536)
            assert data, rest
            rest += data
        return int(status.split()[1]), headers, rest


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        pytest.param(("POST /api/connect?host=a&port=1 HTTP/1.1", *UPGRADE), 405, id="POST"),
        pytest.param(("GET /api/connect?host=a&port=1 HTTP/1.0", *UPGRADE), 426, id="HTTP/1.0"),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE[:3], KEY), 426, id="no version"),
        pytest.param(
            ("GET /api/connect HTTP/1.1", *UPGRADE[:3], "Sec-WebSocket-Version: 8", KEY), 426, id="version 8"
        ),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE[:4]), 400, id="no key"),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE, KEY), 400, id="two keys"),
        pytest.param(
            ("GET /api/connect HTTP/1.1", *UPGRADE[:4], "Sec-WebSocket-Key: AAAA"), 400, id="short key"
        ),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE, "Origin: http://a\x0b"), 400, id="vertical tab"),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE, "X-Any: \x00"), 400, id="NUL"),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE, "X-Any: \x1c"), 400, id="file separator"),
        pytest.param(("GET /api/connect HTTP/1.1", *UPGRADE, "X-Any: \x85"), 400, id="next line"),
    ],
)
def test_invalid_handshakes_are_refused(gateway: GatewayProcess, lines: tuple[str, ...], status: int) -> None:
    """With an HTTP status; 426 comes with the supported version."""
    answered, headers, _ = send_lines(gateway, *lines)
    assert answered == status
    if status == 426:
        assert (headers["upgrade"], headers["sec-websocket-version"]) == ("websocket", "13")


@pytest.mark.parametrize(
    "protocols",
    ["binary", "binary, chat", "chat,binary", "a, b,\tbinary , c", "chat\r\nSec-WebSocket-Protocol: binary"],
)
def test_binary_is_found_anywhere_in_the_offer(gateway: GatewayProcess, protocols: str) -> None:
    """First, last, in the middle, and in a second header line (RFC 9110 §5.3)."""
    with backend(echo) as server, WebSocketClient(gateway.port, server.query, protocols=protocols) as client:
        assert client.headers["sec-websocket-protocol"] == "binary"
        client.close()
        assert client.receive().opcode == CLOSE


@pytest.mark.parametrize("protocols", ["Binary", "binary2", "chat, base64", "x-binary"])
def test_other_subprotocols_are_not_agreed_on(gateway: GatewayProcess, protocols: str) -> None:
    """Their names are compared exactly."""
    with backend(echo) as server, WebSocketClient(gateway.port, server.query, protocols=protocols) as client:
        assert "sec-websocket-protocol" not in client.headers
        client.close()
        assert client.receive().opcode == CLOSE


def test_handshake_that_trickles_in(gateway: GatewayProcess) -> None:
    """A byte at a time, followed by frames at once."""
    with backend(echo) as server:
        request = "\r\n".join([f"GET /api/connect?{server.query} HTTP/1.1", *UPGRADE, "", ""]).encode()
        with socket.create_connection(("127.0.0.1", gateway.port), DEADLINE) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw = request + pack(BINARY, b"hasty") + pack(CLOSE, b"\x03\xe8")
            for number in range(len(raw)):
                connection.sendall(raw[number : number + 1])
            answer = b""
            while data := connection.recv(65536):
                answer += data
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert server.wait_for_end() == "eof"
    assert server.received == 5


@pytest.mark.parametrize(
    "query",
    [
        "host=127.0.0.1&port=", "host=&port=22", "port=22", "", "host=127.0.0.1&port=0",
        "host=127.0.0.1&port=-1",
        "host=127.0.0.1&port=1e3", "host=127.0.0.1&port=%2022", "host=127.0.0.1&port=65536",
        "host=a&host=b&port=22", "host=0x7f.1&port=22", "host=2130706433&port=22",
        "host=127.0.0.1%00.a&port=22",
        "host=a%0d%0ab&port=22", "host=%ff&port=22", "host=%5B::1&port=22", f"host={'a' * 300}&port=22",
        f"host=127.0.0.1&port={'9' * 5000}", "host=%E2%91%A0%E2%91%A1%E2%91%A6.0.0.1&port=22",
    ],
)  # fmt: skip
def test_invalid_targets_are_4400(gateway: GatewayProcess, query: str) -> None:
    """The reason names the field, and fits into a Close frame."""
    with WebSocketClient(gateway.port, query) as client:
        close = client.expect_close()
    assert close.code == 4400
    assert re.match("invalid-target: .*(host|port)", close.reason)
    assert len(close.reason.encode()) <= 123


def test_refused_upgrade_carries_the_security_headers(gateway: GatewayProcess) -> None:
    """Like every other response."""
    with pytest.raises(UpgradeRefusedError) as caught:
        WebSocketClient(gateway.port, "host=a&port=1", headers=("X-Any: \x0b",))
    headers = caught.value.headers
    assert caught.value.status == 400
    assert (headers["x-content-type-options"], headers["x-frame-options"]) == ("nosniff", "DENY")
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
