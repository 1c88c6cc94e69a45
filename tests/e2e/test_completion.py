"""Tab in a real bash."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.gateway import TWISTD, need
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow


class Terminal:
    """A shell at a terminal.

    Args:
        descriptor: the other end of its terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._shown = ""

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._descriptor, text.encode())

    def expect(self, text: str) -> str:
        """Wait until the terminal shows a text; return what came before it since the last call."""
        deadline = time.monotonic() + DEADLINE
        while text not in self._shown:
            ready, _, _ = select.select([self._descriptor], [], [], deadline - time.monotonic())
            assert ready, self._shown
            self._shown += os.read(self._descriptor, 4096).decode()
        before, _, self._shown = self._shown.partition(text)
        return before


@contextmanager
def bash(folder: Path) -> Iterator[Terminal]:
    """Run a bash that completes `portofcall` as the documentation says, in a folder."""
    ours, theirs = pty.openpty()
    environ = {
        "PATH": f"{TWISTD.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TERM": "dumb",
        "PS1": "$ ",
    }
    command = [need("bash"), "--norc", "--noprofile", "-i"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, cwd=folder, start_new_session=True
    ) as shell:
        os.close(theirs)
        try:
            terminal = Terminal(ours)
            terminal.type('bind "set enable-bracketed-paste off"; bind "set page-completions off"\n')
            terminal.type('eval "$(register-python-argcomplete portofcall)"; echo re""ady\n')
            terminal.expect("ready")
            yield terminal
        finally:
            shell.kill()
            os.close(ours)


def test_tab_completes_commands_options_values_and_gateways(tmp_path: Path) -> None:
    """Also a gateway's name, from the configuration, and a file."""
    config = tmp_path / ".config" / "portofcall" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[gateway.harbour]\nurl = "wss://gw.example"\n')
    (tmp_path / "authorities.pem").touch()
    with bash(tmp_path) as terminal:
        terminal.type("portofcall conn\t")
        terminal.expect("portofcall connect ")
        terminal.type("--cac\t")
        terminal.expect("--cacert ")
        terminal.type("auth\t")
        terminal.expect("authorities.pem ")
        terminal.type("--log-format j\t")
        terminal.expect("json ")
        terminal.type("har\t")
        terminal.expect("harbour ")
        terminal.type("\x15portofcall \t\t")
        shown = terminal.expect("tunnels")
        assert "banner" in shown
        assert "--version" not in shown
