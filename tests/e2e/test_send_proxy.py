"""HAProxy and nginx as targets learn where clients are, by the PROXY protocol."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.backends import closed_port
from tests.e2e.gateway import gateway_process, need
from tests.e2e.nginx import nginx_as_target
from tests.e2e.support import accepts, running, until
from tests.e2e.wsclient import DEADLINE, WebSocketClient

PORTOFCALL = Path(sys.executable).with_name("portofcall")
pytestmark = pytest.mark.slow

_HAPROXY = """
defaults
 mode http
 timeout connect 10s
 timeout client 30s
 timeout server 30s
frontend plain
 bind 127.0.0.1:{port} accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[fc_pp_unique_id]"
frontend tls
 bind 127.0.0.1:{tls_port} accept-proxy ssl crt {certificate}
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[fc_pp_unique_id]"
"""


@contextmanager
def haproxy(folder: Path, authority: Authority) -> Iterator[tuple[int, int]]:
    """Run HAProxy, which reads the header, in the clear and before TLS; give both ports."""
    chain, key = authority.issue("localhost").write(folder, "target")
    certificate = folder / "target-both.pem"
    certificate.write_bytes(chain.read_bytes() + key.read_bytes())
    port, tls_port = closed_port(), closed_port()
    config = folder / "haproxy.cfg"
    config.write_text(_HAPROXY.format(port=port, tls_port=tls_port, certificate=certificate))
    with running([need("haproxy"), "-db", "-f", str(config)], folder / "haproxy.log"):
        until(lambda: accepts(port) and accepts(tls_port))
        yield port, tls_port


def answer(client: WebSocketClient) -> list[str]:
    """Ask the target for its page through the tunnel; return the words of it."""
    client.send(b"GET / HTTP/1.0\r\nHost: target\r\n\r\n")
    data = b""
    while True:
        frame = client.receive()
        if frame.opcode != 2:
            break
        data += frame.payload
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head, head
    return body.decode().split(" ")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_and_nginx_see_the_client(version: str, tmp_path: Path) -> None:
    """The real one, behind a trusted proxy, in IPv4 and in IPv6; the id is the one of the log."""
    with haproxy(tmp_path, Authority()) as (port, _), nginx_as_target(tmp_path) as other:
        options = ["--allow", f"127.0.0.1:{port},{other}", "--send-proxy", version]
        with gateway_process(tmp_path, *options, "--trust-forwarded", "127.0.0.1", "--no-auth") as gateway:
            for target in (port, other):
                query = f"host=127.0.0.1&port={target}"
                with WebSocketClient(gateway.port, query, source="127.0.0.2") as client:
                    address, own_port, *_ = answer(client)
                    assert (address, own_port) == ("127.0.0.2", str(client.socket.getsockname()[1]))
                forwarded = ("X-Forwarded-For: 2001:db8::7", "X-Request-Id: of-the-proxy")
                with WebSocketClient(gateway.port, query, headers=forwarded) as client:
                    address, own_port, *told = answer(client)
                    assert address == "2001:db8::7"
                    assert own_port == "", "not known"
                    if target == port:
                        assert told == ["of-the-proxy" if version == "v2" else ""]


def test_header_comes_before_tls_to_the_target(tmp_path: Path) -> None:
    """HAProxy reads it before the ClientHello; a target that no rule matches gets none."""
    authority = Authority()
    certificate = authority.write(tmp_path)
    with haproxy(tmp_path, authority) as (_, tls_port):
        target = f"web=tls:localhost:{tls_port}:cafile={certificate}"
        with gateway_process(tmp_path, "--target", target, "--send-proxy", "v2:web") as gateway:
            with WebSocketClient(gateway.port, "target=web", source="127.0.0.3") as client:
                assert answer(client)[0] == "127.0.0.3"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_client_on_a_unix_socket_has_no_address(version: str, tmp_path: Path) -> None:
    """HAProxy then shows the address of the connection itself, the gateway's."""
    path = tmp_path / "socket"
    with haproxy(tmp_path, Authority()) as (port, _):
        options = ["--allow", f"127.0.0.1:{port}", "--send-proxy", version, "--listen", f"unix:{path}"]
        with gateway_process(tmp_path, "--listen", "tcp:0:interface=127.0.0.1", *options):
            command = [str(PORTOFCALL), "connect", f"unix:{path}", "127.0.0.1", str(port)]
            done = subprocess.run(
                command, input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=DEADLINE, check=False
            )
    assert done.returncode == 0, done.stderr
    assert done.stdout.partition(b"\r\n\r\n")[2].startswith(b"127.0.0.1 ")


def test_client_over_tls_is_described(tmp_path: Path) -> None:
    """v2-ssl has the version and the cipher of the client's TLS."""
    authority = Authority()
    chain, key = authority.issue("localhost").write(tmp_path)
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    with socket.create_server(("127.0.0.1", 0)) as target:
        target.settimeout(DEADLINE)
        port = target.getsockname()[1]
        options = [
            "--listen",
            "tls+tcp:0:interface=127.0.0.1",
            "--tls-cert",
            str(chain),
            "--tls-key",
            str(key),
        ]
        options += ["--allow", f"127.0.0.1:{port}", "--send-proxy", "v2-ssl"]
        with gateway_process(tmp_path, *options) as gateway:
            with WebSocketClient(gateway.port, f"host=127.0.0.1&port={port}", tls=trust) as client:
                accepted, _ = target.accept()
                with accepted:
                    accepted.settimeout(DEADLINE)
                    header = accepted.recv(1024)
                assert isinstance(client.socket, ssl.SSLSocket)
                negotiated = client.socket.cipher()
    assert negotiated is not None
    cipher, version, _ = negotiated
    for value in (version, cipher):
        assert len(value).to_bytes(2, "big") + value.encode() in header
