"""docs/log.md shows what the code writes, and explains each field of it."""

import inspect
import json
import re
from pathlib import Path

import pytest
from twisted.logger import LogLevel

from portofcall.admin.counts import DOWNLOADS
from portofcall.events import (
    Caller,
    Event,
    Probe,
    ProbeEnded,
    Refused,
    RequestServed,
    Route,
    Side,
    Stage,
    Traffic,
    TunnelEnded,
    TunnelOpened,
)
from portofcall.log import json_lines
from portofcall.log.gateway_log import Record
from portofcall.log.json_lines import json_line
from portofcall.relay.causes import SLUGS

PAGE = (Path(__file__).parent.parent.parent / "docs" / "log.md").read_text("utf-8")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ADA = Caller("megiqv-1", 0, "192.0.2.7", "192.0.2.7", 51324, subject="ada")
STRANGER = Caller("megiqv-4", 0, "192.0.2.9", "192.0.2.9", 40112, trace_parent=TRACE)
UNKNOWN = Caller("megiqv-5", 0, "192.0.2.9", "192.0.2.9", 40114)
BEHIND = Caller("f00d-17", 0, "198.51.100.7", "198.51.100.7", None, proxy="10.0.0.1")
DB = Route("db.example:5432", "203.0.113.5:5432", 'allowed by rule "public"', 0.00213, 0.01544, 15.21)
INSIDE = Route("10.0.0.8:22", rule="10.0.0.8 is private (RFC 1918) and no rule allows it")
BUSY = Traffic(1404, 73400320, 8192, True, 0, 3, 0.0, 2.5)
ORIGIN = Refused(
    BEHIND,
    "origin-refused",
    "origin https://evil.example is not allowed to use this gateway",
    403,
    "GET /api/connect?host=db.example&port=5432",
    target="db.example:5432",
    seconds=0.00009,
)
EXAMPLES: list[tuple[Event, int]] = [
    (TunnelOpened(ADA, DB, 0.00124), 0),
    (
        TunnelEnded(
            *(ADA, DB, "client-lost", "client disconnected without a Close frame", Side.CLIENT, Stage.OPEN),
            *(1006, BUSY, 0.00124, 81.20735),
        ),
        0,
    ),
    (ProbeEnded(ADA, DB, Probe.PING, "ok", "open", Side.GATEWAY, Stage.OPEN, 200, 0.01801), 0),
    (
        ProbeEnded(
            *(ADA, INSIDE, Probe.BANNER, "blocked", f"blocked: {INSIDE.rule}", Side.GATEWAY, Stage.DNS),
            *(403, 0.00052),
        ),
        0,
    ),
    (
        Refused(
            *(STRANGER, "unauthorized", "the user or the password is wrong", 401),
            *("POST /api/ping", "password", "bob", "db.example:5432"),
            seconds=0.00071,
        ),
        0,
    ),
    (ORIGIN, 4312),
    (Refused(UNKNOWN, "tls-handshake-failed", "no shared cipher", stage=Stage.TLS), 0),
    (RequestServed(BEHIND, "GET", "/static/page.css?v=1", 200, 5120), 0),
    (RequestServed(STRANGER, "GET", "/desk.iso", 200, 524288, "client-stalled"), 0),
]
LINES = [str(Record(event, more)) for event, more in EXAMPLES]
LOGGED = {"log_time": 1_795_520_492.5, "log_level": LogLevel.info}
OBJECTS = [json.loads(json_line({**LOGGED, "record": Record(*example)})) for example in EXAMPLES]
OTHER = {"body", "otel.scope.name", "exception.type", "exception.message", "exception.stacktrace"}


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_text_is_shown(line: str) -> None:
    """As the code writes it."""
    assert f"\n{line}\n" in PAGE


@pytest.mark.parametrize("shown", OBJECTS, ids=[shown["event.name"] for shown in OBJECTS])
def test_each_object_is_shown(shown: object) -> None:
    """With one example of each kind."""
    assert f"\n{json.dumps(shown, separators=(',', ':'))}\n" in PAGE


def test_each_field_is_explained() -> None:
    """Those of the text and those of the JSON, and no others."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", PAGE.partition("## Fields")[2], re.MULTILINE)
    in_text = {name for text, _ in rows for name in re.findall(r"`(\w+)=`", text)}
    unquoted = [re.sub(r'"[^"]*"', "", line) for line in LINES]
    assert in_text == {name for line in unquoted for name in re.findall(r" (\w+)=", line)}
    in_json = {name for _, attributes in rows for name in re.findall(r"`([^`]+)`", attributes)}
    assert in_json == {name for shown in OBJECTS for name in shown} | OTHER
    assert in_json >= set(re.findall(r'yield "([^"]+)", ', inspect.getsource(json_lines))), (
        "not in an example"
    )


def test_each_result_of_a_download_is_explained() -> None:
    """They are a closed set."""
    table = PAGE.partition("| result of a download")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(DOWNLOADS)


def test_each_result_of_a_tunnel_is_explained() -> None:
    """In addition to the errors, which docs/protocol.md explains."""
    table = PAGE.partition("| result of a tunnel |")[2]
    explained = re.findall(r"`([a-z-]+)`", "".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)))
    assert set(explained) == SLUGS | {"blocked"}
