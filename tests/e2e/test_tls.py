"""TLS takes another way through the gateway than plain TCP, and carries the same bytes."""

import hashlib
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from ssl import (
    PROTOCOL_TLS_CLIENT,
    MemoryBIO,
    SSLContext,
    SSLSocket,
    SSLWantReadError,
    create_default_context,
)
from typing import cast

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.certificates import DAY, Authority, pem_key
from tests.e2e.backends import Backend, MiB, backend, digest, echo, send_and_close, stream
from tests.e2e.gateway import LOOPBACK, TWISTD, gateway_process, need
from tests.e2e.wsclient import DEADLINE, UpgradeRefusedError, WebSocketClient

#: Nearly every test starts a gateway of its own.
pytestmark = pytest.mark.slow

SIZE = 32 * MiB


ROOT = Authority()
MIDDLE = Authority("Test Intermediate", above=ROOT)
SERVER = MIDDLE.issue("localhost")


def tls_options(folder: Path, endpoint: str = "tcp:0:interface=127.0.0.1") -> list[str]:
    """Options for TLS of our own with the certificate ``SERVER``, in front of an endpoint."""
    certificate, key = SERVER.write(folder)
    return ["--listen", f"tls+{endpoint}", "--tls-cert", str(certificate), "--tls-key", str(key)]


def trusting(folder: Path) -> SSLContext:
    """The settings of a client that knows ``ROOT`` only."""
    return create_default_context(cafile=ROOT.write(folder))


def curl(folder: Path, port: int, *options: str, host: str = "localhost", path: str = "/") -> tuple[int, str]:
    """Request a path with curl, which knows ``ROOT`` only; return curl's exit status and the HTTP status."""
    command = [need("curl"), "--silent", "--show-error", "--max-time", str(DEADLINE), "--noproxy", "*"]
    command += ["--cacert", str(ROOT.write(folder)), "--resolve", f"{host}:{port}:127.0.0.1"]
    command += ["--output", str(folder / "page"), "--write-out", "%{http_code}", *options]
    url = f"https://{host}:{port}{path}"
    ended = subprocess.run([*command, url], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout


def end(client: WebSocketClient) -> None:
    """Close a tunnel, and wait until it is closed."""
    client.close()
    assert list(client.messages()) == []


@pytest.mark.parametrize("own", [False, True], ids=["ssl:", "tls+"])
@pytest.mark.parametrize("direction", ["down", "up"])
def test_bytes_are_the_same_over_tls(tmp_path: Path, certificate: Path, direction: str, own: bool) -> None:
    """32 MiB each way, by websocat: what is read in place is copied where TLS has to keep it."""
    listen = ["--listen", f"ssl:0:interface=127.0.0.1:privateKey={certificate}"]
    if own:
        listen = tls_options(tmp_path)
    websocat = [need("websocat"), "--binary", "--exit-on-eof", "--insecure"]
    serve = send_and_close(SIZE) if direction == "down" else Backend.receive
    with gateway_process(tmp_path, *listen, *LOOPBACK) as gateway, backend(serve) as server:
        url = f"wss://127.0.0.1:{gateway.port}/api/connect?{server.query}"
        program = subprocess.Popen([*websocat, "-", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert program.stdin is not None
        assert program.stdout is not None
        try:
            if direction == "down":
                assert hashlib.sha256(program.stdout.read(SIZE)).hexdigest() == digest(SIZE)
            else:
                for piece in stream(SIZE):
                    program.stdin.write(piece)
                program.stdin.close()
                assert server.wait_for_end() == "eof"
                assert (server.received, server.sha.hexdigest()) == (SIZE, digest(SIZE))
        finally:
            program.stdin.close()
            program.stdout.close()
            program.terminate()
            program.wait(DEADLINE)


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["ssl:", "tls+"])
def test_connection_whose_tls_is_never_up_is_reset(tmp_path: Path, certificate: Path, own: bool) -> None:
    """After ten seconds: one that says nothing, and one that stops in the middle of the handshake."""
    listen = ["--listen", f"ssl:0:interface=127.0.0.1:privateKey={certificate}"]
    if own:
        listen = tls_options(tmp_path)
    hello = MemoryBIO()
    tls = SSLContext(PROTOCOL_TLS_CLIENT).wrap_bio(MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(SSLWantReadError):
        tls.do_handshake()
    with gateway_process(tmp_path, *listen, *LOOPBACK) as gateway, ExitStack() as stack:
        started = time.monotonic()
        for sent in (b"", hello.read()):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), DEADLINE))
            connection.sendall(sent)
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        assert 5 < time.monotonic() - started < 30


def test_renewed_certificate_needs_no_restart(tmp_path: Path) -> None:
    """After SIGHUP curl gets the new certificate, and a tunnel that was open before lives on."""
    options = [*tls_options(tmp_path), *LOOPBACK, "--close-grace=0"]
    with gateway_process(tmp_path, *options) as gateway, backend(echo) as server:
        assert curl(tmp_path, gateway.port) == (0, "200")
        trusted = trusting(tmp_path)
        with WebSocketClient(gateway.port, server.query, tls=trusted) as before:
            renewed = MIDDLE.issue("localhost", ends=60 * DAY)
            _, key = renewed.write(tmp_path)
            key.write_text("not yet written")
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for_log(
                f"TLS configuration not reloaded, .*: --tls-key {key}: expected a private key"
            )
            assert curl(tmp_path, gateway.port) == (0, "200")
            renewed.write(tmp_path)
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for_log("TLS configuration reloaded: localhost until ")
            assert curl(tmp_path, gateway.port) == (0, "200")
            before.send(b"still here")
            assert before.receive().payload == b"still here"
            with WebSocketClient(gateway.port, server.query, tls=trusted) as after:
                served = [cast(SSLSocket, client.socket).getpeercert(True) for client in (before, after)]
                end(after)
            end(before)
        assert served == [issued.chain[0].public_bytes(Encoding.DER) for issued in (SERVER, renewed)]


def test_ssl_endpoint_sends_the_chain_that_curl_needs(tmp_path: Path) -> None:
    """Twisted's own endpoint, with a full chain as certKey."""
    certificate, key = SERVER.write(tmp_path)
    listen = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with gateway_process(tmp_path, "--listen", listen) as gateway:
        assert curl(tmp_path, gateway.port) == (0, "200")


def test_server_name_chooses_the_certificate(tmp_path: Path) -> None:
    """curl accepts the gateway under each name of its certificates, and under no other."""
    options = tls_options(tmp_path)
    certificate, key = MIDDLE.issue("other.example", "*.wild.example").write(tmp_path, "other")
    options += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with gateway_process(tmp_path, *options) as gateway:
        for host in ("localhost", "other.example", "a.wild.example"):
            assert curl(tmp_path, gateway.port, host=host) == (0, "200")
        wrong_certificate = 60
        assert curl(tmp_path, gateway.port, host="unknown.example")[0] == wrong_certificate


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_mutual_tls(tmp_path: Path, version: str) -> None:
    """`curl --cert` gets in, without a certificate or with a stranger's it does not; the log says why.

    Health checks need none.
    """
    options = [*tls_options(tmp_path), "--tls-client-ca", str(ROOT.write(tmp_path)), *LOOPBACK]
    options.append("--close-grace=0")
    to_version = ["--tls-max", version]
    with gateway_process(tmp_path, *options) as gateway, backend(echo) as server:
        certificate, key = ROOT.issue(subject="ada", client=True).write(tmp_path, "ada")
        assert curl(tmp_path, gateway.port, *to_version, "--cert", str(certificate), "--key", str(key)) == (
            0,
            "200",
        )
        assert curl(tmp_path, gateway.port, *to_version) == (0, "403")
        gateway.wait_for_log(
            r"127\.0\.0\.1:\d+ refused: certificate-required: .* status=403 .*login=certificate"
        )
        with pytest.raises(UpgradeRefusedError, match="403"):
            WebSocketClient(gateway.port, server.query, tls=trusting(tmp_path))
        for path in ("/healthz", "/readyz"):
            assert curl(tmp_path, gateway.port, *to_version, path=path) == (0, "200")
        stranger = Authority("Stranger").issue(subject="ada", client=True).write(tmp_path, "stranger")
        assert (
            curl(tmp_path, gateway.port, *to_version, "--cert", str(stranger[0]), "--key", str(stranger[1]))[
                0
            ]
            != 0
        )
        gateway.wait_for_log(r"127\.0\.0\.1:\d+ refused: tls-handshake-failed: certificate verify failed")
        trusted = trusting(tmp_path)
        trusted.load_cert_chain(certificate, key)
        with WebSocketClient(gateway.port, server.query, tls=trusted) as client:
            client.send(b"hello")
            assert client.receive().payload == b"hello"
            end(client)
        gateway.wait_for_log(r"tunnel CN=ada@127\.0\.0\.1:\d+ -> .* opened")


def test_haproxy_in_front_sends_its_header_before_tls(tmp_path: Path) -> None:
    """HAProxy passes TLS through, and the log has the client's address, not HAProxy's."""
    options = [*tls_options(tmp_path, "haproxy:tcp:0:interface=127.0.0.1"), "--no-auth"]
    with gateway_process(tmp_path, *options) as gateway, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        config = tmp_path / "haproxy.cfg"
        config.write_text(
            "defaults\n mode tcp\n timeout connect 10s\n timeout client 30s\n timeout server 30s\n"
            f"listen tls\n bind fd@{listening.fileno()}\n"
            f" server gateway 127.0.0.1:{gateway.port} send-proxy-v2\n"
        )
        haproxy = subprocess.Popen(
            [need("haproxy"), "-db", "-f", str(config)],
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port = listening.getsockname()[1]
            assert curl(tmp_path, port, "--interface", "127.0.0.2") == (0, "200")
        finally:
            haproxy.terminate()
            haproxy.wait(DEADLINE)
        gateway.wait_for_log(r'127\.0\.0\.2:\d+ "GET /" 200')


def test_tls_on_a_unix_socket(tmp_path: Path) -> None:
    """The same as on TCP, beside it."""
    path = tmp_path / "socket"
    options = [*tls_options(tmp_path), "--listen", f"tls+unix:{path}"]
    with gateway_process(tmp_path, *options) as gateway:
        assert curl(tmp_path, gateway.port, "--unix-socket", str(path)) == (0, "200")


#: Runs a program with a listening socket as descriptor 3, as systemd does (sd_listen_fds(3)).
SYSTEMD = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_FDNAMES="tls", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def test_tls_on_a_socket_of_systemd(tmp_path: Path) -> None:
    """It is opened before the gateway starts."""
    options = tls_options(tmp_path, "systemd:domain=INET:index=0")
    wrapper = [sys.executable, "-c", SYSTEMD]
    with gateway_process(tmp_path, *options, wrapper=wrapper) as gateway:
        assert curl(tmp_path, gateway.port) == (0, "200")


def test_key_of_another_certificate_ends_the_start(tmp_path: Path) -> None:
    """With one line that names the option."""
    options = tls_options(tmp_path)
    key = tmp_path / "server.key"
    key.write_bytes(pem_key(MIDDLE.issue("localhost").key))
    command = [str(TWISTD), "-n", "--pidfile=", "portofcall", *options]
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        f"twistd portofcall: --tls-key {key}: expected the key of the first certificate in "
        f"{tmp_path / 'server.pem'}, got the key of another one\n"
    )
