"""The examples for applications in the client's documentation run, against a real gateway."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.gateway import LOOPBACK, gateway_process
from tests.e2e.support import exchange, running, until, web
from tests.e2e.wsclient import DEADLINE
from tests.support import python_blocks

pytestmark = pytest.mark.slow


def adapt(example: str, **ports: int) -> str:
    """Put the ports of the test into an example; all that are named must be there."""
    for shown, port in ports.items():
        assert shown.strip("_") in example
        example = example.replace(shown.strip("_"), str(port))
    return example


def test_an_http_client_and_a_forwarder(tmp_path: Path) -> None:
    """Twisted's Agent prints the page; the forwarder prints where it listens, and connects from there."""
    (agent,) = python_blocks("docs/client.md")
    (forwarder,) = python_blocks("docs/forwarding.md")
    with (
        gateway_process(tmp_path, *LOOPBACK, "--allow", "localhost") as gateway,
        web(tmp_path) as web_port,
    ):
        code = adapt(agent, _8080=gateway.port, _8081=web_port)
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=DEADLINE, check=False
        )
        assert done.stdout == b"200 b'a page\\n'\n", done.stderr
        code = adapt(forwarder, _8080=gateway.port, _5433=0, _5432=web_port, _1081=0)
        log = tmp_path / "log"
        with running([sys.executable, "-u", "-c", code], log) as process:
            until(lambda: log.read_text().count("\n") == 4 or process.poll() is not None)
            ports = re.findall(r"IPv4Address\(.*'127\.0\.0\.1', port=(\d+)\)", log.read_text())
            assert len(ports) == 2, log.read_text()
            assert exchange(int(ports[0]), b"GET / HTTP/1.0\r\n\r\n").endswith(b"a page\n")
