"""Signals to a running gateway: files are read again, and the log is followed by a new one."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.gateway import TWISTD, gateway_process
from tests.e2e.support import logged, until
from tests.e2e.wsclient import DEADLINE, WebSocketClient

pytestmark = pytest.mark.slow


def test_reloaded_policy_ends_open_tunnels_that_it_no_longer_allows(tmp_path: Path) -> None:
    """With --recheck-open-tunnels: those to one port get 4403, those to another carry on."""
    with backend(echo) as blocked, backend(echo) as allowed:
        policy = tmp_path / "policy"
        policy.write_text("allow 127.0.0.1\n")
        with (
            gateway_process(tmp_path, f"--policy={policy}", "--recheck-open-tunnels") as gateway,
            WebSocketClient(gateway.port, blocked.query) as first,
            WebSocketClient(gateway.port, allowed.query) as second,
        ):
            for client in (first, second):
                client.send(b"before")
                assert client.read(6) == b"before"
            policy.write_text(f"allow 127.0.0.1\ndeny 127.0.0.1:{blocked.port}\n")
            gateway.process.send_signal(signal.SIGHUP)
            close = first.expect_close()
            assert (close.code, close.reason) == (4403, f'blocked: denied by rule "127.0.0.1:{blocked.port}"')
            gateway.wait_for_log("open tunnels judged again: 2, no longer allowed: 1")
            second.send(b"after")
            assert second.read(5) == b"after"
            second.close()
            assert blocked.wait_for_end() == "eof"


def test_gateway_in_the_background_reloads_and_follows_its_log(tmp_path: Path) -> None:
    """SIGHUP, with a whole file and a broken one; then SIGUSR1 after a rename, as by logrotate."""
    log, pid_file, policy = tmp_path / "log", tmp_path / "pid", tmp_path / "policy"
    policy.write_text("allow 127.0.0.1\n")
    started = subprocess.run(
        [
            *(str(TWISTD), f"--pidfile={pid_file}", f"--logfile={log}", "portofcall"),
            *(f"--policy={policy}", "--listen=tcp:0:interface=127.0.0.1"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert started.returncode == 0, started.stderr
    pid = int(pid_file.read_text())
    try:
        port = int(logged(log, r"listening on http://127\.0\.0\.1:(\d+)")[1])
        policy.write_text("allow 127.0.0.1\ndeny 10.0.0.0/8\n")
        os.kill(pid, signal.SIGHUP)
        logged(log, "policy reloaded: 1 allow rule, 1 deny rule")
        policy.write_text("allow 127.0.0.1\nnonsense\n")
        os.kill(pid, signal.SIGHUP)
        logged(log, f"policy not reloaded, the previous one stays in force: {policy}: line 2: expected allow")
        log.rename(tmp_path / "log.1")
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            connection.sendall(b"GET /old HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.recv(1)
        logged(tmp_path / "log.1", "GET /old")
        os.kill(pid, signal.SIGUSR1)
        logged(log, f"log file {log} reopened")
        before = (tmp_path / "log.1").stat().st_size
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
            connection.sendall(b"GET /new HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            connection.recv(1)
        logged(log, "GET /new")
        assert (tmp_path / "log.1").stat().st_size == before
        assert sorted(path.name for path in tmp_path.glob("log*")) == ["log", "log.1"]
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{pid}").exists())
    assert not pid_file.exists()
    assert "stopped after" in log.read_text()
