"""OpenSSH servers on loopback, each set up in another way."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.e2e.backends import closed_port
from tests.e2e.gateway import need
from tests.e2e.ssh_account import Account, fingerprint
from tests.e2e.support import until
from tests.e2e.wsclient import DEADLINE

BANNER = "Authorised pilots only.\nÜbrigens: <b>no HTML</b>.\n"
_BASE = """
ListenAddress 127.0.0.1
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
AcceptEnv LANG LC_*
PrintMotd no
PrintLastLog no
MaxStartups 100
MaxSessions 100
UseDNS no
LogLevel DEBUG1
Subsystem sftp internal-sftp
"""
_HARDENED = (
    "Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr\n"
    "MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com\n"
    "HostKeyAlgorithms ssh-ed25519,rsa-sha2-512,rsa-sha2-256\n"
)
#: The kinds of host keys of each server, and what its configuration adds to the common one.
KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "all": (("rsa", "ecdsa", "ed25519"), ""),
    "ed25519": (("ed25519",), ""),
    "ecdsa": (("ecdsa",), ""),
    "rsa": (("rsa",), ""),
    "rekey": (("ecdsa", "ed25519"), "RekeyLimit 1M\n"),
    "pam": (("ed25519",), "UsePAM yes\nPasswordAuthentication no\nKbdInteractiveAuthentication yes\n"),
    "in turn": (("ed25519",), "AuthenticationMethods publickey,password\n"),
    "banner": (("ed25519",), "Banner {folder}/banner.txt\n"),
    "hardened": (("rsa", "ed25519"), _HARDENED),
    "curve25519": (("ed25519",), "KexAlgorithms curve25519-sha256,sntrup761x25519-sha512@openssh.com\n"),
    "nist": (("ecdsa",), "KexAlgorithms ecdh-sha2-nistp256\n"),
    "ctr": (("ecdsa", "ed25519"), "Ciphers aes256-ctr\n"),
    "chacha20": (("ed25519",), "Ciphers chacha20-poly1305@openssh.com\n"),
}
#: One secret after the other: the password, then a code.
_PAM = """
auth requisite pam_unix.so nodelay
auth required pam_google_authenticator.so
account required pam_permit.so
session required pam_permit.so
"""


class SshServer:
    """One server, in the foreground.

    Args:
        folder: for its files.
        keys: its host keys.
        settings: in addition to `_BASE`.
        port: where to listen; 0 chooses one.
        program: sshd, or a link to it; PAM's service has its name.

    Attributes:
        port: where it listens, on 127.0.0.1.
        keys: its host keys.
    """

    def __init__(self, folder: Path, keys: list[Path], settings: str, *, port: int = 0, program: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = port or closed_port()
        self.keys = keys
        self._log = folder / "log"
        configuration = folder / "config"
        lines = [f"Port {self.port}\n", *(f"HostKey {key}\n" for key in keys)]
        configuration.write_text("".join(lines) + settings + _BASE)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(lambda: "Server listening" in self.log or self._process.poll() is not None)
        assert self._process.poll() is None, self.log

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors="replace")

    @property
    def fingerprints(self) -> list[str]:
        """The fingerprints of its host keys."""
        return [fingerprint(key) for key in self.keys]

    def sessions(self) -> list[int]:
        """Return the ids of the processes that serve its connections."""
        return _descendants(self._process.pid)

    def signal_sessions(self, number: signal.Signals) -> None:
        """Send a signal to all processes that serve its connections."""
        for process in self.sessions():
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def stop(self) -> None:
        """End it and all of its sessions."""
        sessions = self.sessions()
        self._process.terminate()
        self._process.wait(DEADLINE)
        for process in sessions:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


class SshServers:
    """The servers of `KINDS`, each of which starts when a test wants it.

    Args:
        folder: for their files.
        account: who logs in there.
    """

    def __init__(self, folder: Path, account: Account) -> None:
        self.account = account
        self._folder = folder
        self._running: dict[str, SshServer] = {}
        self._service = Path("/etc/pam.d") / f"{account.name}-sshd"
        self._program = need("sshd")
        Path("/run/sshd").mkdir(exist_ok=True)
        (folder / "banner.txt").write_text(BANNER)
        self._keys: dict[str, Path] = {}

    def __getitem__(self, kind: str) -> SshServer:
        """Return the server of this kind."""
        if kind not in self._running:
            self._running[kind] = self.start(kind)
        return self._running[kind]

    def start(self, kind: str, *, port: int = 0, keys: str = "host") -> SshServer:
        """Start another server of this kind, which its caller stops.

        Args:
            kind: of `KINDS`.
            port: where to listen; 0 chooses one.
            keys: the name of its set of host keys; another name gives other keys.
        """
        types, settings = KINDS[kind]
        return SshServer(
            self._folder / f"{kind}-{port}-{keys}".replace(" ", "-"),
            [self.key(f"{keys}_{type}", type) for type in types],
            settings.format(folder=self._folder),
            port=port,
            program=self._pam_program() if kind == "pam" else self._program,
        )

    def key(self, name: str, type: str, *options: str, passphrase: str = "") -> Path:
        """Make a key, once.

        Args:
            name: of its file.
            type: as ssh-keygen names it.
            options: for ssh-keygen.
            passphrase: that encrypts it; none if empty.
        """
        if name not in self._keys:
            path = self._folder / name
            command = [need("ssh-keygen"), "-q", "-t", type, "-N", passphrase, "-f", str(path), *options]
            subprocess.run(command, check=True)
            self._keys[name] = path
        return self._keys[name]

    def authorize(self, *keys: Path) -> None:
        """Let the account log in with these keys, and no others."""
        lines = (key.with_name(f"{key.name}.pub").read_text() for key in keys)
        self.account.put(".ssh/authorized_keys", "".join(lines))

    def stop(self) -> None:
        """End them all."""
        for server in self._running.values():
            server.stop()
        self._service.unlink(missing_ok=True)

    def _pam_program(self) -> str:
        """Give a link to sshd with a name for which PAM has rules of our own: sshd's service is its name."""
        need("google-authenticator")  # of the same package as the module for PAM
        link = self._folder / self._service.name
        if not link.exists():
            link.symlink_to(self._program)
            self._service.write_text(_PAM)
        return str(link)


def _descendants(process: int) -> list[int]:
    """Return the ids of the children of a process, and theirs."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found
