"""Neon's driver (@neondatabase/serverless, with ws, in Node) and a PostgreSQL server behind a gateway."""

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, gateway_process, need
from tests.e2e.npm import npm_package
from tests.e2e.postgres import PASSWORD, postgres
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow

#: Runs a step of node/neon.mjs and returns its result.
Driver = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def database() -> Iterator[int]:
    """The port of a PostgreSQL server."""
    with postgres() as port:
        yield port


@pytest.fixture(scope="module")
def refused() -> int:
    """A port that the gateway may go to, where nothing listens."""
    return closed_port()


@pytest.fixture(scope="module")
def shared_gateway(
    database: int, refused: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway to the database."""
    folder = tmp_path_factory.mktemp("gateway")
    with gateway_process(folder, "--allow", f"127.0.0.1:{database},{refused}") as process:
        yield process


@pytest.fixture
def driver(gateway: GatewayProcess, database: int) -> Driver:
    """The driver, told where the gateway is as an application does it."""
    program = npm_package("@neondatabase/serverless").parents[2] / "neon.mjs"

    def run(step: str, user: str = "ada", port: int = database, **settings: Any) -> dict[str, Any]:
        settings.setdefault("database", f"postgres://{user}:{quote(PASSWORD, '')}@127.0.0.1:{port}/postgres")
        settings.setdefault("url", f"127.0.0.1:{gateway.port}/api/connect?")
        settings.setdefault("pipelineConnect", False)
        command = [need("node"), str(program), step, json.dumps(settings)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run


@pytest.mark.parametrize(("user", "pipelined"), [("ada", False), ("bob", False), ("bob", "password")])
def test_queries(driver: Driver, user: str, pipelined: bool | str) -> None:
    """With SCRAM and with a password in the clear, with the first three messages in one turn and without."""
    result = driver("queries", user, pipelineConnect=pipelined)
    assert result == {"result": {"who": user, "next": 42, "failure": "22012", "count": 1000}}


def test_scram_needs_pipelining_off(driver: Driver) -> None:
    """As with any proxy: the driver then sends the password before the server has asked how."""
    failed = driver("queries", "ada", pipelineConnect="password")
    assert failed["error"] == "client selected an invalid SASL authentication mechanism"


def test_large_result_is_whole(driver: Driver) -> None:
    """20 MB, with the server's own digest of it."""
    assert driver("large", rows=20000) == {"result": {"size": 20_640_000, "same": True}}


def test_transactions_of_a_pool(driver: Driver) -> None:
    """What one connection has not committed, another does not see; what is rolled back was never there."""
    result = driver("transactions")["result"]
    assert result["counts"] == [1, 0, 1, 1]
    assert result["together"] == [1, 2, 3, 4, 5]
    assert 2 <= result["opened"] <= 3


def test_drizzle(driver: Driver) -> None:
    """An application that knows the tables only through drizzle-orm."""
    assert driver("drizzle")["result"] == [{"id": 2, "name": "Bergen"}, {"id": 1, "name": "Genoa"}]


def test_close_codes_are_not_shown(driver: Driver, gateway: GatewayProcess, refused: int) -> None:
    """Of /api/connect the driver shows none of its reasons; the log of the gateway has them."""
    for port, reason in ((refused, "refused"), (9, "blocked")):
        assert driver("queries", port=port)["error"] == "Connection terminated unexpectedly"
        gateway.wait_for_log(rf"127\.0\.0\.1:{port}\b.*{reason}")
