"""OpenSSH, Redis and websocat work through a gateway."""

import hashlib
import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.backends import backend, closed_port, echo
from tests.e2e.gateway import GatewayProcess, need
from tests.e2e.sshd import SSHServer
from tests.e2e.support import ask, running, until
from tests.e2e.wsclient import DEADLINE, WebSocketClient


def test_ssh_runs_a_command(gateway: GatewayProcess, sshd: SSHServer) -> None:
    """As from next door."""
    done = subprocess.run(
        sshd.through_websocat(gateway, "echo $((6 * 7)); exit 3"),
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, b"42\n"), done.stderr


@pytest.mark.slow
def test_ssh_copies_200_mib_there_and_back(gateway: GatewayProcess, sshd: SSHServer, tmp_path: Path) -> None:
    """With the same checksum at each end."""
    original, there, back = tmp_path / "original", tmp_path / "there", tmp_path / "back"
    data = os.urandom(1 << 20) * 200
    original.write_bytes(data)
    with original.open("rb") as source:
        command = sshd.through_websocat(gateway, f"cat > {there}; sha256sum {there}")
        up = subprocess.run(command, stdin=source, capture_output=True, timeout=120, check=True)
    with back.open("wb") as sink:
        subprocess.run(sshd.through_websocat(gateway, f"cat {there}"), stdout=sink, timeout=120, check=True)
    expected = hashlib.sha256(data).hexdigest()
    assert up.stdout.decode().split()[0] == expected
    assert hashlib.sha256(back.read_bytes()).hexdigest() == expected


def test_probes_know_this_sshd(gateway: GatewayProcess, sshd: SSHServer) -> None:
    """The banner is what the server's package says; ping gives its round trip."""
    fields = {"host": "127.0.0.1", "port": sshd.port}
    version = subprocess.run([need("ssh"), "-V"], capture_output=True, check=True).stderr.decode()
    status, _, body = ask(gateway, "POST", "/api/ssh/connect", fields)
    answer = json.loads(body)
    assert status == 200
    assert answer["software"] == version.split()[0].rstrip(",")
    assert answer["banner"].startswith("SSH-2.0-OpenSSH_")
    assert answer["protocol"] == "2.0"
    status, _, body = ask(gateway, "POST", "/api/ping", fields)
    assert status == 200
    assert json.loads(body)["rtt"] >= 0


def test_redis_sets_and_gets(gateway: GatewayProcess, tmp_path: Path) -> None:
    """In its own protocol, through the tunnel."""
    port, log = closed_port(), tmp_path / "log"
    command = [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir"]
    with running([*command, str(tmp_path)], log):
        until(lambda: "Ready to accept connections" in log.read_text())
        with WebSocketClient(gateway.port, f"host=127.0.0.1&port={port}") as client:
            client.send(b'SET ship "port of call"\r\n')
            assert client.read(5) == b"+OK\r\n"
            client.send(b"GET ship\r\n")
            assert client.read(19) == b"$12\r\nport of call\r\n"
            client.close()


def test_websocat_listens_for_local_programs(gateway: GatewayProcess, tmp_path: Path) -> None:
    """As in the README: each connection to its port is a tunnel, and ends when either side ends."""
    port, log = closed_port(), tmp_path / "log"
    with backend(echo) as server:
        url = f"ws://127.0.0.1:{gateway.port}/api/connect?{server.query}"
        with running([need("websocat"), "-bE", f"tcp-l:127.0.0.1:{port}", url], log):
            # Asked of the kernel (proc(5)): a connection to try it would be a tunnel.
            until(lambda: f":{port:04X} 00000000:0000 0A " in Path("/proc/net/tcp").read_text())
            with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
                client.settimeout(DEADLINE)
                client.sendall(b"hello")
                assert client.recv(5) == b"hello"
            assert server.wait_for_end() == "eof"


@pytest.mark.slow
def test_websocat_talks_to_the_demo(tmp_path: Path) -> None:
    """As the README shows it; other loopback ports stay closed."""
    from tests.e2e.gateway import gateway_process

    with gateway_process(tmp_path, "--demo") as gateway:
        urls = {
            name: gateway.wait_for_log(rf"demo {name} on 127\.0\.0\.1:\d+, try (ws://\S+)")[1]
            for name in ("echo", "discard", "chargen")
        }
        websocat = need("websocat")
        done = subprocess.run(
            [websocat, "-b", urls["echo"]],
            input=b"hello\n",
            capture_output=True,
            timeout=DEADLINE,
            check=True,
        )
        assert done.stdout == b"hello\n"
        query = urls["chargen"].partition("?")[2]
        with WebSocketClient(gateway.port, query) as client:
            assert re.match(rb"[ -~\r\n]+", client.receive().payload)
        with WebSocketClient(gateway.port, f"host=127.0.0.1&port={gateway.port}") as client:
            assert client.expect_close().code == 4403
