"""The log as JSON has the attribute names of OpenTelemetry."""

import json
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel, capturedLogs
from twisted.python.failure import Failure

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
from portofcall.log.gateway_log import Record
from portofcall.log.json_lines import json_line

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALLER = Caller("loglt3-1", 1000.0, "192.0.2.7", "192.0.2.7", 51324, subject="ada")
BEHIND = Caller("abc", 1000.0, "2001:db8::/64", "2001:db8::7", None, proxy="10.0.0.1", trace_parent=TRACE)
NAMED = Route("shell (127.0.0.1:22)", "127.0.0.1:22", 'allowed by rule "127.0.0.1:22"', None, 0.0005, 0.25)
TRAFFIC = Traffic(5, 70, 12, False, 1, 2, 0.5, 1.25)


def parsed(event: Event, more: int = 0) -> dict[str, Any]:
    """Write an event as JSON, and parse it."""
    logged = {"log_time": 1_800_000_000.25, "log_level": LogLevel.info, "record": Record(event, more)}
    line = json_line(logged)
    assert line.endswith("}\n")
    found: dict[str, Any] = json.loads(line)
    return found


def test_every_record_has_a_time_a_severity_and_a_client() -> None:
    """The time in UTC, to the millisecond."""
    found = parsed(TunnelOpened(CALLER, NAMED, 0.001))
    assert found["timestamp"] == "2027-01-15T08:00:00.250Z"
    assert (found["severity"], found["severity.number"]) == ("INFO", 9)
    assert found["event.name"] == "portofcall.tunnel.opened"
    assert (found["session.id"], found["user.id"]) == ("loglt3-1", "ada")
    assert (found["client.address"], found["client.port"]) == ("192.0.2.7", 51324)


def test_client_behind_a_proxy_has_no_port_and_the_trace_is_split() -> None:
    """As OpenTelemetry's log records have it."""
    found = parsed(TunnelOpened(BEHIND, NAMED, 0.001))
    assert (found["client.address"], found["portofcall.proxy.address"]) == ("2001:db8::7", "10.0.0.1")
    assert "client.port" not in found
    assert "user.id" not in found
    assert (found["trace_id"], found["span_id"], found["trace_flags"]) == (TRACE[3:35], TRACE[36:52], "01")


@pytest.mark.parametrize(
    ("route", "server", "peer"),
    [
        (NAMED, ("shell", None), ("127.0.0.1", 22)),
        (Route("[2001:db8::5]:22", "[2001:db8::5]:22"), ("2001:db8::5", 22), ("2001:db8::5", 22)),
        (Route("db.example:22"), ("db.example", 22), (None, None)),
        (
            Route("app (unix:/run/app.sock)", "unix:/run/app.sock"),
            ("app", None),
            ("unix:/run/app.sock", None),
        ),
        (Route("nowhere"), ("nowhere", None), (None, None)),
        (Route("?"), ("?", None), (None, None)),
    ],
)
def test_target_is_the_server_and_what_was_dialled_the_peer(route: Route, server: Any, peer: Any) -> None:
    """Addresses and ports apart; a name alone where there is one."""
    found = parsed(TunnelOpened(CALLER, route, 0.001))
    assert (found.get("server.address"), found.get("server.port")) == server
    assert (found.get("network.peer.address"), found.get("network.peer.port")) == peer


def test_end_of_a_tunnel_has_all_there_is() -> None:
    """An end that is no error has no ``error.type``."""
    ended = TunnelEnded(
        CALLER,
        NAMED,
        "client-closed",
        "the client closed",
        Side.CLIENT,
        Stage.OPEN,
        1000,
        TRAFFIC,
        0.001,
        9.5,
    )
    found = parsed(ended)
    assert found["duration"] == 9.5
    expected = {
        "portofcall.target": "shell (127.0.0.1:22)",
        "portofcall.rule": 'allowed by rule "127.0.0.1:22"',
        "portofcall.dial.duration": 0.0005,
        "portofcall.rtt": 0.00025,
        "portofcall.result": "client-closed",
        "portofcall.outcome": "the client closed",
        "portofcall.ended_by": "client",
        "portofcall.stage": "open",
        "portofcall.close_code": 1000,
        "portofcall.bytes.up": 5,
        "portofcall.bytes.down": 70,
        "portofcall.bytes.undelivered": 12,
        "portofcall.bytes.undelivered_is_exact": False,
        "portofcall.pauses.up": 1,
        "portofcall.pauses.down": 2,
        "portofcall.paused.up": 0.5,
        "portofcall.paused.down": 1.25,
        "portofcall.handshake.duration": 0.001,
    }
    assert {name: value for name, value in found.items() if name.startswith("portofcall.")} == expected
    assert "error.type" not in found
    assert parsed(ended._replace(slug="backend-reset"))["error.type"] == "backend-reset"


def test_probe_and_refusal_have_an_error_type() -> None:
    """Only if there is an error."""
    probe = ProbeEnded(CALLER, NAMED, Probe.PING, "ok", "open", Side.GATEWAY, Stage.OPEN, 200, 0.5)
    assert "error.type" not in parsed(probe)
    assert parsed(probe)["event.name"] == "portofcall.ping.ended"
    lost = parsed(probe._replace(slug="client-lost", side=Side.CLIENT, status=0))
    assert (lost["error.type"], lost["portofcall.ended_by"]) == ("client-lost", "client")
    assert "http.response.status_code" not in lost
    refused = Refused(CALLER, "unauthorized", "wrong", 401, "GET /api/connect", "password", "bob")
    found = parsed(refused, more=4312)
    assert (found["error.type"], found["http.response.status_code"]) == ("unauthorized", 401)
    assert (found["portofcall.login.method"], found["portofcall.login.user"]) == ("password", "bob")
    assert (found["portofcall.request"], found["portofcall.more"]) == ("GET /api/connect", 4312)
    assert (found["portofcall.ended_by"], found["portofcall.stage"]) == ("gateway", "request")
    assert not {"portofcall.target", "server.address", "duration"} & set(found), "not known here"
    found = parsed(refused._replace(target="db.example:22", seconds=0.25))
    assert (found["portofcall.target"], found["duration"]) == ("db.example:22", 0.25)
    assert (found["server.address"], found["server.port"]) == ("db.example", 22)


def test_request_has_the_names_of_http() -> None:
    """Path and query apart."""
    found = parsed(RequestServed(CALLER, "GET", "/static/page.css?v=1", 200, 512))
    names = ("http.request.method", "url.path", "url.query", "http.response.status_code")
    assert [found[name] for name in names] == ["GET", "/static/page.css", "v=1", 200]
    assert found["http.response.body.size"] == 512


def test_other_lines_are_json_too() -> None:
    """With the text, and what failed."""
    log = Logger(namespace="somewhere")
    with capturedLogs() as events:
        log.warn("two\nlines {number}", number=2)
        log.failure("it failed", Failure(ValueError("\ud800")))
    warning, failure = (json.loads(json_line(event)) for event in events)
    assert (warning["severity"], warning["body"]) == ("WARN", "two\\nlines 2")
    assert warning["otel.scope.name"] == "somewhere"
    assert (failure["severity"], failure["exception.type"]) == ("CRITICAL", "ValueError")
    assert failure["exception.message"] == "\\ud800"
    assert "ValueError" in failure["exception.stacktrace"]
