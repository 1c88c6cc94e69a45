"""Key exchanges of the page with OpenSSH: many at the beginning, and in the middle of a session."""

import json
import os
from pathlib import Path

import pytest

from tests.e2e.backends import MiB
from tests.e2e.page import ENTER, needs_page
from tests.e2e.ssh_account import sha256
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView, download, transferred, upload
from tests.e2e.support import until

pytestmark = [pytest.mark.slow, needs_page]

SESSIONS = 40
STATES = "[...document.querySelectorAll('.ssh-panel')].map(({dataset}) => dataset.state)"


def test_40_sessions_with_curve25519(ssh: SshView, ssh_servers: SshServers) -> None:
    """The server signs what both hash, also for public values that begin with a set bit or a zero byte."""
    server = ssh_servers["curve25519"]
    ssh.reach(server, ssh_servers.account)
    before = server.log.count("kex: algorithm: curve25519-sha256")
    again = "[...document.querySelectorAll('#actions button')].find(({textContent}) => textContent === 'SSH')"
    # A view that is left before it is loaded begins no session, so each has a turn of its own.
    ssh.window.value(
        f"(async () => {{ for (let number = 1; number < {SESSIONS}; number++) {{ {again}.click(); "
        f"while ({STATES}.length <= number) await new Promise(requestAnimationFrame); }} }})()"
    )
    ssh.window.wait(f"{STATES}.length === {SESSIONS} && {STATES}.every((state) => state !== 'connecting')")
    assert ssh.window.value(STATES) == ["sign-in"] * SESSIONS
    assert server.log.count("kex: algorithm: curve25519-sha256") - before == SESSIONS - 1
    ssh.assert_nothing_foreign()


def test_keys_are_changed_by_the_page(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """After every MiB both ways, with files on their way and a shell that answers."""
    server, account = ssh_servers["all"], ssh_servers.account
    original = tmp_path / "ballast"
    original.write_bytes(os.urandom(8 * MiB))
    ssh.reach(server, account)
    ssh.window.value(
        f"localStorage.setItem('portofcall.ssh', {json.dumps(json.dumps({'rekeyMebibytes': 1}))})"
    )
    ssh.dial(server, account, forget=False)
    ssh.wait_for_state("sign-in")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()
    ssh.window.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    changes = [server.log.count("SSH2_MSG_NEWKEYS received")]
    upload(ssh, original, "ballast up")
    assert "SHA-256 equal" in transferred(ssh, "done")
    changes.append(server.log.count("SSH2_MSG_NEWKEYS received"))
    download(ssh, "ballast up")
    assert "SHA-256 equal" in transferred(ssh, "done")
    changes.append(server.log.count("SSH2_MSG_NEWKEYS received"))
    assert changes[1] - changes[0] >= 4, changes
    assert changes[2] - changes[1] >= 4, changes
    saved = tmp_path / "ballast up"
    until(lambda: saved.is_file() and saved.stat().st_size == 8 * MiB)
    assert sha256(saved) == sha256(account.home / "ballast up") == sha256(original)
    ssh.window.value(f"{ssh.find('.xterm-helper-textarea')}.focus()")
    ssh.window.type(f"echo still''here{ENTER}")
    ssh.wait_for_screen("stillhere")
    ssh.assert_nothing_foreign()
