"""Copying files over an SSH session of the page."""

import os
import time
from pathlib import Path

import pytest

from tests.e2e.backends import MiB
from tests.e2e.page import needs_page
from tests.e2e.ssh_account import sha256
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView, download, transferred, upload
from tests.e2e.support import until

pytestmark = [pytest.mark.slow, needs_page]

SIZE = 20 * MiB


def test_20_mib_up_and_down_with_rekeys(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """The same SHA-256 here, there and here again, while the shell goes on."""
    server, home = ssh_servers["rekey"], ssh_servers.account.home
    original = tmp_path / "it's a file.bin"
    original.write_bytes(os.urandom(SIZE))
    expected = sha256(original)
    ssh.log_in(server, ssh_servers.account)
    exchanges = server.log.count("SSH2_MSG_NEWKEYS received")
    begun = time.monotonic()
    upload(ssh, original, "it's up.bin")
    text = transferred(ssh, "done")
    print(f"20 MiB up, with the check: {time.monotonic() - begun:.1f} s")
    assert "SHA-256 equal" in text
    assert expected in text
    assert sha256(home / "it's up.bin") == expected
    up = server.log.count("SSH2_MSG_NEWKEYS received") - exchanges
    assert up > 10
    folder = tmp_path / "downloads"
    folder.mkdir()
    ssh.window.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    begun = time.monotonic()
    download(ssh, "it's up.bin")
    text = transferred(ssh, "done")
    print(f"20 MiB down, with the check: {time.monotonic() - begun:.1f} s")
    assert "SHA-256 equal" in text
    saved = folder / "it's up.bin"
    until(lambda: saved.is_file() and saved.stat().st_size == SIZE)
    assert sha256(saved) == expected
    assert server.log.count("SSH2_MSG_NEWKEYS received") - exchanges - up > 10
    ssh.window.value(f"{ssh.find('.xterm-helper-textarea')}.focus()")
    ssh.enter("echo still''here")
    ssh.wait_for_screen("stillhere")
    ssh.assert_nothing_foreign()


def test_27_mb_of_output_of_a_command(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """Downloaded over a channel of its own, with the heap bounded."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    ssh_servers.account.put("flood", "AAAA" * 6_750_000)
    folder = str(tmp_path)
    ssh.window.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=folder)
    before = ssh.heap_bytes()
    heaps = [before]
    begun = time.monotonic()
    download(ssh, "flood")
    row = ssh.find(".transfers li:first-child")
    while ssh.window.value(f"{row}?.dataset.state !== 'done'"):
        heaps.append(ssh.heap_bytes())
        assert time.monotonic() < begun + 60
    print(f"27 MB down: {time.monotonic() - begun:.1f} s, heap at most {max(heaps) / MiB:.0f} MiB")
    assert max(heaps) < before + 80 * MiB, [heap // MiB for heap in heaps]
    until(lambda: (tmp_path / "flood").is_file() and (tmp_path / "flood").stat().st_size == 27_000_000)


def test_cancelled_upload_leaves_the_session(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """What had been written is removed, and the shell goes on."""
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(400 * MiB)
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    upload(ssh, path, "large")
    ssh.window.wait(f"{ssh.find('.transfers li:first-child progress')}?.value > 0")
    ssh.window.value(f"{ssh.find('.transfers li:first-child button')}.click()")
    transferred(ssh, "cancelled")
    ssh.window.value(f"{ssh.find('.xterm-helper-textarea')}.focus()")
    ssh.enter("echo still''here")
    ssh.wait_for_screen("stillhere")
    until(lambda: not (ssh_servers.account.home / "large").exists())


def test_paths_that_can_not_be_copied(ssh: SshView, ssh_servers: SshServers, tmp_path: Path) -> None:
    """The server's own sentence is shown."""
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    download(ssh, "no-such-file")
    assert "No such file" in transferred(ssh, "failed")
    path = tmp_path / "small"
    path.write_bytes(b"ahoy")
    upload(ssh, path, "no/such/folder")
    # The shell's own sentence: dash says "Directory nonexistent".
    assert "no/such/folder: " in transferred(ssh, "failed")


def test_existing_file_is_overwritten_only_when_asked(
    ssh: SshView, ssh_servers: SshServers, tmp_path: Path
) -> None:
    """The question names it; what was there stays until it is answered."""
    there = ssh_servers.account.put("there", "old and longer", mode=0o644)
    path = tmp_path / "new"
    path.write_bytes(b"new")
    ssh.log_in(ssh_servers["all"], ssh_servers.account)
    upload(ssh, path, "there")
    assert "there exists already" in transferred(ssh, "failed")
    assert there.read_text() == "old and longer"
    ssh.press("Overwrite")
    ssh.window.wait(f"{ssh.find('.transfers li:first-child')}.dataset.state === 'done'")
    assert there.read_text() == "new"
