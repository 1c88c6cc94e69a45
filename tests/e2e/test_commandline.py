"""The command line shows its options, and rejects invalid ones with one line."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.gateway import LOOPBACK, TWISTD, gateway_process
from tests.e2e.support import twistd
from tests.e2e.wsclient import DEADLINE, WebSocketClient


def test_twistd_finds_the_plugin_in_any_directory(tmp_path: Path) -> None:
    """Not only in the checkout."""
    done = twistd(tmp_path, "--help")
    assert done.returncode == 0
    assert "portofcall" in done.stdout


def test_help_shows_every_option(tmp_path: Path) -> None:
    """In groups, with defaults."""
    done = twistd(tmp_path, "portofcall", "--help")
    assert done.returncode == 0
    for option in ("listen", "allow", "deny", "high-water", "max-message", "connect-timeout", "dns-timeout"):
        assert f"  --{option} " in done.stdout
    assert "tcp:8080:interface=127.0.0.1" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--high-water", "banana"),
        pytest.param(("--connect-timeout", "-1"), marks=pytest.mark.slow),
        pytest.param(("--allow", "10.0.0.1/8:x"), marks=pytest.mark.slow),
        pytest.param(("--listen", "nonsense:1"), marks=pytest.mark.slow),
        pytest.param(("--demo", "--allow=public"), marks=pytest.mark.slow),
    ],
)
def test_invalid_option_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """On standard error, with the option's name, and status 1."""
    done = twistd(tmp_path, "-n", "portofcall", *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert arguments[0] in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_start_without_nvx_needs_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody expects a gateway that is about 100 times slower."""
    monkeypatch.setenv("AUTOBAHN_USE_NVX", "0")
    done = twistd(tmp_path, "-n", "portofcall")
    assert done.returncode == 1
    assert "--without-nvx: Autobahn's NVX is missing or off" in done.stderr
    assert "Traceback" not in done.stderr
    with gateway_process(tmp_path, "--without-nvx", *LOOPBACK) as gateway, backend(echo) as server:
        with WebSocketClient(gateway.port, server.query) as client:
            client.send(b"slow")
            assert client.read(4) == b"slow"
            client.close()
            client.receive()


@pytest.mark.slow
def test_exposed_endpoint_that_listens_later_stops_the_gateway(tmp_path: Path) -> None:
    """A plugin's endpoint reports its port when the reactor runs; by then the start has succeeded."""
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "later_endpoint.py").write_text(LATER_ENDPOINT)
    command = [str(TWISTD), "-n", "--pidfile=", "portofcall", "--listen", "later:8080"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert output.count("--listen later:8080: this address is reachable from other machines, but no ") == 1
    assert "listening on" not in output
    assert "Traceback" not in output


LATER_ENDPOINT = """
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.internet.task import deferLater
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IStreamServerEndpoint)
class Later:
    def __init__(self, reactor):
        self.reactor = reactor

    def listen(self, factory):
        return deferLater(self.reactor, 0, TCP4ServerEndpoint(self.reactor, 0).listen, factory)


@implementer(IPlugin, IStreamServerEndpointStringParser)
class Parser:
    prefix = "later"

    def parseStreamServer(self, reactor, *arguments):
        return Later(reactor)


parser = Parser()
"""
