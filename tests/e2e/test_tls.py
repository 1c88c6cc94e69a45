"""TLS takes another way through the gateway than plain TCP, and carries the same bytes."""

import hashlib
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from ssl import PROTOCOL_TLS_CLIENT, MemoryBIO, SSLContext, SSLWantReadError

import pytest

from tests.e2e.backends import Backend, MiB, backend, digest, send_and_close, stream
from tests.e2e.gateway import LOOPBACK, gateway_process, need
from tests.e2e.wsclient import DEADLINE

SIZE = 32 * MiB


@pytest.mark.parametrize("direction", ["down", "up"])
def test_bytes_are_the_same_over_tls(tmp_path: Path, certificate: Path, direction: str) -> None:
    """32 MiB each way, by websocat: what is read in place is copied where TLS has to keep it."""
    listen = f"ssl:0:interface=127.0.0.1:privateKey={certificate}"
    websocat = [need("websocat"), "--binary", "--exit-on-eof", "--insecure"]
    serve = send_and_close(SIZE) if direction == "down" else Backend.receive
    with gateway_process(tmp_path, "--listen", listen, *LOOPBACK) as gateway, backend(serve) as server:
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
def test_connection_whose_tls_is_never_up_is_reset(tmp_path: Path, certificate: Path) -> None:
    """After ten seconds: one that says nothing, and one that stops in the middle of the handshake."""
    listen = f"ssl:0:interface=127.0.0.1:privateKey={certificate}"
    hello = MemoryBIO()
    tls = SSLContext(PROTOCOL_TLS_CLIENT).wrap_bio(MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(SSLWantReadError):
        tls.do_handshake()
    with gateway_process(tmp_path, "--listen", listen, *LOOPBACK) as gateway, ExitStack() as stack:
        started = time.monotonic()
        for sent in (b"", hello.read()):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), DEADLINE))
            connection.sendall(sent)
        with suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
        assert 5 < time.monotonic() - started < 30
