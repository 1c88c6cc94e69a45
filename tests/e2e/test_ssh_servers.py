"""The SSH servers of the tests are what they are said to be, as OpenSSH's own client finds them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.gateway import need
from tests.e2e.ssh_servers import BANNER, SshServer, SshServers
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow

#: What asks for a password asks this.
ASKED = """#!/bin/sh
case $1 in
    *"Verification code"*) printf '%s\\n' "$CODE" ;;
    *) printf '%s\\n' "$PASSWORD" ;;
esac
"""


def log_in(
    servers: SshServers, server: SshServer, folder: Path, *options: str, command: str = "echo ahoy; exit 3"
) -> subprocess.CompletedProcess[str]:
    """Run a command there, and return what became of it."""
    account, asker = servers.account, folder / "asker"
    asker.write_text(ASKED)
    asker.chmod(0o700)
    answers = {"PASSWORD": account.password, "CODE": account.code()}
    ssh = [need("ssh"), "-F", "none", "-v", "-p", str(server.port), "-o", "StrictHostKeyChecking=accept-new"]
    known = ["-o", f"UserKnownHostsFile={folder / 'known_hosts'}", "-o", "IdentitiesOnly=yes", *options]
    return subprocess.run(
        [*ssh, *known, f"{account.name}@127.0.0.1", command],
        env=os.environ | answers | {"SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("all", "host key algorithm: ssh-ed25519"),
        ("ed25519", "host key algorithm: ssh-ed25519"),
        ("ecdsa", "host key algorithm: ecdsa-sha2-nistp256"),
        ("rsa", "host key algorithm: rsa-sha2-512"),
        ("banner", BANNER),
        ("hardened", "client->server cipher: aes256-ctr MAC: hmac-sha2-256-etm@openssh.com"),
        ("curve25519", "kex: algorithm: sntrup761x25519-sha512@openssh.com"),
        ("nist", "kex: algorithm: ecdh-sha2-nistp256"),
        ("ctr", "client->server cipher: aes256-ctr"),
        ("chacha20", "client->server cipher: chacha20-poly1305@openssh.com"),
    ],
)
def test_password(ssh_servers: SshServers, tmp_path: Path, kind: str, found: str) -> None:
    """The session is negotiated as the server's name says."""
    done = log_in(ssh_servers, ssh_servers[kind], tmp_path)
    assert (done.returncode, done.stdout) == (3, "ahoy\n"), done.stderr
    assert found in done.stderr


def test_two_prompts_of_pam(ssh_servers: SshServers, tmp_path: Path) -> None:
    """The password, then a one-time code."""
    done = log_in(ssh_servers, ssh_servers["pam"], tmp_path)
    assert (done.returncode, done.stdout) == (3, "ahoy\n"), done.stderr
    assert 'using "keyboard-interactive"' in done.stderr


def test_key_then_password(ssh_servers: SshServers, tmp_path: Path) -> None:
    """Neither alone is enough."""
    key = ssh_servers.key("id_ed25519", "ed25519")
    ssh_servers.authorize(key)
    server = ssh_servers["in turn"]
    both = log_in(ssh_servers, server, tmp_path, "-i", str(key))
    assert (both.returncode, both.stdout) == (3, "ahoy\n"), both.stderr
    for method in ("publickey", "password"):
        alone = log_in(
            ssh_servers, server, tmp_path, "-i", str(key), "-o", f"PreferredAuthentications={method}"
        )
        assert alone.returncode == 255
        assert "Permission denied" in alone.stderr


def test_keys_change_within_a_session(ssh_servers: SshServers, tmp_path: Path) -> None:
    """After every MiB."""
    command = "head -c 5000000 /dev/zero | base64 | wc -c; head -c 5000000 /dev/zero"
    done = log_in(ssh_servers, ssh_servers["rekey"], tmp_path, command=command)
    assert done.returncode == 0
    assert done.stderr.count("SSH2_MSG_NEWKEYS received") > 4
