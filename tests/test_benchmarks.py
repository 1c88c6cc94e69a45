"""The benchmarks measure what they say, notice wrong bytes, and compare fairly."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.contestants import DIRECT, OURS
from tests.benchmarks.programs import LoadFailed, Programs
from tests.benchmarks.report import as_json, as_table, ratios
from tests.benchmarks.rows import ROWS
from tests.e2e.backends import Backend, backend
from tests.e2e.gateway import need
from tests.e2e.wsclient import DEADLINE

ROOT = Path(__file__).parent.parent
MEASURED = {
    "down": {
        "portofcall": [900.0, 1000.0, 1100.0],
        "websocat": [450.0, 1000.0, 500.0],
        "direct": [2000.0] * 3,
    },
    "rtt 1 p50": {"portofcall": [40.0], "websocat": [80.0]},
}


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """The compiled programs, and their backend."""
    need("cc")
    with Programs(tmp_path) as made:
        yield made


def test_ratio_is_the_median_of_those_of_the_rounds() -> None:
    """A round in which the machine was busy slowed both down."""
    assert ratios(MEASURED["down"], "portofcall") == {"websocat": 2.0, "direct": 0.5}
    assert ratios({"websocat": [1.0]}, "portofcall") == {}


def test_table_has_a_line_for_each_figure_that_was_measured() -> None:
    """With medians, the ratio to each of the others, and the load's share of a core."""
    lines = as_table(MEASURED, {"down": {"portofcall": [0.25]}}, "portofcall").splitlines()
    assert [line.split() for line in lines] == [
        ["portofcall", "websocat", "direct", "/", "websocat", "load"],
        ["down", "(MB/s)", "1000", "500", "2000", "2.00", "25%"],
        ["rtt", "1", "p50", "(us)", "40.0", "80.0", "-", "0.50", "-"],
    ]


def test_json_has_all_rounds() -> None:
    """And what they mean."""
    figure = as_json(MEASURED, "portofcall")["rtt 1 p50"]
    assert figure == {
        "unit": "us",
        "better": "less",
        "rounds": {"portofcall": [40.0], "websocat": [80.0]},
        "median": {"portofcall": 40.0, "websocat": 80.0},
        "ratio": {"websocat": 0.5},
    }


def lie(server: Backend) -> None:
    """Send everything back with one bit wrong."""
    while data := server.connection.recv(4096):
        server.connection.sendall(bytes([*data[:-1], data[-1] ^ 1]))


def test_client_notices_a_wrong_bit(programs: Programs) -> None:
    """What is fast and wrong is not measured."""
    with backend(lie) as liar, pytest.raises(LoadFailed, match="the echo is not what was sent"):
        programs.run("echo", liar.port, "-", seconds=0.1, tunnels=1, size=64)


def test_backend_notices_a_wrong_bit(programs: Programs) -> None:
    """It ends, and so does the load that waits for it."""
    with socket.create_connection(("127.0.0.1", programs.backend_port), DEADLINE) as peer:
        peer.sendall(b"u" + bytes(4096))
        assert peer.recv(1) == b""
    with pytest.raises(LoadFailed, match="connect"):
        programs.run("up", programs.backend_port, "-", seconds=0.1, tunnels=1, size=4096)


@pytest.mark.parametrize("load", ["down", "up", "echo", "open"])
def test_each_load_runs_over_plain_tcp(programs: Programs, load: str) -> None:
    """The limit that gateways are compared with; each tells how much of a core it took itself."""
    measured = programs.run(load, programs.backend_port, "-", seconds=0.1, tunnels=2, size=64)
    assert measured["seconds"] >= 0.1
    assert measured.get("bytes", measured.get("count")) > 0
    assert 0 <= measured["cpu_share"] <= 1.1


@pytest.mark.slow
def test_every_row_is_measured_against_the_gateway(tmp_path: Path) -> None:
    """By the command of the docs; what it prints is JSON."""
    need("cc")
    command = [sys.executable, "-m", "tests.benchmarks", "--json", "--rounds=1", "--seconds=0.1"]
    command.append(f"--against={OURS.name},{DIRECT.name}")
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout)["figures"]
    assert set(figures) == {figure.name for row in ROWS for figure in row.figures}
    for name, figure in figures.items():
        assert figure["median"][OURS.name] > 0, name
