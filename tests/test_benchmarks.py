"""The benchmarks measure what they claim to, notice wrong bytes, and compare fairly."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.benchmarks import __main__ as command_line
from tests.benchmarks import measure, revisions
from tests.benchmarks.compare import Verdict, compare, ratios
from tests.benchmarks.contestants import CONNECT, DIRECT, FORWARD, HAPROXY, OURS, WEBSOCAT, gateway
from tests.benchmarks.plot import CannotPlot, _times_as_good, plot
from tests.benchmarks.programs import LoadFailed, Programs
from tests.benchmarks.report import FIGURES, as_json, as_table, changes_as_json, changes_as_table
from tests.benchmarks.row import Row
from tests.benchmarks.rows import ROWS
from tests.benchmarks.running import Contestant, NotListening, Running, running
from tests.benchmarks.security import Security
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
#: "down" is 20 % less than before, "rtt 1 p50" 20 % less, which is better.
COMPARED = {
    "down": {"checkout": [800.0] * 5, "old": [1000.0] * 5},
    "rtt 1 p50": {"checkout": [40.0] * 5, "old": [50.0] * 5},
}


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """The compiled programs, and their backend."""
    need("cc")
    with Programs(tmp_path) as made:
        yield made


def git(folder: Path, *words: str) -> str:
    """Run Git in a folder and return its output."""
    settings = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    return subprocess.run(
        ["git", *settings, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of one commit, in place of the checkout."""
    need("git")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "module.py").write_text("committed")
    (folder / ".gitignore").write_text("build/")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First")
    monkeypatch.setattr(revisions, "ROOT", folder)
    return folder


def test_ratios_are_those_of_the_rounds() -> None:
    """A round in which the machine was busy slows both down."""
    assert ratios([900.0, 1000.0, 1100.0], [450.0, 1000.0, 500.0]) == [2.0, 1.0, 2.2]


def test_table_has_a_line_for_each_figure_that_was_measured() -> None:
    """It has medians, the ratio to each of the others, and the load's share of a core."""
    lines = as_table(MEASURED, {"down": {"portofcall": [0.25]}}, "portofcall").splitlines()
    assert [line.split() for line in lines] == [
        ["portofcall", "websocat", "direct", "/", "websocat", "load"],
        ["down", "(MB/s)", "1000", "500", "2000", "2.00", "25%"],
        ["rtt", "1", "p50", "(us)", "40.0", "80.0", "-", "0.50", "-"],
    ]


@pytest.mark.slow
def test_picture_shows_how_much_better_each_figure_is(tmp_path: Path) -> None:
    """Once for light pages and once for dark ones; less of a time is better."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (pip install '.[bench]')")
    lines = {FIGURES[name]: rounds for name, rounds in MEASURED.items()}
    files = plot(lines, "portofcall", tmp_path / "picture")
    assert [path.name for path in files] == ["picture-light.svg", "picture-dark.svg"]
    for path in files:
        drawn = ElementTree.parse(path).getroot()
        texts = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
        assert {"down", "rtt 1 p50", "websocat", "2x"} <= texts
        assert "direct" not in texts
    assert _times_as_good(FIGURES["rtt 1 p50"], MEASURED["rtt 1 p50"], "portofcall") == {"websocat": 2.0}


def test_picture_of_nothing_is_an_error(tmp_path: Path) -> None:
    """No empty file is left."""
    with pytest.raises(CannotPlot, match="no figure was measured with a peer"):
        plot({FIGURES["down"]: {"portofcall": [1.0], "direct": [1.0]}}, "portofcall", tmp_path / "picture")
    assert not list(tmp_path.iterdir())


def test_json_has_all_rounds() -> None:
    """It also has their unit, median and ratio."""
    figure = as_json(MEASURED, "portofcall")["rtt 1 p50"]
    assert figure == {
        "unit": "us",
        "better": "less",
        "rounds": {"portofcall": [40.0], "websocat": [80.0]},
        "median": {"portofcall": 40.0, "websocat": 80.0},
        "ratio": {"websocat": 0.5},
    }


@pytest.mark.parametrize(
    ("figure", "new", "verdict"),
    [
        ("down", [94.0] * 5, Verdict.WORSE),
        ("down", [96.0] * 5, Verdict.SAME),
        ("down", [104.0] * 5, Verdict.SAME),
        ("down", [106.0] * 5, Verdict.BETTER),
        ("rtt 1 p50", [106.0] * 5, Verdict.WORSE),
        ("rtt 1 p50", [104.0] * 5, Verdict.SAME),
        ("rtt 1 p50", [94.0] * 5, Verdict.BETTER),
        # A start may take up to 1.15 times as long.
        ("start", [114.0] * 5, Verdict.SAME),
        ("start", [116.0] * 5, Verdict.WORSE),
        # The median is 10 % worse; the deciles are 8.8 % and 11 % apart.
        ("down", [84.0, 88.0, 90.0, 92.0, 96.0], Verdict.WORSE),
        ("down", [82.5, 87.5, 90.0, 92.5, 97.5], Verdict.NOISE),
        # The median is 1 % worse, but a change of 5 % would not be noticed either.
        ("down", [80.0, 90.0, 99.0, 100.0, 120.0], Verdict.NOISE),
    ],
)
def test_a_change_counts_beyond_the_tolerance_and_the_spread(
    figure: str, new: Sequence[float], verdict: Verdict
) -> None:
    """Less than that is no change, or noise if the rounds are too far apart to tell."""
    assert compare(FIGURES[figure], new, [100.0] * 5).verdict is verdict


def test_a_machine_that_slows_down_makes_no_row_worse() -> None:
    """Each round is compared with itself."""
    slower = [100.0, 90.0, 70.0, 50.0, 40.0]
    change = compare(FIGURES["down"], [0.99 * value for value in slower], slower)
    assert change.ratio == pytest.approx(0.99)
    assert change.spread == pytest.approx(0, abs=1e-9)
    assert change.verdict is Verdict.SAME


def test_spread_leaves_out_a_tenth_of_the_rounds_at_each_end() -> None:
    """One disturbed round of eleven moves neither the ratio nor the spread."""
    new = [10.0, 98.0, *[100.0] * 7, 101.0, 500.0]
    change = compare(FIGURES["down"], new, [100.0] * 11)
    assert change.ratio == pytest.approx(1.0)
    assert change.spread == pytest.approx(0.03)


def test_comparison_has_a_line_for_each_figure() -> None:
    """It has both medians, the change, the spread and the verdict."""
    lines = changes_as_table(COMPARED, "checkout", "old").splitlines()
    assert [line.split() for line in lines] == [
        ["old", "checkout", "change", "spread", "verdict"],
        ["down", "(MB/s)", "1000", "800", "-20.0%", "0.0%", "worse"],
        ["rtt", "1", "p50", "(us)", "50.0", "40.0", "-20.0%", "0.0%", "better"],
    ]


def test_comparison_as_json_has_the_verdicts() -> None:
    """It has all that the JSON of the peers has in addition."""
    figure = changes_as_json(COMPARED, "checkout", "old")["down"]
    assert figure.pop("change") == pytest.approx(-0.2)
    assert (figure.pop("spread"), figure.pop("verdict")) == (0, "worse")
    assert figure == as_json(COMPARED, "checkout")["down"]


@pytest.mark.parametrize(("figure", "status"), [("down", 1), ("rtt 1 p50", 0)])
def test_exit_status_of_a_comparison_reports_a_worse_row(
    figure: str,
    status: int,
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A row that is better, or the same, does not count."""
    commit = revisions.commit_of("HEAD")
    measured = {figure: {"checkout": COMPARED[figure]["checkout"], commit: COMPARED[figure]["old"]}}
    monkeypatch.setattr(command_line, "install", lambda tree, folder: revisions.Installed((), ("twistd",)))
    monkeypatch.setattr(command_line, "measure", lambda rows, contestants, length: (measured, {}))
    assert command_line.main(["--compare=HEAD", "--json"]) == status
    printed = json.loads(capsys.readouterr().out)
    assert printed["compared_with"] == commit
    assert set(printed["figures"]) == {figure}


def test_a_failed_measurement_is_not_taken_for_a_worse_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has an exit status of its own."""

    def fail(*args: object) -> Any:
        raise LoadFailed("echo: connect (Connection refused)")

    monkeypatch.setattr(command_line, "measure", fail)
    assert command_line.main(["--against=direct"]) == 2
    assert "echo: connect (Connection refused)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--compare=HEAD", "--rounds=4"], "argument --rounds: expected 5 or more, got 4"),
        (["--rounds=0"], "argument --rounds: expected 1 or more, got 0"),
        (["--seconds=0"], "argument --seconds: expected a time above 0, got 0.0"),
        (["--seconds=inf"], "argument --seconds: expected a time above 0, got inf"),
        (["--rows=down,rtt2"], "argument --rows: expected some of"),
        (["--compare=HEAD", "--against=direct"], "not allowed with argument"),
        (["--compare=HEAD", "--rows=client"], "the rows of the client compare no revisions"),
        (["--compare=HEAD", "--plot=picture"], "argument --plot: not allowed with argument --compare"),
        (
            ["--plot=no-such-folder/picture"],
            "argument --plot: expected a prefix in a folder that exists, got",
        ),
    ],
)
def test_bad_option_is_named(words: Sequence[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is measured."""
    with pytest.raises(SystemExit, match="2"):
        command_line.main(words)
    assert error in capsys.readouterr().err


def test_gateway_that_cannot_be_run_is_reported_with_its_output(tmp_path: Path) -> None:
    """A broken revision is an error, not a worse row."""
    broken = gateway("broken", (sys.executable, "-c", "raise SystemExit('no module named portofcall')"))
    with pytest.raises(NotListening, match="no module named portofcall"):
        with running(broken, 1, tmp_path):
            pass


def test_turns_alternate_there_and_back() -> None:
    """None is always first, and none always last."""
    assert [(number, each.name) for number, each in measure.turns(3, [OURS, WEBSOCAT])] == [
        (1, "portofcall"),
        (1, "websocat"),
        (2, "websocat"),
        (2, "portofcall"),
        (3, "portofcall"),
        (3, "websocat"),
    ]


def test_unknown_revision_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The checkout is not measured against something else instead."""
    assert command_line.main(["--compare=no-such-branch"]) == 2
    assert "no-such-branch" in capsys.readouterr().err


def test_worktree_has_the_commit_and_is_removed(repository: Path, tmp_path: Path) -> None:
    """It is removed after an error as well; the repository does not remember it."""
    (repository / "module.py").write_text("changed")
    worktree = revisions.worktree(revisions.commit_of("HEAD"), tmp_path)
    tree = worktree.__enter__()
    assert (tree / "module.py").read_text() == "committed"
    (tree / "build").mkdir()
    assert not worktree.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not tree.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_copy_of_the_checkout_has_changes_and_no_ignored_files(repository: Path, tmp_path: Path) -> None:
    """What is measured is what a commit of everything would contain."""
    (repository / "module.py").write_text("changed")
    (repository / "package").mkdir()
    (repository / "package" / "new.py").write_text("new")
    (repository / "build").mkdir()
    (repository / "build" / "stale.py").write_text("stale")
    (repository / ".gitignore").unlink()
    (repository / ".git" / "info" / "exclude").write_text("build/")
    copy = revisions.copy_checkout(tmp_path)
    files = {str(path.relative_to(copy)): path.read_text() for path in copy.rglob("*") if path.is_file()}
    assert files == {"module.py": "changed", "package/new.py": "new"}


def lie(server: Backend) -> None:
    """Echo everything with one bit wrong."""
    while data := server.connection.recv(4096):
        server.connection.sendall(bytes([*data[:-1], data[-1] ^ 1]))


@pytest.mark.slow
def test_client_notices_a_wrong_bit(programs: Programs) -> None:
    """Fast but wrong is not measured."""
    with backend(lie) as liar, pytest.raises(LoadFailed, match="the echo is not what was sent"):
        programs.run("echo", liar.port, "-", seconds=0.1, tunnels=1, size=64)


@pytest.mark.slow
def test_backend_notices_a_wrong_bit(programs: Programs) -> None:
    """It ends, and so does the load."""
    with socket.create_connection(("127.0.0.1", programs.backend_port), DEADLINE) as peer:
        peer.sendall(b"u" + bytes(4096))
        assert peer.recv(1) == b""
    with pytest.raises(LoadFailed, match="connect"):
        programs.run("up", programs.backend_port, "-", seconds=0.1, tunnels=1, size=4096)


@pytest.mark.slow
def test_a_tunnel_may_be_a_programs_standard_input_and_output(programs: Programs) -> None:
    """It is started for the load, and ended after it."""
    relay = ("import socket, sys, threading, os", "s = socket.create_connection(('127.0.0.1', %d))")
    up = "up = lambda: [s.sendall(data) for data in iter(lambda: os.read(0, 65536), b'')]"
    down = "threading.Thread(target=up).start(); [os.write(1, d) for d in iter(lambda: s.recv(65536), b'')]"
    code = "\n".join((*relay, up, down)) % programs.backend_port
    program = (sys.executable, "-c", code)
    measured = programs.run("echo", 0, "-", seconds=0.1, tunnels=1, size=64, program=program)
    assert measured["count"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("load", ["down", "up", "echo", "open"])
def test_each_load_runs_over_plain_tcp(programs: Programs, load: str) -> None:
    """Gateways are compared with plain TCP; each load reports its own share of a core."""
    measured = programs.run(load, programs.backend_port, "-", seconds=0.1, tunnels=2, size=64)
    assert measured["seconds"] >= 0.1
    assert measured.get("bytes", measured.get("count")) > 0
    assert (
        0 <= measured["cpu_share"] <= 2.1
    )  # two tunnels that are opened at the same time have a process each


@pytest.mark.slow
@pytest.mark.parametrize("load", ["hold-down", "hold-up"])
def test_tunnels_are_kept_busy_until_the_load_is_ended(programs: Programs, load: str) -> None:
    """What went through is reported then; echoes beside them are answered."""
    with programs.hold(load, programs.backend_port, "-", tunnels=3, size=4096) as held:
        echoes = programs.run("echo", programs.backend_port, "-", seconds=0.1, tunnels=1, size=64)
        moved = held.end()
    assert echoes["count"] > 0
    assert moved["bytes"] > 0
    assert moved["seconds"] >= 0.1


@pytest.mark.slow
def test_client_without_tls_does_not_pretend_to_have_it(programs: Programs) -> None:
    """Rows over TLS are never measured in the clear."""
    with pytest.raises(LoadFailed, match="compiled without TLS"):
        programs.run(
            "echo", programs.backend_port, "-", seconds=0.1, tunnels=1, size=64, security=Security.TLS
        )


def fake_peer(name: str) -> Contestant:
    """A program of others that is never run."""
    return Contestant(name, lambda port, backend, certificate: ["false"])


@pytest.fixture
def measured_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No program is compiled or started."""

    @contextmanager
    def ready(contestant: Contestant, *ignored: object) -> Iterator[Running]:
        yield Running(contestant=contestant, port=1, path="-")

    class NoPrograms:
        backend_port = 1

        def __init__(self, folder: Path, *, tls: bool) -> None: ...

        def __enter__(self) -> "NoPrograms":
            return self

        def __exit__(self, *ignored: object) -> None: ...

    monkeypatch.setattr(measure, "Programs", NoPrograms)
    monkeypatch.setattr(measure, "running", ready)


def row_that_fails_for(name: str, error: type[Exception] = LoadFailed) -> Row:
    """A row whose load one contestant does not survive."""

    def load(programs: Programs, running: Running, seconds: float) -> dict[str, float]:
        if running.contestant.name == name:
            raise error("echo: no response")
        return {"down": 1.0}

    return Row(name="row", load="load", figures=(FIGURES["down"],), measure=load)


@pytest.mark.usefixtures("measured_nowhere")
def test_a_peer_that_fails_a_load_has_no_figure_of_it() -> None:
    """The others keep theirs, all rounds of them."""
    peers = [fake_peer("good"), fake_peer("bad")]
    measured, _ = measure.measure([row_that_fails_for("bad")], peers, measure.Length(3, 0.1, 3))
    assert measured == {"down": {"good": [1.0] * 3}}


@pytest.mark.usefixtures("measured_nowhere")
def test_a_peer_that_does_not_listen_has_no_figures() -> None:
    """The others are measured all the same."""
    peers = [fake_peer("good"), fake_peer("mute")]
    row = row_that_fails_for("mute", NotListening)
    measured, _ = measure.measure([row], peers, measure.Length(2, 0.1, 2))
    assert measured == {"down": {"good": [1.0] * 2}}


def test_picture_needs_matplotlib(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is said before anything is measured."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="2"):
        command_line.main(["--plot=picture"])
    assert "matplotlib is not installed" in capsys.readouterr().err


@pytest.mark.usefixtures("measured_nowhere")
def test_this_gateway_must_not_fail_a_load() -> None:
    """That ends the measurement."""
    with pytest.raises(LoadFailed, match="no response"):
        measure.measure([row_that_fails_for(OURS.name)], [OURS], measure.Length(1, 0.1, 1))


def test_groups_and_rows_are_selected_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the table."""
    chosen: list[str] = []

    def fail(rows: Sequence[Row], *ignored: object) -> Any:
        chosen.extend(row.name for row in rows)
        raise LoadFailed("enough")

    monkeypatch.setattr(command_line, "measure", fail)
    assert command_line.main(["--against=direct", "--rows=mixed,down"]) == 2
    assert chosen == ["down", "mixed-down", "mixed-up"]


def test_rows_over_tls_are_not_measured_in_the_clear() -> None:
    """Plain TCP has no figures there; neither has HAProxy where it would have nothing to do."""
    rows = {row.name: row for row in ROWS}
    assert not rows["tls-down"].admits(DIRECT)
    assert not rows["down"].admits(HAPROXY)
    assert rows["tls-down"].admits(HAPROXY)


def command(*words: str) -> list[str]:
    """Return the words of the docs' command."""
    return [sys.executable, "-m", "tests.benchmarks", *words]


@pytest.mark.slow
def test_every_row_is_measured_against_the_gateway() -> None:
    """The command of the docs prints JSON."""
    need("cc")
    words = command("--json", "--rounds=1", "--seconds=0.1", f"--against={OURS.name},{DIRECT.name}")
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    results = json.loads(result.stdout)
    measured = {(OURS.name, name): figure for name, figure in results["figures"].items()}
    for client in (CONNECT, FORWARD):
        measured |= {(client.name, name): figure for name, figure in results["clients"][client.name].items()}
    assert {name for _, name in measured} == {figure.name for row in ROWS for figure in row.figures}
    for (contestant, name), figure in measured.items():
        assert figure["median"][contestant] > 0, name


@pytest.mark.slow
def test_checkout_is_compared_with_a_revision(tmp_path: Path) -> None:
    """Both are installed and measured five times, and nothing is left behind."""
    need("cc")
    words = command("--compare=HEAD", "--rows=start,rtt1", "--rounds=5", "--seconds=0.1", "--json")
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    result = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode in (0, 1), result.stderr
    figures = json.loads(result.stdout)["figures"]
    assert set(figures) == {"start", "rtt 1 p50", "rtt 1 p99", "rtt 1 p99.9"}
    for figure in figures.values():
        assert [len(values) for values in figure["rounds"].values()] == [5, 5]
    assert ("worse" in {figure["verdict"] for figure in figures.values()}) == (result.returncode == 1)
    assert list(tmp_path.iterdir()) == []
    assert str(tmp_path) not in git(ROOT, "worktree", "list")


def processes_in(folder: Path) -> list[str]:
    """Return the processes that run in a folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
        except OSError:  # it has just ended, or belongs to another user
            continue
    return found


def wait_for_text(output: Path, text: str) -> None:
    """Wait until a file has a text."""
    deadline = time.monotonic() + DEADLINE
    while text not in output.read_text():
        assert time.monotonic() < deadline, output.read_text()
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("words", "progress"),
    [
        (["--compare=HEAD"], "installing"),
        (["--against=portofcall", "--rows=rtt1", "--seconds=60"], "round 1"),
    ],
)
def test_an_interrupted_run_leaves_nothing_behind(
    words: Sequence[str], progress: str, number: signal.Signals, tmp_path: Path
) -> None:
    """Its processes end, and its folders and worktrees are removed."""
    need("cc")
    output, folder = tmp_path / "output", tmp_path / "temporary"
    folder.mkdir()
    environment = os.environ | {"TMPDIR": str(folder)}
    with output.open("wb") as file:
        process = subprocess.Popen(command(*words), cwd=ROOT, env=environment, stdout=file, stderr=file)
    try:
        wait_for_text(output, progress)
        process.send_signal(number)
        assert process.wait(DEADLINE) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert list(folder.iterdir()) == []
    assert processes_in(folder) == []
    assert str(tmp_path) not in git(ROOT, "worktree", "list")
