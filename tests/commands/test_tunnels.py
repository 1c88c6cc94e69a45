"""``portofcall tunnels`` shows the tunnels of a gateway."""

import io
import json
import os
import sys
from typing import Any

import pytest

from portofcall.commands import tunnels
from portofcall.commands.tunnels import table
from tests.commands.support import FakeListener, fake_listener, parse


def tunnel(**changes: Any) -> dict[str, Any]:
    """Make a tunnel as ``GET /tunnels`` returns it."""
    return {
        "id": "ab-1",
        "phase": "open",
        "age_seconds": 75.0,
        "idle_seconds": 2.4,
        "client": "192.0.2.7",
        "port": 40000,
        "subject": "ada",
        "target": "db.example:5432",
        "address": "203.0.113.5:5432",
        "up_bytes": 900,
        "down_bytes": 5_000_000,
        "up_buffered_bytes": 0,
        "down_buffered_bytes": 20_000,
        "up_paused": False,
        "down_paused": True,
        "up_paused_seconds": 0.0,
        "down_paused_seconds": 1.0,
        **changes,
    }


def test_table_has_a_line_for_each_tunnel() -> None:
    """Under its headings, aligned; numbers to the right."""
    assert table([tunnel(), tunnel(id="ab-22", subject="", up_bytes=0)]) == [
        "ID     PHASE    AGE  IDLE  CLIENT           SUBJECT  TARGET           ADDRESS            UP  DOWN  "
        "QUEUED  PAUSED",
        "ab-1   open   1m15s    2s  192.0.2.7:40000  ada      db.example:5432  203.0.113.5:5432  900  4.8M  "
        "   20K  down",
        "ab-22  open   1m15s    2s  192.0.2.7:40000  -        db.example:5432  203.0.113.5:5432    0  4.8M  "
        "   20K  down",
        "2 tunnels",
    ]


def test_rates_are_those_since_the_last_table() -> None:
    """A tunnel that is new has none."""
    before = {"ab-1": tunnel()}
    now = [tunnel(up_bytes=900 + 4096, down_bytes=5_000_000), tunnel(id="ab-2")]
    _, old, new, _ = table(now, before, 2.0)
    assert old.split()[10:12] == ["2.0K", "0"]
    assert new.split()[10:12] == ["20K", "down"]


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0"), (999, "999"), (1000, "1.0K"), (10 * 1024, "10K"), (5 * 1024**4, "5T"), (1e18, "909495T")],
)
def test_sizes_are_short(size: float, shown: str) -> None:
    """With units of 1024."""
    assert tunnels._size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0.9, "0s"), (59.9, "59s"), (61, "1m01s"), (3 * 3600 + 60, "3h01m"), (90000, "1d01h")],
)
def test_durations_have_two_units(seconds: float | None, shown: str) -> None:
    """The two largest."""
    assert tunnels._duration(seconds) == shown


def test_text_from_outside_is_plain_and_cut() -> None:
    """A terminal must not obey a name, even if the gateway is another one."""
    _, line, _ = table([tunnel(subject="\x1b[2J", target="x" * 500, port=None, client="local")])
    assert "\x1b" not in line
    assert len(line) < 200
    assert "x" * 33 + "..." in line


def serve(listener: FakeListener, *shown: dict[str, Any]) -> None:
    """Have the listener show these tunnels."""
    listener.responses["GET", "/tunnels?"] = (200, {"tunnels": list(shown)})


def test_command_prints_the_table_once(capsys: pytest.CaptureFixture[str]) -> None:
    """And exits with 0."""
    with fake_listener() as listener:
        serve(listener)
        assert tunnels.run(parse(tunnels, "--admin", listener.url)) == 0
    assert capsys.readouterr().out.endswith("\n0 tunnels\n")


def test_json_is_one_tunnel_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole, for jq; with the filters in the request."""
    with fake_listener() as listener:
        listener.responses["GET", "/tunnels?client=local"] = (200, {"tunnels": [tunnel(), tunnel(id="b")]})
        assert tunnels.run(parse(tunnels, "--admin", listener.url, "--json", "--client", "local")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == ["ab-1", "b"]


def test_watch_refreshes_until_it_is_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the output is no terminal, one table after the other."""
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        serve(listener, tunnel(up_bytes=1_000_000))
        if len(waited) == 2:
            raise KeyboardInterrupt

    with fake_listener() as listener:
        serve(listener, tunnel())
        assert tunnels.run(parse(tunnels, "--admin", listener.url, "--watch"), sleep=sleep) == 0
    assert waited == [2.0, 2.0]
    assert capsys.readouterr().out.count("1 tunnel\n") == 2


class _Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_watch_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins at the top each time, and cuts what is too wide or too long."""
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((40, 6)))

    def sleep(_: float) -> None:
        raise KeyboardInterrupt

    with fake_listener() as listener:
        serve(listener, *(tunnel(id=f"ab-{number}") for number in range(10)))
        assert tunnels.run(parse(tunnels, "--admin", listener.url, "--watch"), sleep=sleep) == 0
    screen = terminal.getvalue()
    assert screen.startswith("\x1b[H")
    assert screen.endswith("\x1b[J")
    lines = screen.removeprefix("\x1b[H").removesuffix("\x1b[J").replace("\x1b[K", "").splitlines()
    assert len(lines) <= 5
    assert max(map(len, lines)) <= 40
    assert lines[-1] == "10 tunnels, 7 of them below this screen"


def test_failure_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """With one line, also where a gateway that is watched goes away."""
    with fake_listener() as listener:
        listener.responses["GET", "/tunnels?"] = (200, {"no": 1})
        assert tunnels.run(parse(tunnels, "--admin", listener.url)) == 2
    assert capsys.readouterr().err == "portofcall tunnels: the response is not that of an admin listener\n"
    assert tunnels.run(parse(tunnels, "--admin", "unix:/nowhere", "--watch")) == 2
