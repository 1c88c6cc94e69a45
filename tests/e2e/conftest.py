"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that goes to every port of 127.0.0.1 and [::1], shared by the tests of a module."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    with gateway_process(folder, *LOOPBACK, "--allow", "::1", "--connect-timeout", "1") as process:
        yield process
