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
    """The driver, with `wsProxy` as a string, as an application has it; with ``url`` it is a function."""
    program = npm_package("@neondatabase/serverless").parents[2] / "neon.mjs"

    def run(step: str, user: str = "ada", port: int = database, **settings: Any) -> dict[str, Any]:
        settings.setdefault("database", f"postgres://{user}:{quote(PASSWORD, '')}@127.0.0.1:{port}/postgres")
        settings.setdefault("address", f"127.0.0.1:{gateway.port}/v1")
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


def test_function_form(driver: Driver, gateway: GatewayProcess) -> None:
    """An application may also ask for the gateway's own /api/connect."""
    url = f"127.0.0.1:{gateway.port}/api/connect?"
    assert driver("queries", url=url, address=None)["result"]["next"] == 42


@pytest.mark.parametrize(("status", "slug"), [(403, "blocked"), (502, "refused")])
def test_status_of_a_failure_is_shown(
    driver: Driver, gateway: GatewayProcess, refused: int, status: int, slug: str
) -> None:
    """The developer's message has it; the gateway's log has the reason."""
    port = refused if slug == "refused" else 9
    failed = driver("queries", port=port)["error"]
    assert f"Unexpected server response: {status}" in failed
    gateway.wait_for_log(rf"127\.0\.0\.1:{port}\b.*{slug}")
