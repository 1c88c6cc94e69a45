"""ssh, scp, rsync and git through the installed client, against OpenSSH's server."""

import hashlib
import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.gateway import GatewayProcess, need
from tests.e2e.sshd import SSHServer, proxy_command
from tests.e2e.support import until
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow
MiB = 1 << 20


def run(*command: object, **environ: str) -> bytes:
    """Run a program; return its output. It must succeed."""
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=2 * DEADLINE,
        check=False,
        env=os.environ | environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sha256(path: Path) -> str:
    """Return the checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Return what is in a folder: the mode of each path, with a link's target or a file's checksum."""
    found = {}
    for path in folder.rglob("*"):
        what = os.readlink(path) if path.is_symlink() else sha256(path) if path.is_file() else ""
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {what}"
    return found


def test_ssh_has_the_output_and_the_status_of_its_command(gateway: GatewayProcess, sshd: SSHServer) -> None:
    """Also of a command that reads to the end before it writes."""
    data = os.urandom(3_000_000)
    done = subprocess.run(
        sshd.through(proxy_command(gateway), "sha256sum; exit 3"),
        input=data,
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_ssh_to_a_blocked_target_ends_at_once_with_the_reason(
    gateway: GatewayProcess, sshd: SSHServer
) -> None:
    """It does not hang, and shows what the gateway said."""
    command = sshd.through(proxy_command(gateway, host="10.0.0.1"), "true")
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, timeout=DEADLINE, check=False)
    assert time.monotonic() - began < 5
    assert done.returncode == 255
    assert b"portofcall connect: blocked: 10.0.0.1 is private" in done.stderr


def test_scp_copies_200_mib_there_and_back(gateway: GatewayProcess, sshd: SSHServer, tmp_path: Path) -> None:
    """With the same checksum at each end."""
    original, there, back = tmp_path / "original", tmp_path / "there", tmp_path / "back"
    with original.open("wb") as file:
        for _ in range(200):
            file.write(os.urandom(MiB))
    scp = (need("scp"), "-q", *sshd.options(proxy_command(gateway)), "-P", sshd.port)
    run(*scp, original, f"root@127.0.0.1:{there}")
    run(*scp, f"root@127.0.0.1:{there}", back)
    assert sha256(there) == sha256(original)
    assert sha256(back) == sha256(original)


def test_rsync_copies_a_tree_there_and_back(gateway: GatewayProcess, sshd: SSHServer, tmp_path: Path) -> None:
    """With every mode, link and checksum; later only what has changed goes through."""
    original, there, back = (tmp_path / name for name in ("original", "there", "back"))
    for number in range(300):
        path = original / f"folder {number % 17}" / "näme" / f"file-{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 97))
    (original / "large").write_bytes(os.urandom(16 * MiB))
    (original / "large").chmod(0o640)
    (original / "empty").mkdir()
    (original / "link").symlink_to("large")
    ssh = shlex.join([need("ssh"), *sshd.options(proxy_command(gateway)), "-p", str(sshd.port)])
    rsync = (need("rsync"), "-a", "--delete", "--stats", "-e", ssh)
    run(*rsync, f"{original}/", f"root@127.0.0.1:{there}/")
    run(*rsync, f"root@127.0.0.1:{there}/", f"{back}/")
    assert tree(there) == tree(original)
    assert tree(back) == tree(original)
    with (original / "large").open("r+b") as file:
        file.write(b"changed")
    (original / "link").unlink()
    stats = run(*rsync, f"{original}/", f"root@127.0.0.1:{there}/")
    assert b"Number of regular files transferred: 1\n" in stats
    assert tree(there) == tree(original)


def test_git_clones_and_pushes(gateway: GatewayProcess, sshd: SSHServer, tmp_path: Path) -> None:
    """Every object arrives; a push comes back."""
    git, server, clone = need("git"), tmp_path / "server.git", tmp_path / "clone"
    environ = {
        "GIT_SSH_COMMAND": shlex.join([need("ssh"), *sshd.options(proxy_command(gateway))]),
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    first = tmp_path / "first"
    run(git, "init", "-q", "-b", "main", first)
    for number in range(3):
        (first / "file").write_bytes(os.urandom(MiB))
        run(git, "-C", first, "add", "file")
        run(git, "-C", first, "commit", "-q", "-m", f"commit {number}", **environ)
    run(git, "clone", "-q", "--bare", first, server)
    run(git, "clone", "-q", f"ssh://root@127.0.0.1:{sshd.port}{server}", clone, **environ)
    assert run(git, "-C", clone, "rev-list", "--count", "main") == b"3\n"
    run(git, "-C", clone, "fsck", "--strict")
    assert sha256(clone / "file") == sha256(first / "file")
    run(git, "-C", clone, "commit", "-q", "--allow-empty", "-m", "back", **environ)
    run(git, "-C", clone, "push", "-q", "origin", "main", **environ)
    assert run(git, "-C", server, "rev-parse", "main") == run(git, "-C", clone, "rev-parse", "main")


def test_the_printed_ssh_config_shares_one_tunnel(
    gateway: GatewayProcess, sshd: SSHServer, tmp_path: Path
) -> None:
    """What `ssh-config` prints is enough; a second session needs no tunnel; a refusal has its reason."""
    url, client, own = f"ws://127.0.0.1:{gateway.port}", need("portofcall"), tmp_path / "own"
    hosts = ("--host", "127.0.0.1", "--host", "10.0.0.1")
    block = run(client, "ssh-config", url, *hosts, "--program", client).decode()
    assert f"ProxyCommand {client} connect {url} %h %p" in block
    assert "~/.ssh/portofcall-%C" in block
    config = tmp_path / "config"
    config.write_text(block.replace("~/.ssh/portofcall-%C", str(own)))
    known = f"UserKnownHostsFile={sshd.folder / 'known_hosts'}"
    options = ("-F", str(config), "-i", str(sshd.folder / "id"), "-o", "BatchMode=yes", "-o", known)
    ssh = (need("ssh"), *options, "-p", str(sshd.port))
    opened = gateway.log.count(" opened ")
    pipe = subprocess.PIPE
    with subprocess.Popen([*ssh, "root@127.0.0.1", "cat"], stdin=pipe, stdout=pipe) as first:
        until(own.is_socket)
        assert run(*ssh, "root@127.0.0.1", "echo second") == b"second\n"
        assert gateway.log.count(" opened ") == opened + 1
        assert first.communicate(b"first", DEADLINE)[0] == b"first"
    assert first.returncode == 0
    refused = subprocess.run([*ssh, "10.0.0.1"], capture_output=True, timeout=DEADLINE, check=False)
    assert refused.returncode == 255
    assert b"portofcall connect: blocked: 10.0.0.1 is private" in refused.stderr
