"""The log of a real gateway, as JSON and as text."""

import json
import re
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process
from tests.e2e.support import ask
from tests.e2e.wsclient import WebSocketClient

pytestmark = pytest.mark.slow
OPTIONS = (*LOOPBACK, "--auth", "memory:ada:lovelace", "--trust-forwarded", "127.0.0.1")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LOGIN = "Basic YWRhOmxvdmVsYWNl"
WRONG = "Basic Ym9iOmNsYW5kZXN0aW5l"


def act(gateway: GatewayProcess) -> None:
    """Have one record of each kind, and a sum of refusals."""
    with backend(echo) as server:
        headers = (f"Authorization: {LOGIN}",)
        with WebSocketClient(gateway.port, f"host=127.0.0.1&port={server.port}", headers=headers) as client:
            client.send(b"hello")
            assert client.read(5) == b"hello"
            client.close()
            client.expect_close()
        gateway.wait_for_log("client-closed")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = {"host": "127.0.0.1", "port": listener.getsockname()[1]}
        assert ask(gateway, "POST", "/api/ping", place, Authorization=LOGIN)[0] == 200
    assert ask(gateway, "POST", "/api/ssh/connect", {"host": "127.0.0.2"}, Authorization=LOGIN)[0] == 403
    assert ask(gateway, "POST", "/api/ping", place, Authorization=WRONG, traceparent=TRACE)[0] == 401
    for _ in range(14):
        assert ask(gateway, "POST", "/api/ping", place, Origin="https://evil.example")[0] == 403
    _, answer, _ = ask(gateway, "GET", "/", X_Request_Id="abc-1", X_Forwarded_For="198.51.100.7")
    assert answer["X-Request-Id"] == "abc-1"


def test_every_line_is_json(tmp_path: Path) -> None:
    """Those of the gateway and those of Twisted, from the first to the last, with a date that parses."""
    with gateway_process(tmp_path, *OPTIONS, "--log-format", "json") as gateway:
        act(gateway)
        gateway.stop()
        lines = [json.loads(line) for line in gateway.log.splitlines()]
    assert all(datetime.fromisoformat(line["timestamp"]).tzinfo for line in lines)
    by_name: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_name.setdefault(line.get("event.name", ""), []).append(line)
    assert set(by_name) == {
        "",
        *(f"portofcall.{kind}" for kind in ("tunnel.opened", "tunnel.ended", "ping.ended", "banner.ended")),
        *("portofcall.refused", "portofcall.request"),
    }
    (ended,) = by_name["portofcall.tunnel.ended"]
    assert (ended["user.id"], ended["portofcall.bytes.up"], ended["portofcall.result"]) == (
        *("ada", 5),
        "client-closed",
    )
    refused = by_name["portofcall.refused"]
    assert [line["error.type"] for line in refused] == ["unauthorized", *["origin-refused"] * 11]
    assert refused[0]["portofcall.login.user"] == "bob"
    assert refused[0]["trace_id"] == TRACE[3:35]
    assert refused[-1]["portofcall.more"] == 4
    (served,) = by_name["portofcall.request"]
    assert (served["session.id"], served["client.address"]) == ("abc-1", "198.51.100.7")
    assert served["portofcall.proxy.address"] == "127.0.0.1"
    assert "lovelace" not in gateway.log
    assert "clandestine" not in gateway.log


def test_text_has_a_line_for_each_record(tmp_path: Path) -> None:
    """With the same ids, and a date that parses."""
    with gateway_process(tmp_path, *OPTIONS) as gateway:
        act(gateway)
        gateway.stop()
        lines = gateway.log.splitlines()
    assert all(datetime.fromisoformat(line.partition(" ")[0]) for line in lines)
    ids = re.findall(r" id=(\S+)", gateway.log)
    assert len(ids) == 2 + 1 + 1 + 1 + 11 + 1
    assert len(set(ids)) == len(ids) - 1, "a tunnel has two lines"
    assert lines[-1].endswith("Server Shut Down.")
    assert "(and 4 more like this)" in gateway.log
