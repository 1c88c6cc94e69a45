"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Browser, browser
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process
from tests.e2e.page import Page
from tests.e2e.ssh_account import account
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView
from tests.e2e.sshd import SSHServer, ssh_server


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The process of `gateway`."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    with gateway_process(folder, *LOOPBACK, "--allow", "::1", "--connect-timeout", "1") as process:
        yield process
        # One signal would wait for tunnels that tests have left behind.
        process.process.terminate()
        process.wait_for_log("Received SIGTERM")


@pytest.fixture
def gateway(shared_gateway: GatewayProcess) -> Iterator[GatewayProcess]:
    """A gateway that goes to every port of 127.0.0.1 and [::1], shared by all tests that need no other."""
    yield shared_gateway
    shared_gateway.assert_log_is_clean()


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for the tests of one module."""
    with browser(tmp_path_factory.mktemp("browser")) as window:
        yield window


@pytest.fixture
def page(window: Browser, gateway: GatewayProcess) -> Page:
    """The page of a gateway that goes to this machine."""
    return Page(window, f"http://127.0.0.1:{gateway.port}/")


@pytest.fixture
def ssh(window: Browser, gateway: GatewayProcess) -> SshView:
    """The SSH view in the page of a gateway that goes to 127.0.0.1."""
    return SshView(window, f"http://127.0.0.1:{gateway.port}/")


@pytest.fixture(scope="session")
def ssh_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServers]:
    """Servers, and an account that all of them know."""
    with account() as made:
        servers = SshServers(tmp_path_factory.mktemp("sshd"), made)
        try:
            yield servers
        finally:
            servers.stop()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """OpenSSH's server, shared by all tests."""
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server
