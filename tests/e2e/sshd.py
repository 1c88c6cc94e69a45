"""OpenSSH's server on loopback, and how its programs get there through a gateway."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, need
from tests.e2e.support import running, until


@dataclass(frozen=True)
class SSHServer:
    """An sshd on loopback, and what a client needs to log in."""

    port: int
    folder: Path

    def options(self, proxy_command: str) -> list[str]:
        """Build the options of ssh and scp for this ProxyCommand, without a port."""
        return [
            *("-F", "none", "-i", str(self.folder / "id"), "-o", f"ProxyCommand={proxy_command}"),
            *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
            *("-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}"),
        ]

    def through(self, proxy_command: str, *remote: str) -> list[str]:
        """Build an ssh command with this ProxyCommand."""
        return [need("ssh"), *self.options(proxy_command), "-p", str(self.port), "root@127.0.0.1", *remote]

    def through_websocat(self, gateway: GatewayProcess, remote: str) -> list[str]:
        """Build an ssh command that goes through the gateway with websocat."""
        url = f"ws://127.0.0.1:{gateway.port}/api/connect?host=%h&port=%p"
        return self.through(f"{need('websocat')} -bE '{url}'", remote)


def proxy_command(gateway: GatewayProcess, host: str = "%h") -> str:
    """Build the ProxyCommand that goes through the gateway with the installed client."""
    return f"{need('portofcall')} connect ws://127.0.0.1:{gateway.port} {host} %p"


@contextmanager
def ssh_server(folder: Path) -> Iterator[SSHServer]:
    """Run a server with a host key and an authorized key of its own."""
    program, keygen, port = need("sshd"), need("ssh-keygen"), closed_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "id"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    host_key = (folder / "host.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\n"
        f"AuthorizedKeysFile {folder / 'id.pub'}\nStrictModes no\nUsePAM no\nPidFile none\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
    )
    log = folder / "log"
    with running([program, "-D", "-e", "-f", str(folder / "config")], log):
        until(lambda: "Server listening" in log.read_text())
        yield SSHServer(port, folder)
