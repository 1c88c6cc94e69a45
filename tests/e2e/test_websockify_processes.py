"""How websockify and ``portofcall-websockify`` listen, write and end: the same tests for both."""

import re
import signal
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.support import accepts, until
from tests.e2e.websockify_pair import OURS, THEIRS, Client, Server, Targets
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow

Run = Callable[..., Server]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Targets]:
    """Where tunnels go."""
    made = Targets(tmp_path_factory.mktemp("targets"))
    yield made
    made.close()


@pytest.fixture(params=[THEIRS, OURS])
def start(request: pytest.FixtureRequest, targets: Targets, tmp_path: Path) -> Iterator[Run]:
    """Starts one of the two with an echo as its target."""
    started: list[Server] = []

    def run(line: str, **settings: Any) -> Server:
        words = [*line.split(), f"127.0.0.1:{targets.echo}"]
        server = Server(request.param, tmp_path, *words, **settings)
        started.append(server)
        return server

    yield run
    for server in started:
        server.stop()
        # websockify has one when a signal interrupts its select.
        assert server.module == THEIRS or "Traceback" not in server.log, server.log


def echoes(client: Client, data: bytes = b"hello") -> bool:
    """Whether a tunnel that is open carries bytes both ways."""
    client.send(data)
    return client.read(len(data)) == data


def test_run_once_ends_after_the_first_tunnel(start: Run) -> None:
    """A request for a file is no tunnel; the exit status is 0, and nothing listens any more."""
    server = start("127.0.0.1:{port} --run-once --web .")
    server.wait_until_it_listens()
    with Client(server) as client:
        assert client.request("GET", "/nothing", Connection="close") == 404
    with Client(server) as client:
        assert client.upgrade() == 101
        assert echoes(client)
        assert server.process.poll() is None
    assert server.exit_status() == 0
    assert "127.0.0.1: exiting due to --run-once" in server.log
    assert not accepts(server.port)


def test_idle_timeout_counts_from_the_end_of_the_last_tunnel(start: Run) -> None:
    """A quiet tunnel that is open for longer keeps the process."""
    server = start("127.0.0.1:{port} --idle-timeout 1")
    server.wait_until_it_listens()
    with Client(server) as client:
        assert client.upgrade() == 101
        opened_at = time.monotonic()
        client.socket.settimeout(2.5)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(5)
        assert echoes(client)
    closed_at = time.monotonic()
    assert server.exit_status() == 0
    # websockify and ours look once a second; what is measured from is up to one look earlier.
    assert time.monotonic() - closed_at > 0.5
    assert closed_at - opened_at > 2
    assert "listener exit due to --idle-timeout 1\n" in server.log


def test_timeout_lets_an_open_tunnel_end_by_itself(start: Run) -> None:
    """The process ends with the tunnel; until then nothing is accepted, where websockify's child listens."""
    server = start("127.0.0.1:{port} --timeout 2")
    server.wait_until_it_listens()
    with Client(server) as client:
        assert client.upgrade() == 101
        server.wait_for("listener exit due to --timeout 2\n")
        assert time.monotonic() - server.started_at > 2
        if server.module == OURS:
            until(lambda: not accepts(server.port))
        assert echoes(client)
        assert server.process.poll() is None
    assert server.exit_status() == 0


def test_inetd_accepts_from_the_standard_input(start: Run) -> None:
    """Its socket stays as it is for the process that has made it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = start("--inetd", stdin=listening.fileno())
        assert "proxying from inetd to 127.0.0.1:" in server.wait_for("- proxying from .*")
        assert "  - Listen for inetd connections\n" in server.log
        for _ in range(2):
            with Client(socket.create_connection(listening.getsockname())) as client:
                assert client.upgrade() == 101
                assert echoes(client)
        server.stop()
        assert server.exit_status() == 0
        with socket.create_connection(listening.getsockname()):
            """The queue is there as before."""


def test_inetd_leaves_a_unix_socket_as_it_is(start: Run, tmp_path: Path) -> None:
    """Its mode is that which the process that has made it gave it, and its path stays."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o640)
        listening.listen()
        server = start("--inetd", stdin=listening.fileno())
        server.wait_until_it_listens()
        if server.module == OURS:  # websockify takes every socket for one of IPv4
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
            with Client(connection) as client:
                assert client.upgrade() == 101
                assert echoes(client)
        server.stop()
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(("option", "mode"), [("", 0o600), ("--unix-listen-mode 660", 0o660)])
def test_a_unix_socket_has_its_mode(option: str, mode: int, start: Run, tmp_path: Path) -> None:
    """Whoever may connect gets a tunnel; it takes the place of a socket that was left behind."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    server = start(f"--unix-listen {path} {option}")
    server.wait_until_it_listens()
    assert f"  - Listen on unix socket {path}\n" in server.log
    shown = path if server.module == OURS else ":None"
    assert f"  - proxying from {shown} to 127.0.0.1:" in server.log
    assert stat.S_IMODE(path.stat().st_mode) == mode
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    with Client(connection) as client:
        assert client.upgrade() == 101
        assert echoes(client)


def test_a_recording_has_all_that_was_carried(start: Run, tmp_path: Path) -> None:
    """Line by line the same: JavaScript for noVNC's playback, with the milliseconds since the start."""
    every_byte = bytes(range(256))
    server = start(f"127.0.0.1:{{port}} --record {tmp_path}/session")
    server.wait_until_it_listens()
    with Client(server) as client:
        assert client.upgrade() == 101
        assert echoes(client, every_byte)
        assert echoes(client, b"it's")
        client.send((1000).to_bytes(2), 8)
        client.end()
    path = tmp_path / "session.1"
    until(lambda: path.read_text().endswith("'EOF'];\n"))
    lines = re.sub(r"^'([{}])\d{1,5}\1", r"'\1-\1", path.read_text(), flags=re.MULTILINE).splitlines()
    shown = every_byte.decode("latin-1").encode("unicode_escape").decode().replace("'", r"\'")
    expected = [f"'}}-}}{shown}',", f"'{{-{{{shown}',", r"'}-}it\'s',", r"'{-{it\'s',"]
    assert lines == ["var VNC_frame_data = [", *expected, "'EOF'];"]


def test_in_the_background_it_writes_to_the_log_file(start: Run, tmp_path: Path) -> None:
    """The process that was started ends with status 0; the one that stays has no terminal."""
    log = tmp_path / "file.log"
    server = start(f"127.0.0.1:{{port}} -D --run-once --timeout 60 --log-file {log}")
    assert server.exit_status() == 0
    until(lambda: log.exists() and "- proxying from 127.0.0.1:" in log.read_text())
    (process,) = (p for p in psutil.process_iter(["cmdline"]) if str(log) in (p.info["cmdline"] or ()))
    try:
        assert process.terminal() is None
        assert process.ppid() != server.process.pid
        assert process.cwd() == "/"
        until(lambda: all(_is_nowhere(process.pid, descriptor) for descriptor in range(3)))
        with Client(server) as client:
            assert client.upgrade() == 101
            assert echoes(client)
        process.wait(DEADLINE)
    finally:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    assert "127.0.0.1: exiting due to --run-once" in log.read_text()
    assert not accepts(server.port)


def _is_nowhere(pid: int, descriptor: int) -> bool:
    return str(Path(f"/proc/{pid}/fd/{descriptor}").readlink()) == "/dev/null"


_RFC_5424 = r"1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ websockify \d+ - - "


@pytest.mark.parametrize(
    ("family", "options", "head"),
    [
        (socket.AF_INET, "", "<14>" + _RFC_5424),
        (socket.AF_UNIX, "", "<14>" + _RFC_5424),
        (socket.AF_INET, "--legacy-syslog", r"<14>websockify\[\d+\]: "),
    ],
)
def test_syslog_gets_every_line(
    family: socket.AddressFamily, options: str, head: str, start: Run, tmp_path: Path
) -> None:
    """Over UDP or a UNIX socket, with the head of either protocol; facility "user", severity "info"."""
    with socket.socket(family, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        syslog.settimeout(DEADLINE)
        name = syslog.getsockname()
        place = name if isinstance(name, str) else "{}:{}".format(*name)
        start(f"127.0.0.1:{{port}} --syslog {place} {options}")
        received: list[str] = []
        while not received or "proxying from" not in received[-1]:
            received.append(syslog.recv(65536).decode())
    assert all(re.match(head, message) for message in received)
    texts = [re.sub(head, "", message) for message in received]
    assert texts[0] == "WebSocket server settings:"
    assert re.fullmatch(r"  - proxying from 127\.0\.0\.1:\d+ to 127\.0\.0\.1:\d+", texts[-1])
