"""TLS takes another way through the gateway than plain TCP, and carries the same bytes."""

import hashlib
import subprocess
from pathlib import Path

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
