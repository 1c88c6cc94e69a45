"""With portofcall.v1 each direction of a tunnel ends by itself, through a real gateway and real sockets."""

import hashlib
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import MSG_PEEK

import pytest

from tests.e2e.backends import Backend, MiB, backend, closed_port, digest, stream
from tests.e2e.gateway import GatewayProcess, need
from tests.e2e.support import until
from tests.e2e.wsclient import DEADLINE, EOF, TEXT, WebSocketClient

pytestmark = pytest.mark.slow

#: More than the gateway and the kernel hold together.
MUCH = 24 * MiB + 11


@contextmanager
def tunnel(gateway: GatewayProcess, server: Backend) -> Iterator[WebSocketClient]:
    """Open a tunnel with portofcall.v1."""
    with WebSocketClient(gateway.port, server.query, protocols="binary, portofcall.v1") as client:
        assert client.headers["sec-websocket-protocol"] == "portofcall.v1"
        yield client


def send_stream(client: WebSocketClient, size: int) -> None:
    """Send `stream` as messages, then eof."""
    for piece in stream(size):
        client.send(bytes(piece))
    client.send_eof()


def receive_stream(client: WebSocketClient) -> tuple[int, str]:
    """Receive data until eof; return its size and SHA-256."""
    sha, size = hashlib.sha256(), 0
    for message in client.messages_to_eof():
        sha.update(message)
        size += len(message)
    return size, sha.hexdigest()


def expect_close_1000(client: WebSocketClient) -> None:
    """Both sides have sent eof: the gateway closes cleanly."""
    close = client.expect_close()
    assert (close.code, close.reason) == (1000, "")


def count(server: Backend) -> None:
    """Run ``wc -c`` on the connection: it prints nothing before its input ends."""
    with server.connection:
        server.connection.settimeout(None)
        subprocess.run(
            [need("wc"), "-c"],
            stdin=server.connection.fileno(),
            stdout=server.connection.fileno(),
            timeout=DEADLINE,
            check=True,
        )


def test_wc_counts_everything_and_answers_after_fin(gateway: GatewayProcess) -> None:
    """The client's eof is the end of its input."""
    with backend(count) as server, tunnel(gateway, server) as client:
        send_stream(client, MUCH)
        assert b"".join(client.messages_to_eof()) == b"%d\n" % MUCH
        expect_close_1000(client)


def test_wc_counts_the_input_of_portofcall_connect(gateway: GatewayProcess, tmp_path: Path) -> None:
    """And the count is its output."""
    (tmp_path / "up").write_bytes(b"".join(stream(MUCH)))
    with backend(count) as server, (tmp_path / "up").open("rb") as up:
        client = subprocess.run(
            connect(gateway, server.port), stdin=up, capture_output=True, timeout=DEADLINE, check=True
        )
    assert client.stdout == b"%d\n" % MUCH


def test_nc_that_ends_first_gets_a_whole_file(gateway: GatewayProcess, tmp_path: Path) -> None:
    """``nc -N`` sends FIN after its file; ``portofcall connect`` gets it, sends on, and ends with eof."""
    (tmp_path / "down").write_bytes(b"".join(stream(MiB // 2)))
    (tmp_path / "up").write_bytes(b"".join(stream(MUCH)))
    port = closed_port()
    with ExitStack() as stack:
        down, up = (stack.enter_context((tmp_path / name).open("rb")) for name in ("down", "up"))
        at_nc, at_client = (
            stack.enter_context((tmp_path / name).open("wb")) for name in ("at_nc", "at_client")
        )
        server = subprocess.Popen([need("nc"), "-N", "-l", "127.0.0.1", str(port)], stdin=down, stdout=at_nc)
        stack.callback(server.kill)
        until(lambda: is_listening(port))
        client = subprocess.run(
            connect(gateway, port), stdin=up, stdout=at_client, timeout=DEADLINE, check=True
        )
        assert (client.returncode, server.wait(DEADLINE)) == (0, 0)
    assert (tmp_path / "at_nc").read_bytes() == (tmp_path / "up").read_bytes()
    assert (tmp_path / "at_client").read_bytes() == (tmp_path / "down").read_bytes()


def connect(gateway: GatewayProcess, port: int) -> list[str]:
    """Return the command that connects its standard input and output to a port of 127.0.0.1."""
    return [need("portofcall"), "connect", f"ws://127.0.0.1:{gateway.port}", "127.0.0.1", str(port)]


def is_listening(port: int) -> bool:
    """Return whether a TCP port of this machine is listened on, without connecting to it."""
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines[1:])


def test_http_1_0_request_ends_with_fin(gateway: GatewayProcess) -> None:
    """The server reads the request to its end, and may think longer than a closing tunnel is waited for."""

    def serve(server: Backend) -> None:
        server.receive()
        time.sleep(7)
        server.connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        server.send(MUCH)
        server.connection.close()

    request = b"GET / HTTP/1.0\r\n\r\n"
    with backend(serve) as server:
        with tunnel(gateway, server) as client:
            client.send(request)
            client.send_eof()
            head = client.receive().payload
            while b"\r\n\r\n" not in head:
                head += client.receive().payload
            head, _, body = head.partition(b"\r\n\r\n")
            assert head == b"HTTP/1.0 200 OK"
            sha, size = hashlib.sha256(body), len(body)
            for message in client.messages_to_eof():
                sha.update(message)
                size += len(message)
            assert (size, sha.hexdigest()) == (MUCH, digest(MUCH))
            expect_close_1000(client)
        assert (server.received, server.end) == (len(request), "eof")


def test_backend_that_ends_first_gets_everything_that_the_client_still_sends(gateway: GatewayProcess) -> None:
    """Its FIN reaches the client as eof, and the other direction goes on for as long as it takes."""

    def serve(server: Backend) -> None:
        server.connection.sendall(b"go on")
        server.connection.shutdown(1)
        server.receive()

    with backend(serve) as server:
        with tunnel(gateway, server) as client:
            assert b"".join(client.messages_to_eof()) == b"go on"
            time.sleep(7)
            send_stream(client, MUCH)
            expect_close_1000(client)
        assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (MUCH, digest(MUCH))
    gateway.wait_for_log(rf"closed: the client closed \({MUCH} bytes up, 5 bytes down, 0 bytes undelivered\)")


@pytest.mark.parametrize("first", ["client", "backend"])
def test_every_byte_arrives_both_ways_at_the_same_time(gateway: GatewayProcess, first: str) -> None:
    """Whichever side has less to send, and so ends while the other goes on."""
    up, down = (MUCH // 3, MUCH) if first == "client" else (MUCH, MUCH // 3)

    def send(server: Backend) -> None:
        server.send(down)
        server.connection.shutdown(1)

    def serve(server: Backend) -> None:
        sender = threading.Thread(target=send, args=(server,))
        sender.start()
        server.receive()
        sender.join(DEADLINE)

    with backend(serve) as server:
        with tunnel(gateway, server) as client:
            sender = threading.Thread(target=send_stream, args=(client, up))
            sender.start()
            assert receive_stream(client) == (down, digest(down))
            sender.join(DEADLINE)
            expect_close_1000(client)
        assert server.wait_for_end() == "eof"
    assert (server.received, server.sha.hexdigest()) == (up, digest(up))


def test_close_1000_comes_only_when_a_slow_backend_has_read_everything(gateway: GatewayProcess) -> None:
    """Until then the client waits, although both sides have ended what they send."""

    def serve(server: Backend) -> None:
        server.connection.shutdown(1)
        server.wait()
        server.receive()

    with backend(serve, receive_buffer=65536) as server, tunnel(gateway, server) as client:
        assert client.receive().payload == EOF
        sender = threading.Thread(target=send_stream, args=(client, MUCH))
        sender.start()
        client.socket.settimeout(3)
        with pytest.raises(TimeoutError):
            client.receive()
        client.socket.settimeout(DEADLINE)
        server.go.set()
        sender.join(DEADLINE)
        expect_close_1000(client)
        assert server.received == MUCH


def test_backend_that_closes_over_unread_data_is_1011(gateway: GatewayProcess) -> None:
    """It has sent FIN, but its reset says that the client's data was not read."""

    def serve(server: Backend) -> None:
        server.connection.shutdown(1)
        server.receive(1)
        server.connection.close()

    with backend(serve) as server, tunnel(gateway, server) as client:
        assert client.receive().payload == EOF
        client.socket.settimeout(DEADLINE)
        for _ in range(100):
            client.send(bytes(65536))
        close = client.expect_close()
        assert (close.code, close.reason.partition(":")[0]) == (1011, "backend-reset")


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_backend_that_has_closed_does_not_get_what_the_client_still_sends(
    gateway: GatewayProcess, pause: float
) -> None:
    """Its FIN may mean that it reads on; its reset says that it did not, whenever the client's eof comes."""

    def serve(server: Backend) -> None:
        server.connection.close()

    with backend(serve) as server, tunnel(gateway, server) as client:
        assert client.receive().payload == EOF
        client.send(b"too late")
        time.sleep(pause)
        client.send_eof()
        close = client.expect_close()
        assert (close.code, close.reason.partition(":")[0]) == (1011, "backend-reset")


def test_reset_after_both_ends_is_no_success(gateway: GatewayProcess) -> None:
    """All data, and FIN, are in the gateway's kernel when the backend closes over what it has not read."""

    def serve(server: Backend) -> None:
        server.connection.shutdown(1)
        server.wait()
        server.connection.close()

    with backend(serve, receive_buffer=4096) as server, tunnel(gateway, server) as client:
        assert client.receive().payload == EOF
        client.send(bytes(200_000))
        client.send_eof()
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.receive()
        client.socket.settimeout(DEADLINE)
        server.go.set()
        close = client.expect_close()
        assert (close.code, close.reason.partition(":")[0]) == (1011, "backend-reset")


def test_reset_before_the_client_s_eof_is_no_success(gateway: GatewayProcess) -> None:
    """The backend's kernel has acknowledged all data, but its program closes over it."""

    def serve(server: Backend) -> None:
        server.connection.shutdown(1)
        server.connection.recv(4, MSG_PEEK)
        server.connection.close()
        server.end = "closed"

    with backend(serve) as server, tunnel(gateway, server) as client:
        assert client.receive().payload == EOF
        client.send(b"data")
        until(lambda: server.end == "closed")
        time.sleep(0.2)
        client.send_eof()
        close = client.expect_close()
        assert (close.code, close.reason.partition(":")[0]) == (1011, "backend-reset")


def test_backend_that_has_closed_needs_nothing_but_eof(gateway: GatewayProcess) -> None:
    """If the client has nothing to say either, nothing is lost."""

    def serve(server: Backend) -> None:
        server.connection.close()

    with backend(serve) as server, tunnel(gateway, server) as client:
        assert client.receive().payload == EOF
        client.send_eof()
        expect_close_1000(client)


def test_unknown_text_is_1003(gateway: GatewayProcess) -> None:
    """And the backend is reset."""
    with backend(Backend.receive) as server:
        with tunnel(gateway, server) as client:
            client.send(b"data")
            until(lambda: server.received == 4)
            client.send(b'{"type":"end"}', TEXT)
            close = client.expect_close()
            assert (close.code, close.reason.partition(":")[0]) == (1003, "unknown-message")
        assert server.wait_for_end() == "ConnectionResetError"
