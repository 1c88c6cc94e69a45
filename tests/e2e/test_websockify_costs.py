"""What ``portofcall-websockify`` takes to start, and what token look-ups leave behind in it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.support import until
from tests.e2e.websockify_pair import OURS, THEIRS, Client, Server, Targets

pytestmark = pytest.mark.slow

_STARTS = 5
_LOOK_UPS = 1000
_CLIENTS = 8


def processor_seconds(pid: int) -> float:
    """Return the processor time of the main thread of a process; at the start it has no other."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@pytest.mark.alone
def test_it_starts_with_a_second_of_processor_time_or_twice_websockify_s(tmp_path: Path) -> None:
    """Processor time until the line that launchers wait for is there: the best of five, in turns."""
    seconds: dict[str, list[float]] = {THEIRS: [], OURS: []}
    for number in range(_STARTS):
        for module, found in seconds.items():
            folder = tmp_path / f"{module}-{number}"
            folder.mkdir()
            server = Server(module, folder, "127.0.0.1:{port}", "127.0.0.1:1")
            try:
                server.wait_until_it_listens()
                found.append(processor_seconds(server.process.pid))
            finally:
                server.stop()
    assert min(seconds[OURS]) <= max(1.0, 2 * min(seconds[THEIRS])), seconds


def test_token_look_ups_leave_no_descriptor_and_no_thread(tmp_path: Path) -> None:
    """After a thousand more tunnels, eight at a time, a process has as many as after the first."""
    targets = Targets(tmp_path)
    (tmp_path / "tokens").write_text(f"a: 127.0.0.1:{targets.a}\n")
    options = ("127.0.0.1:{port}", "--token-plugin", "TokenFile", "--token-source", f"{tmp_path}/tokens")
    server = Server(OURS, tmp_path, *options)

    def held() -> tuple[int, int]:
        process = Path(f"/proc/{server.process.pid}")
        return len(os.listdir(process / "fd")), len(os.listdir(process / "task"))

    def look_up(_: int) -> bool:
        with Client(server) as client:
            return client.upgrade("/?token=a") == 101 and client.read(1) == b"A"

    try:
        server.wait_until_it_listens()
        # The first one makes the epoll object that all tunnels share, and leaves nothing else.
        listening = held()
        assert look_up(0)
        until(lambda: held() == (listening[0] + 1, listening[1]))
        before = held()
        with ThreadPoolExecutor(_CLIENTS) as pool:
            assert all(pool.map(look_up, range(_LOOK_UPS)))
        until(lambda: held() == before)
    finally:
        server.stop()
        targets.close()
    assert "Traceback" not in server.log, server.log
