"""HAProxy and nginx as targets learn where clients are, by the PROXY protocol."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, gateway_process, need
from tests.e2e.nginx import nginx_as_target
from tests.e2e.support import accepts, ask, logged, running, until
from tests.e2e.wsclient import DEADLINE, WebSocketClient

PORTOFCALL = Path(sys.executable).with_name("portofcall")
pytestmark = pytest.mark.slow

_HAPROXY = """
global
 log stdout format raw daemon
defaults
 mode http
 timeout connect 10s
 timeout client 30s
 timeout server 30s
 log global
 log-format "connection from %ci at port %fp, termination %ts"
frontend plain
 bind 127.0.0.1:{port} accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[fc_pp_unique_id]"
frontend tls
 bind 127.0.0.1:{tls_port} accept-proxy ssl crt {certificate}
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[fc_pp_unique_id]"
"""


@dataclass(frozen=True)
class Targets:
    """Servers that read the header and respond with what it says.

    Attributes:
        haproxy: the port of HAProxy on 127.0.0.1.
        haproxy_tls: the one where TLS comes after the header.
        haproxy_log: its log, with the address of each connection.
        nginx: the port of nginx on 127.0.0.1.
        authority: who has signed HAProxy's certificate, for ``localhost``.
    """

    haproxy: int
    haproxy_tls: int
    haproxy_log: Path
    nginx: int
    authority: Authority


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


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    """HAProxy and nginx, for all of these tests."""
    folder, authority = tmp_path_factory.mktemp("targets"), Authority()
    with haproxy(folder, authority) as (port, tls_port), nginx_as_target(folder) as other:
        yield Targets(port, tls_port, folder / "haproxy.log", other, authority)


@pytest.fixture(scope="module", params=["v1", "v2", "v2-ssl"])
def version(request: pytest.FixtureRequest) -> str:
    """A form of the header."""
    return str(request.param)


@pytest.fixture(scope="module")
def told(
    version: str, targets: Targets, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway in IPv4, IPv6 and on a UNIX socket, behind proxies on 127.0.0.1 and ::1."""
    folder = tmp_path_factory.mktemp("gateway")
    listen = ["tcp:0:interface=127.0.0.1", r"tcp:0:interface=\:\:1", f"unix:{folder / 'socket'}"]
    options = [word for endpoint in listen for word in ("--listen", endpoint)]
    options += ["--allow", f"127.0.0.1:{targets.haproxy},{targets.nginx}", "--send-proxy", version]
    options += ["--trust-forwarded", "127.0.0.1", "--trust-forwarded", "::1", "--no-auth"]
    with gateway_process(folder, *options) as gateway:
        yield gateway


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


@pytest.mark.parametrize("source", ["127.0.0.2", "::1"])
def test_client_is_seen_with_its_port(told: GatewayProcess, targets: Targets, source: str) -> None:
    """In IPv4 and in IPv6."""
    port = told.port
    if source == "::1":
        port = int(told.wait_for_log(r"listening on http://\[::1\]:(\d+)")[1])
    for target in (targets.haproxy, targets.nginx):
        with WebSocketClient(port, f"host=127.0.0.1&port={target}", source=source) as client:
            assert answer(client)[:2] == [source, str(client.socket.getsockname()[1])]


@pytest.mark.parametrize(
    ("proxy", "real", "seen"),
    [
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("::1", "198.51.100.7", "::ffff:198.51.100.7"),
        ("::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_client_behind_a_trusted_proxy_is_seen(
    told: GatewayProcess, targets: Targets, proxy: str, real: str, seen: str
) -> None:
    """Its port is not known. IPv4 beside IPv6 is written as IPv6, which both servers accept."""
    port = told.port
    if proxy == "::1":
        port = int(told.wait_for_log(r"listening on http://\[::1\]:(\d+)")[1])
    for target in (targets.haproxy, targets.nginx):
        query, headers = f"host=127.0.0.1&port={target}", (f"X-Forwarded-For: {real}",)
        with WebSocketClient(port, query, headers=headers, source=proxy) as client:
            assert answer(client)[:2] == [seen, ""]


def test_id_of_the_request_is_sent_with_version_2(
    told: GatewayProcess, version: str, targets: Targets
) -> None:
    """HAProxy has it as the connection's unique id; version 1 has no room for it."""
    headers = ("X-Forwarded-For: 198.51.100.7", "X-Request-Id: of-the-proxy")
    with WebSocketClient(told.port, f"host=127.0.0.1&port={targets.haproxy}", headers=headers) as client:
        assert answer(client)[2] == ("" if version == "v1" else "of-the-proxy")


def test_client_on_a_unix_socket_has_no_address(told: GatewayProcess, targets: Targets) -> None:
    """HAProxy then shows the address of the connection itself, the gateway's; nginx shows none."""
    path = told.wait_for_log(r"listening on http://unix:(\S+)")[1]
    for target, seen in ((targets.haproxy, b"127.0.0.1 "), (targets.nginx, b" ")):
        command = [str(PORTOFCALL), "connect", f"unix:{path}", "127.0.0.1", str(target)]
        done = subprocess.run(
            command, input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        assert b" 200 " in head, head
        assert body.startswith(seen)


@pytest.mark.parametrize(("path", "status"), [("/api/ping", 200), ("/api/ssh/connect", 504)])
def test_pings_and_banners_come_from_the_gateway(
    told: GatewayProcess, targets: Targets, path: str, status: int
) -> None:
    """HAProxy takes their header for valid, and logs the gateway's address instead of the client's."""
    before = len(targets.haproxy_log.read_text())
    place = {"host": "127.0.0.1", "port": targets.haproxy, "timeout": 1000}
    response, _, _ = ask(told, "POST", path, place, X_Forwarded_For="198.51.100.7")
    assert response == status
    logged(
        targets.haproxy_log, rf"\A(?s:.{{{before}}})connection from 127\.0\.0\.1 at port {targets.haproxy}, "
    )


def test_header_comes_before_tls_to_the_target(targets: Targets, tmp_path: Path) -> None:
    """HAProxy reads it before the ClientHello; a target that no rule matches gets none."""
    certificate = targets.authority.write(tmp_path)
    target = f"web=tls:localhost:{targets.haproxy_tls}:cafile={certificate}"
    with gateway_process(tmp_path, "--target", target, "--send-proxy", "v2:web") as gateway:
        with WebSocketClient(gateway.port, "target=web", source="127.0.0.3") as client:
            assert answer(client)[0] == "127.0.0.3"


def test_client_over_tls_is_described(targets: Targets, tmp_path: Path) -> None:
    """v2-ssl has the version and the cipher of the client's TLS, and HAProxy and nginx accept it."""
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
        options += [
            "--allow",
            f"127.0.0.1:{port},{targets.haproxy},{targets.nginx}",
            "--send-proxy",
            "v2-ssl",
        ]
        with gateway_process(tmp_path, *options) as gateway:
            with WebSocketClient(gateway.port, f"host=127.0.0.1&port={port}", tls=trust) as client:
                accepted, _ = target.accept()
                with accepted:
                    accepted.settimeout(DEADLINE)
                    header = accepted.recv(1024)
                assert isinstance(client.socket, ssl.SSLSocket)
                negotiated = client.socket.cipher()
            for server in (targets.haproxy, targets.nginx):
                query = f"host=127.0.0.1&port={server}"
                with WebSocketClient(gateway.port, query, tls=trust, source="127.0.0.4") as client:
                    assert answer(client)[0] == "127.0.0.4"
    assert negotiated is not None
    cipher, version, _ = negotiated
    for value in (version, cipher):
        assert len(value).to_bytes(2, "big") + value.encode() in header
