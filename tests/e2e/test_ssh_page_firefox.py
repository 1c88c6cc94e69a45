"""SSH in the page in Firefox, which has neither WebSocketStream nor Chromium's timing."""

from collections.abc import Iterator

import pytest

from tests.e2e.firefox import Firefox, firefox
from tests.e2e.gateway import GatewayProcess
from tests.e2e.page import needs_page
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView

pytestmark = [pytest.mark.slow, needs_page]

#: Collects what the policy forbids, from now on.
WATCH = (
    "window.violations = [], document.addEventListener('securitypolicyviolation', "
    "({effectiveDirective, blockedURI}) => window.violations.push(`${effectiveDirective} ${blockedURI}`))"
)


@pytest.fixture(scope="module")
def foxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """One window for the tests of this module."""
    with firefox(tmp_path_factory.mktemp("firefox")) as window:
        yield window


def test_shell(foxes: Firefox, gateway: GatewayProcess, ssh_servers: SshServers) -> None:
    """The host key is asked about, Ed25519 and Curve25519 are there, and 27 MB of output are shown."""
    server, account = ssh_servers["curve25519"], ssh_servers.account
    ssh = SshView(foxes, f"http://127.0.0.1:{gateway.port}/")
    ssh.dial(server, account)
    foxes.value(f"{WATCH}, undefined")
    assert "(ED25519)" in ssh.trust(server)
    ssh.wait_for_state("sign-in")
    ssh.sign_in(account.password)
    ssh.wait_for_prompt()
    ssh.enter(r"printf '\033[48;2;1;2;3mtrue\033[0m grüße 世界\n'")
    ssh.wait_for_screen(r"\ntrue grüße 世界")
    ssh.enter("head -c 20000000 /dev/zero | base64; echo DO''NE")
    ssh.wait_for_screen("DONE", 120)
    ssh.enter("exit 42")
    assert "Exit status 42" in ssh.end()
    assert foxes.value("window.violations") == []
    assert foxes.log() == []
