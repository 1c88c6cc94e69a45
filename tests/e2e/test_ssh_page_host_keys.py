"""Host keys in the page: no credential leaves it for a server whose key was not accepted."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.backends import closed_port
from tests.e2e.gateway import need
from tests.e2e.page import needs_page
from tests.e2e.ssh_account import fingerprint
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import PANEL, SshView
from tests.e2e.wsclient import DEADLINE

pytestmark = [pytest.mark.slow, needs_page]

STORED = "localStorage.getItem('portofcall.known-hosts')"


def test_unknown_key_is_asked_before_any_credential_is_sent(ssh: SshView, ssh_servers: SshServers) -> None:
    """Not even the user's name; the question has the focus, and Cancel ends the connection."""
    server = ssh_servers.start("ed25519", keys="asked")
    try:
        ssh.dial(server, ssh_servers.account)
        ssh.wait_for_state("host-key")
        assert ssh.window.value(f"{ssh.find('.host-key')}.getAttribute('role')") == "alertdialog"
        assert ssh.window.value(f"{ssh.find('.host-key')}.contains(document.activeElement)")
        assert server.fingerprints[0] in ssh.window.value(f"{ssh.find('.fingerprint')}.textContent")
        assert not ssh.window.value(f"{ssh.find('[name=password]')}?.checkVisibility()")
        ssh.press("Cancel")
        ssh.wait_for_state("failed")
        ssh.wait_for_text("The host key was not accepted")
        assert ssh.window.value(STORED) is None
        assert "kex: algorithm" in server.log
        assert "userauth-request" not in server.log
        assert ssh_servers.account.name not in server.log
    finally:
        server.stop()


def test_accepted_key_is_remembered(ssh: SshView, ssh_servers: SshServers) -> None:
    """For this host and port; the next time there is no question."""
    server = ssh_servers["ecdsa"]
    ssh.reach(server, ssh_servers.account)
    public = server.keys[0].with_suffix(".pub").read_text().split()
    assert ssh.window.value(STORED).split() == [f"[127.0.0.1]:{server.port}", *public[:2]]
    ssh.dial(server, ssh_servers.account, forget=False)
    ssh.wait_for_state("sign-in")
    # Another port is another host.
    ssh.dial(ssh_servers["nist"], ssh_servers.account, forget=False)
    ssh.wait_for_state("host-key")


def test_changed_key_is_an_alarm_and_no_credential_is_sent(ssh: SshView, ssh_servers: SshServers) -> None:
    """Until the old entry has been removed by hand."""
    account, port = ssh_servers.account, closed_port()
    old = ssh_servers.start("ed25519", port=port)
    ssh.reach(old, account)
    old.stop()
    new = ssh_servers.start("ed25519", port=port, keys="other")
    try:
        ssh.dial(new, account, forget=False)
        ssh.wait_for_state("changed-key")
        assert new.fingerprints[0] in ssh.window.value(f"{ssh.find('.fingerprint')}.textContent")
        assert old.fingerprints[0] in ssh.window.value(f"{ssh.find('.fingerprint-known')}.textContent")
        buttons = ssh.window.value(f"[...{ssh.find('.host-key')}.querySelectorAll('button')].length")
        assert buttons == 2, "there is no button that accepts it"
        assert "kex: algorithm" in new.log
        assert "userauth-request" not in new.log
        assert account.name not in new.log
        ssh.press("Known hosts")
        ssh.window.wait("document.querySelector('#known-hosts .known-host')?.checkVisibility()")
        ssh.press(f"Remove [127.0.0.1]:{port} ssh-ed25519")
        ssh.window.wait(f"!{STORED}?.trim()")
        ssh.dial(new, account, forget=False)
        ssh.trust(new)
        ssh.wait_for_state("sign-in")
    finally:
        new.stop()


def test_other_type_of_key_is_a_change_too(ssh: SshView, ssh_servers: SshServers) -> None:
    """A gateway that plays the server can choose the type of its key."""
    account, port = ssh_servers.account, closed_port()
    old = ssh_servers.start("ed25519", port=port)
    ssh.reach(old, account)
    old.stop()
    new = ssh_servers.start("rsa", port=port)
    try:
        ssh.dial(new, account, forget=False)
        ssh.wait_for_state("changed-key")
        assert "userauth-request" not in new.log
    finally:
        new.stop()


def test_exported_lines_are_openssh_s(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """ssh accepts the server by them, and refuses another."""
    ssh.window.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    server = ssh_servers["rsa"]
    ssh.reach(server, ssh_servers.account)
    ssh.press("Known hosts")
    ssh.press("Export")
    ssh.window.value("new Promise((resolve) => setTimeout(resolve, 300))")
    (saved,) = tmp_path.iterdir()
    assert f"[127.0.0.1]:{server.port} ssh-rsa " in saved.read_text()
    for kind, expected in (("rsa", "Permission denied"), ("ecdsa", "Host key verification failed")):
        ssh_command = [need("ssh"), "-F", "none", "-p", str(ssh_servers[kind].port)]
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={saved}"]
        arguments = [argument for option in options for argument in ("-o", option)]
        done = subprocess.run(
            [*ssh_command, *arguments, f"{ssh_servers.account.name}@127.0.0.1", "true"],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert expected in done.stderr


def test_imported_lines_answer_the_question(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """As ssh-keyscan prints them; a line that is none is reported."""
    server = ssh_servers["all"]
    lines = subprocess.run(
        [need("ssh-keyscan"), "-p", str(server.port), "127.0.0.1"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    ).stdout
    known = tmp_path / "known_hosts"
    known.write_text(f"# from the operator\n{lines}")
    ssh.dial(ssh_servers["nist"], ssh_servers.account)
    ssh.wait_for_state("host-key")
    ssh.press("Known hosts")
    ssh.window.wait("document.querySelector('#known-hosts-file')")
    chooser = ssh.window.command("Runtime.evaluate", expression="document.querySelector('#known-hosts-file')")
    ssh.window.command("DOM.setFileInputFiles", files=[str(known)], objectId=chooser["result"]["objectId"])
    ssh.window.wait("document.querySelectorAll('#known-hosts li').length === 3")
    text = ssh.window.value("document.querySelector('#known-hosts').textContent")
    assert all(fingerprint(key) in text for key in server.keys)
    ssh.dial(server, ssh_servers.account, forget=False)
    ssh.wait_for_state("sign-in")
    assert ssh.window.value(f"{PANEL}.querySelector('.ssh-status').dataset.hostKey") in server.fingerprints
