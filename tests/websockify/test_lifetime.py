"""When the process ends by itself."""

from pathlib import Path
from typing import Any

import pytest

from portofcall.testing import WebSocketClient, pack_frame, request
from tests.websockify.support import WebsockifyWorld, upgrade, websockify_world


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened to listeners and reactors."""
    return []


def run(world: WebsockifyWorld, stops: list[str]) -> None:
    """Start what counts the time; listening is not needed."""
    lifetime: Any = world.root._lifetime
    world.reactor.stop = lambda: stops.append("stopped")
    lifetime.startService()


def test_run_once_ends_after_the_first_tunnel(stops: list[str]) -> None:
    """While it is open, nobody else is admitted; requests for files before it don't count."""
    with websockify_world("6080 192.0.2.7:5901 --run-once --web .") as world:
        run(world, stops)
        assert request(world, "GET", "/nothing").status == 404
        client = WebSocketClient(world, upgrade(Origin="http://gateway"))
        assert client.response.status == 101
        assert WebSocketClient(world, upgrade()).response.status == 503
        assert stops == []
        client.send(pack_frame(8, b"\x03\xe8"))
        client.transport.lose()
        client.backend.lose()
        assert stops == ["stopped"]
        assert (
            world.output.lines == ["192.0.2.1: exiting due to --run-once"]
            or "run-once" in world.output.lines[0]
        )


def test_timeout_waits_for_tunnels(stops: list[str]) -> None:
    """No new one is admitted once it is over."""
    with websockify_world("6080 192.0.2.7:5901 --timeout 60") as world:
        run(world, stops)
        client = WebSocketClient(world, upgrade())
        world.reactor.advance(60)
        assert (world.output.lines, stops) == (["listener exit due to --timeout 60"], [])
        assert WebSocketClient(world, upgrade()).response.status == 503
        client.transport.lose()
        client.backend.lose()
        world.reactor.advance(60)
        assert stops == ["stopped"]


def test_idle_timeout_counts_from_the_last_request_or_tunnel(stops: list[str]) -> None:
    """A tunnel that is open is no idleness, however quiet it is."""
    with websockify_world("6080 192.0.2.7:5901 --idle-timeout 5 --web .") as world:
        run(world, stops)
        world.reactor.pump([1] * 4)
        request(world, "GET", "/nothing")
        world.reactor.pump([1] * 4)
        assert stops == []
        client = WebSocketClient(world, upgrade())
        world.reactor.pump([1] * 60)
        assert stops == []
        client.transport.lose()
        client.backend.lose()
        world.reactor.pump([1] * 7)
        assert (world.output.lines, stops) == (["listener exit due to --idle-timeout 5"], ["stopped"])


def test_a_download_is_no_idleness_and_is_waited_for(stops: list[str], tmp_path: Path) -> None:
    """As tunnels are; for a minute at most once the time is over."""
    with websockify_world(f"6080 192.0.2.7:5901 --idle-timeout 5 --timeout 15 --web {tmp_path}") as world:
        run(world, stops)
        (tmp_path / "large").write_bytes(bytes(2**20))
        client = world.connect()
        client.send(b"GET /large HTTP/1.1\r\nHost: gateway\r\n\r\n")
        assert world.gateway.admission.downloads == 1
        world.reactor.pump([1] * 14)
        assert (world.output.lines, stops) == ([], [])
        world.reactor.advance(1)
        assert (world.output.lines, stops) == (["listener exit due to --timeout 15"], [])
        client.lose()
        world.reactor.advance(1)
        assert stops == ["stopped"]


def test_a_download_does_not_hold_up_the_end_for_long(stops: list[str]) -> None:
    """A client that is slow is not waited for without end."""
    with websockify_world("6080 192.0.2.7:5901 --timeout 5 --idle-timeout 3") as world:
        run(world, stops)
        world.gateway.admission.enter_download("192.0.2.1")
        world.reactor.pump([1] * 64)
        assert stops == []
        world.reactor.pump([1] * 2)
        assert stops == ["stopped"]


def test_nothing_is_left_when_the_service_stops(stops: list[str]) -> None:
    """No timer keeps a reactor."""
    with websockify_world("6080 192.0.2.7:5901 --idle-timeout 5 --timeout 60") as world:
        run(world, stops)
        world.root._lifetime.stopService()
        world.reactor.advance(100)
        assert stops == []
