"""The log of a gateway can't be filled by a client, and its lines can't be forged."""

import io
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import cast
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    globalLogPublisher,
    textFileLogObserver,
)

from portofcall.access.gatekeeper import AccessRules
from portofcall.log.json_lines import json_line
from portofcall.testing import PUBLIC, WebSocketClient, World, request, upgrade_request
from tests.support import Post, sentences

EVIL = "https://evil.example"


def refuse(world: World, count: int, **headers: str) -> None:
    """Have so many requests refused."""
    for number in range(count):
        changes = {"Origin": f"{EVIL}:{number + 1}", **headers}
        assert WebSocketClient(world, upgrade_request(**changes)).response.status == 403


def test_identical_refusals_of_one_client_are_summed(logged: list[str]) -> None:
    """The reason counts: the client chooses the wording, as it chooses its origin."""
    world = World()
    refuse(world, 110)
    assert len(sentences(logged)) == 10
    world.reactor.advance(60)
    assert len(sentences(logged)) == 11
    assert f"origin-refused: origin {EVIL}:110 is not allowed" in logged[-1]
    assert logged[-1].endswith(" (and 100 more like this)")
    world.reactor.advance(600)
    assert len(sentences(logged)) == 11


def test_other_clients_and_other_reasons_have_lines_of_their_own(logged: list[str]) -> None:
    """Also behind a proxy."""
    world = World(rules=AccessRules.parse(trusted=["192.0.2.0/24"]))
    refuse(world, 15, X_Forwarded_For="198.51.100.1")
    refuse(world, 1, X_Forwarded_For="198.51.100.2")
    WebSocketClient(world, upgrade_request(Sec_WebSocket_Key="x", X_Forwarded_For="198.51.100.1"))
    assert len(sentences(logged, "198.51.100.1 refused: origin-refused: ")) == 10
    assert len(sentences(logged, "198.51.100.2 refused: ")) == 1
    assert len(sentences(logged, "198.51.100.1 refused: invalid-header: ")) == 1


def test_tunnels_and_probes_that_fail_are_summed_too(logged: list[str]) -> None:
    """And responses with an error. Those that are opened are not."""
    world = World()
    for _ in range(15):
        WebSocketClient(world, upgrade_request("host=10.0.0.1&port=22")).transport.lose()
        request(world, "POST", "/api/ping", b'{"host": "10.0.0.1", "port": 22}')
        request(world, "GET", "/nothing")
        client = WebSocketClient(world)
        client.transport.lose()
        client.backend.lose()
    counts = [len(sentences(logged, f"{kind}192.0.2.1:40000 ")) for kind in ("tunnel ", "ping ", "")]
    assert counts == [10 + 2 * 15, 10, 10]


def test_sums_are_written_when_the_gateway_shuts_down(logged: list[str]) -> None:
    """They would be lost otherwise."""
    world = World()
    refuse(world, 12)
    world.gateway.shut_down()
    assert logged[-1].endswith(" (and 2 more like this)")


HOSTILE = (
    st.text(max_size=300)
    | st.text("\0\n\r\t\x1b\x85\u2028\ud800\"\\' {}[]=%", max_size=300)
    | st.sampled_from(
        ["https://a id=1 login=password", 'x" id=1 "', "a result=ok by=operator", '" user="ada']
    )
)


#: Those of requests without credentials and without a proxy.
FIELDS = {
    *("id", "result", "by", "stage", "status", "code", "request", "target", "address", "rule", "dns", "dial"),
    *("rtt_ms", "handshake", "paused_up", "paused_down", "time"),
}


def observed(act: Callable[[World], object]) -> list[LogEvent]:
    """Return the log events of what happens in a world."""
    found: list[LogEvent] = []
    observer = cast(ILogObserver, found.append)
    globalLogPublisher.addObserver(observer)
    try:
        act(World())
    finally:
        globalLogPublisher.removeObserver(observer)
    return found


def lines_of(events: Sequence[LogEvent]) -> tuple[list[str], list[str]]:
    """Write log events as text, as twistd does, and as JSON; return the lines of both."""
    text, as_json = io.StringIO(), io.StringIO()
    for observer in (textFileLogObserver(text), FileLogObserver(as_json, json_line)):
        for event in events:
            observer(event)
    return text.getvalue().split("\n")[:-1], as_json.getvalue().split("\n")[:-1]


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_a_client_sends_makes_a_line_or_a_field(name: str, agent: str, path: str) -> None:
    """Each event is one short line of printable ASCII in both formats.

    The JSON is valid, and in the text each pair is there once.
    """

    def act(world: World) -> None:
        encoded = [text.encode("utf-8", "surrogatepass") for text in (name, agent, path)]
        raw = b"GET /" + encoded[2] + b" HTTP/1.1\r\nHost: gateway\r\nOrigin: " + encoded[0]
        world.connect().send(raw + b"\r\nUser-Agent: " + encoded[1] + b"\r\nX-Request-Id: x\r\n\r\n")
        query = quote(name.encode("utf-8", "surrogatepass"))
        world.connect().send(upgrade_request(f"host={query}&port={query}"))
        world.connect().send(upgrade_request(f"target={query}", Origin=quote(agent, errors="replace")))
        request(world, "POST", "/api/ping", json.dumps({"host": name, "port": 22}).encode())
        request(world, "POST", "/api/ssh/connect", json.dumps({"target": agent}).encode())
        banner = b"SSH-2.0-" + encoded[1].replace(b"\n", b"")[:200] + b"\n"
        Post(world, "/api/ssh/connect", {"host": PUBLIC})
        world.accept().send(banner)

    events = observed(act)
    text, as_json = lines_of(events)
    assert len(text) == len(as_json) == len(events) >= 3
    for line in text + as_json:
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 2500
    for line in text:
        names = re.findall(r"(\w+)=", re.sub(r'"[^"]*"', "", line))
        assert names[0] == "id"
        assert len(names) == len(set(names))
        assert set(names) <= FIELDS
    for line in as_json:
        assert json.loads(line)["event.name"].startswith("portofcall.")


def test_dates_parse() -> None:
    """In both formats, by the standard library."""
    text, as_json = lines_of(observed(lambda world: request(world, "GET", "/")))
    dates = [text[0].partition(" ")[0], json.loads(as_json[0])["timestamp"]]
    for date in map(datetime.fromisoformat, dates):
        assert date.tzinfo is not None
    assert "[[" not in text[0]
