"""A user of this machine with a known password, made for the tests and removed after them."""

import base64
import hashlib
import hmac
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.gateway import need
from tests.e2e.support import until

#: No user of a real machine has this prefix; the process id of the test run follows.
_PREFIX = "pocpilot"
_TOTP_SECONDS = 30


@dataclass(frozen=True)
class Account:
    """The user.

    Attributes:
        name: nothing else that travels through a gateway contains it.
        password: more than ASCII, and a quote.
        home: an absolute path that the user owns.
        uid: of all its processes.
        secret: of its one-time codes (RFC 6238), in base32.
    """

    name: str
    password: str
    home: Path
    uid: int
    secret: str

    def code(self) -> str:
        """Return the one-time code of now."""
        count = struct.pack(">Q", int(time.time()) // _TOTP_SECONDS)
        digest = hmac.digest(base64.b32decode(self.secret), count, "sha1")
        start = digest[-1] & 15
        number = int.from_bytes(digest[start : start + 4]) & 0x7FFF_FFFF
        return f"{number % 1_000_000:06}"

    def put(self, name: str, content: str, mode: int = 0o600) -> Path:
        """Write a file into the home, owned by the user."""
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        path.chmod(mode)
        for owned in (path.parent, path):
            os.chown(owned, self.uid, -1)
        return path


@contextmanager
def account(name: str = "") -> Iterator[Account]:
    """Make the user; at the end its processes and its files go with it.

    Args:
        name: that no user of this machine has; without one, a name of this process.
    """
    if os.geteuid():
        assert not os.environ.get("CI"), "CI runs as root"
        pytest.skip("only root can make a user with a password")
    _remove_leftovers()
    name = name or f"{_PREFIX}{os.getpid()}"
    # Not in pytest's own folder, which only root can enter.
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
    try:
        command = [need("useradd"), "--system", "--no-user-group", "--gid", "nogroup", "--shell", "/bin/bash"]
        subprocess.run([*command, "--no-create-home", "--home-dir", str(home), name], check=True)
        try:
            uid = home_uid(name)
            os.chown(home, uid, -1)
            home.chmod(0o755)
            made = Account(name, "pw-über-'1", home, uid, base64.b32encode(os.urandom(20)).decode())
            login = f"{name}:{made.password}\n".encode()
            subprocess.run([need("chpasswd")], input=login, check=True)
            # As google-authenticator(1) writes it.
            made.put(".google_authenticator", f'{made.secret}\n" TOTP_AUTH\n', 0o400)
            yield made
            until(lambda: not _kill_processes(uid))
        finally:
            subprocess.run([need("userdel"), "--force", name], check=True, capture_output=True)
    finally:
        shutil.rmtree(home)


def home_uid(name: str) -> int:
    """Return the id of a user, as /etc/passwd has it now."""
    entries = (line.split(":") for line in Path("/etc/passwd").read_text().splitlines())
    return next(int(entry[2]) for entry in entries if entry[0] == name)


def fingerprint(key: Path) -> str:
    """Return the SHA-256 fingerprint of a key, as ssh-keygen prints it."""
    done = subprocess.run([need("ssh-keygen"), "-lf", str(key)], capture_output=True, check=True, text=True)
    return done.stdout.split()[1]


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _kill_processes(uid: int) -> int:
    """Kill whatever runs as this user, which is no one's but the tests'; return how many there were."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if folder.stat().st_uid == uid:
                os.kill(int(folder.name), signal.SIGKILL)
                found += 1
    return found


def _remove_leftovers() -> None:
    """Remove users of test runs that were killed."""
    for line in Path("/etc/passwd").read_text().splitlines():
        name = line.split(":")[0]
        run = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and run.isdecimal() and not Path(f"/proc/{run}").exists():
            _kill_processes(int(line.split(":")[2]))
            subprocess.run([need("userdel"), "--force", name], check=False, capture_output=True)
