"""SSH sessions of the page whose gateway, server or session fails."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.browser import Browser
from tests.e2e.gateway import LOOPBACK, gateway_process
from tests.e2e.page import ENTER, needs_page
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView, transferred, upload
from tests.e2e.support import until

pytestmark = [pytest.mark.slow, needs_page]

#: Timers of ten seconds and more run ten times as fast, so that keepalives need no minutes.
HURRY = """
const {setTimeout: wait, setInterval: repeat} = globalThis;
const hurry = (delay) => delay >= 10_000 ? delay / 10 : delay;
globalThis.setTimeout = (run, delay, ...rest) => wait(run, hurry(delay), ...rest);
globalThis.setInterval = (run, delay, ...rest) => repeat(run, hurry(delay), ...rest);
"""


@contextmanager
def hurry(window: Browser) -> Iterator[None]:
    """Load pages with fast timers."""
    script = window.command("Page.addScriptToEvaluateOnNewDocument", source=HURRY)["identifier"]
    try:
        yield
    finally:
        window.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def test_gateway_is_killed(window: Browser, ssh_servers: SshServers, tmp_path: Path) -> None:
    """The session ends at once, and says why; one key reconnects when the gateway is there again."""
    server, account = ssh_servers["ed25519"], ssh_servers.account
    with gateway_process(tmp_path, *LOOPBACK) as gateway:
        port = gateway.port
        ssh = SshView(window, f"http://127.0.0.1:{port}/")
        ssh.log_in(server, account)
        killed = time.monotonic()
        gateway.process.kill()
        assert "Connection lost" in ssh.end()
        print(f"seen {time.monotonic() - killed:.2f} s after the gateway was killed")
    assert time.monotonic() - killed < 5
    with gateway_process(tmp_path, *LOOPBACK, "--listen", f"tcp:{port}:interface=127.0.0.1"):
        ssh.window.wait("document.activeElement?.textContent === 'Reconnect'")
        ssh.window.type(ENTER)
        # The host key is known; the password was not kept.
        ssh.wait_for_state("sign-in")
        ssh.sign_in(account.password)
        ssh.wait_for_prompt()
    ssh.window.log()


def test_session_is_killed_on_the_server(ssh: SshView, ssh_servers: SshServers) -> None:
    """The session ends at once; what was shown stays."""
    server = ssh_servers["rsa"]
    ssh.log_in(server, ssh_servers.account)
    ssh.enter("echo stays''here")
    ssh.wait_for_screen("stayshere")
    server.signal_sessions(signal.SIGKILL)
    assert "Connection lost" in ssh.end()
    assert "stayshere" in ssh.screen()
    ssh.assert_nothing_foreign()


def test_server_is_stopped(ssh: SshView, ssh_servers: SshServers) -> None:
    """A server that no longer answers keepalives is given up; one that answers late is not."""
    server = ssh_servers.start("ed25519", keys="stopped")
    try:
        with hurry(ssh.window):
            ssh.log_in(server, ssh_servers.account)
            server.signal_sessions(signal.SIGSTOP)
            ssh.window.value("new Promise((resolve) => setTimeout(resolve, 2000))")
            assert ssh.state() == "open"
            server.signal_sessions(signal.SIGCONT)
            ssh.enter("echo awake''again")
            ssh.wait_for_screen("awakeagain")
            server.signal_sessions(signal.SIGSTOP)
            stopped = time.monotonic()
            assert "has not answered" in ssh.end()
            print(f"given up {time.monotonic() - stopped:.1f} s after the stop, ten times as fast")
    finally:
        server.signal_sessions(signal.SIGCONT)
        server.stop()


def test_disconnect_ends_the_session_on_the_server(ssh: SshView, ssh_servers: SshServers) -> None:
    """With a message of SSH, not by a lost connection."""
    server = ssh_servers.start("ed25519", keys="left")
    try:
        ssh.log_in(server, ssh_servers.account)
        assert server.sessions()
        ssh.press("Disconnect")
        ssh.wait_for_state("ended")
        ssh.window.value("new Promise((resolve) => setTimeout(resolve, 300))")
        assert server.sessions() == []
        assert "Received disconnect from 127.0.0.1" in server.log
    finally:
        server.stop()


def test_files_go_on_while_the_panel_reconnects(
    ssh: SshView, ssh_servers: SshServers, tmp_path: Path
) -> None:
    """Over the connection that they began on, whose end does not touch the new one."""
    server, account = ssh_servers["all"], ssh_servers.account
    path = tmp_path / "letter"
    path.write_bytes(b"ahoy")
    pipe = account.home / "pipe"
    ssh.log_in(server, account)
    ssh.enter("mkfifo pipe && echo ma''de")
    ssh.wait_for_screen("made")
    upload(ssh, path, "pipe")
    assert "pipe exists already" in transferred(ssh, "failed")
    ssh.press("Overwrite")
    # It waits for a reader.
    row = f"{ssh.find('.transfers li:first-child')}.dataset.state"
    ssh.window.wait(f"['running', 'checking'].includes({row})")
    ssh.window.value(f"{ssh.find('.xterm-helper-textarea')}.focus()")
    ssh.enter("exit 3")
    assert "Exit status 3" in ssh.end()
    ssh.press("Reconnect")
    ssh.wait_for_state("sign-in")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()
    connections = len(server.sessions())
    assert pipe.read_bytes() == b"ahoy"
    pipe.write_bytes(b"ahoy")  # for the checksum
    assert "SHA-256 equal" in transferred(ssh, "done")
    until(lambda: len(server.sessions()) < connections)
    ssh.enter("echo still''here")
    ssh.wait_for_screen("stillhere")
    ssh.assert_nothing_foreign()
