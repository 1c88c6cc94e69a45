"""A running gateway with named targets: TCP, UNIX sockets and TLS, and what it shows of them."""

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLSocket

import pytest

from tests.certificates import Authority
from tests.e2e.backends import Backend, MiB, backend, closed_port, digest, echo, silent_port, stream
from tests.e2e.gateway import GatewayProcess, gateway_process
from tests.e2e.support import ask, receive_all, send_all
from tests.e2e.wsclient import WebSocketClient

#: Nearly every test starts a gateway of its own.
pytestmark = pytest.mark.slow

SIZE = 8 * MiB


def receive_and_send(server: Backend) -> None:
    """Read to the end of the stream, then send, and end the stream cleanly."""
    server.receive()
    server.send(SIZE)
    if isinstance(server.connection, SSLSocket):
        server.connection.unwrap()
    server.connection.close()


@contextmanager
def target(kind: str, folder: Path) -> Iterator[tuple[str, Backend]]:
    """Run a backend of a kind, and give the value of --target for it."""
    if kind == "unix":
        with backend(receive_and_send, path=folder / "socket") as server:
            yield f"unix:{folder / 'socket'}", server
    elif kind == "tls":
        root = Authority()
        chain, key = Authority("Test Intermediate", above=root).issue("localhost").write(folder)
        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        with backend(receive_and_send, tls=context) as server:
            yield f"tls:localhost:{server.port}:cafile={root.write(folder)}", server
    else:
        with backend(receive_and_send) as server:
            yield f"127.0.0.1:{server.port}", server


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_every_byte_goes_both_ways(tmp_path: Path, kind: str) -> None:
    """8 MiB up, Close, and 8 MiB down after it; the log has the name and what it leads to."""
    with target(kind, tmp_path) as (value, server):
        with gateway_process(tmp_path, "--target", f"back-end.1={value}") as gateway:
            with WebSocketClient(gateway.port, "target=back-end.1") as client:
                send_all(client, SIZE)
                assert receive_all(client) == (SIZE, digest(SIZE))
                assert client.closed.code == 1000
            assert server.wait_for_end() == "eof"
            assert (server.received, server.sha.hexdigest()) == (SIZE, digest(SIZE))
            shown = value.partition(":cafile=")[0]
            gateway.wait_for_log(
                rf"-> back-end\.1 \({shown}\) closed: .*\({SIZE} bytes up, {SIZE} bytes down, 0 "
            )


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
def test_half_close_reaches_every_kind_of_target(tmp_path: Path, kind: str) -> None:
    """8 MiB up, eof, which ends the stream also over TLS, 8 MiB down, eof, and Close 1000."""
    with target(kind, tmp_path) as (value, server):
        with gateway_process(tmp_path, "--target", f"backend={value}") as gateway:
            with WebSocketClient(gateway.port, "target=backend", protocols="portofcall.v1") as client:
                for piece in stream(SIZE):
                    client.send(bytes(piece))
                client.send_eof()
                received = b"".join(client.messages_to_eof())
                assert received == b"".join(stream(SIZE))
                assert client.expect_close().code == 1000
            assert server.wait_for_end() == "eof"
            assert (server.received, server.sha.hexdigest()) == (SIZE, digest(SIZE))


@contextmanager
def full_socket(path: Path) -> Iterator[Path]:
    """Give the path of a UNIX socket whose backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket(socket.AF_UNIX))
            filler.setblocking(False)
            filler.connect_ex(str(path))
        yield path


def test_gateway_with_targets_shows_no_address(tmp_path: Path) -> None:
    """In no Close frame and no response of the API, whatever the target does."""
    with silent_port() as silent, full_socket(tmp_path / "full") as full, gateway_process(
        tmp_path, "--connect-timeout=1",
        f"--target=closed=127.0.0.1:{closed_port()}", f"--target=silent=127.0.0.1:{silent}",
        "--target=meta=169.254.169.254:80", "--target=none=unix:/nonexistent", f"--target=full=unix:{full}",
    ) as gateway:  # fmt: skip
        expected = {
            "closed": (4502, "refused: closed refused the connection", 502),
            "silent": (4504, "connect-timeout: silent did not answer within 1 s", 504),
            "meta": (4403, "blocked: meta is blocked by the policy of this gateway", 403),
            "none": (4502, "unreachable: none can't be reached (No such file or directory)", 502),
            "full": (4429, "target-busy: full accepts no more connections at the moment", 429),
            "other": (4404, "unknown-target: there is no target other", 404),
        }
        for name, (code, reason, status) in expected.items():
            with WebSocketClient(gateway.port, f"target={name}") as client:
                close = client.expect_close()
            assert (close.code, close.reason) == (code, reason)
            answered, _, body = ask(gateway, "POST", "/api/ping", {"target": name, "timeout": 1000})
            assert (answered, json.loads(body)["error"]) == (status, reason.partition(": ")[2])
        with WebSocketClient(gateway.port, f"host=127.0.0.1&port={silent}") as client:
            assert client.expect_close().code == 4403
        gateway.wait_for_log(r"-> meta \(169.254.169.254:80\) .* rule=\"169.254.169.254 is cloud metadata")
        assert "-> none (unix:/nonexistent) closed: unreachable" in gateway.log


def echo_and_close(server: Backend) -> None:
    """Echo, and end the stream when the other side has."""
    echo(server)
    server.connection.close()


def answered(gateway: GatewayProcess, name: str) -> bool:
    """Whether a target of this name echoes."""
    with WebSocketClient(gateway.port, f"target={name}") as client:
        client.send(b"hello")
        frame = client.receive()
        if frame.payload == b"hello":
            client.close()
            client.expect_close()
    return frame.payload == b"hello"


def test_target_file_is_reloaded_on_sighup(tmp_path: Path) -> None:
    """New names are known and old ones are not; a broken file changes nothing, and open tunnels stay."""
    path = tmp_path / "targets"
    with backend(echo_and_close) as first, backend(echo_and_close) as second:
        path.write_text(f"one: 127.0.0.1:{first.port}\n")
        with gateway_process(tmp_path, "--target-file", str(path)) as gateway:
            with WebSocketClient(gateway.port, "target=one") as client:
                client.send(b"before")
                assert client.read(6) == b"before"
                path.write_text(f"# moved\ntwo: 127.0.0.1:{second.port}\nthree\n")
                gateway.process.send_signal(signal.SIGHUP)
                gateway.wait_for_log(
                    r"target list not reloaded, the previous one stays in force: .*: line 3: "
                )
                assert not answered(gateway, "two")
                path.write_text(f"# moved\ntwo: 127.0.0.1:{second.port}\n")
                gateway.process.send_signal(signal.SIGHUP)
                gateway.wait_for_log("target list reloaded: 1 target")
                assert not answered(gateway, "one")
                assert answered(gateway, "two")
                client.send(b"after")
                assert client.read(5) == b"after"
                client.close()
                client.expect_close()
