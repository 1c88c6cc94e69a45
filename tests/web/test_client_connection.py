"""Targets are told where their clients are: first of all, and only those that are to be."""

from unittest.mock import Mock

import pytest

from portofcall.access.client_address import parse_network
from portofcall.access.gatekeeper import AccessRules
from portofcall.testing import PUBLIC, WebSocketClient, World, pack_frame, upgrade_request
from portofcall.web import upgrade
from tests.support import Post

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def world(*send_proxy: str) -> World:
    """A gateway that trusts the address of the fake client as a proxy's."""
    rules = AccessRules(trusted=(parse_network("192.0.2.1"),))
    return World(send_proxy=send_proxy, rules=rules)


def first_line(client: WebSocketClient) -> bytes:
    """Send something, and take what the target gets."""
    client.send(pack_frame(2, b"hello"))
    received: bytes = client.backend.take()
    header, ends, rest = received.partition(b"\r\n")
    assert rest == b"hello"
    return header + ends


def test_header_comes_before_the_first_byte() -> None:
    """It has the address of the client and the one that it connected to."""
    header = first_line(WebSocketClient(world("v1"), upgrade_request()))
    assert header.startswith(b"PROXY TCP4 192.0.2.1 192.0.2.2 40000 ")


def test_real_client_is_named_behind_a_trusted_proxy() -> None:
    """Its port is not known."""
    forwarded = upgrade_request(X_Forwarded_For="2001:db8::7")
    header = first_line(WebSocketClient(world("v1"), forwarded))
    assert header.startswith(b"PROXY TCP6 2001:db8::7 ::ffff:192.0.2.2 0 ")


def test_version_2_has_the_id_that_the_log_has() -> None:
    """So that both logs can be compared."""
    client = WebSocketClient(world("v2"), upgrade_request(X_Request_Id="from-the-proxy"))
    header = client.backend.take()
    assert header.startswith(SIGNATURE + b"\x21\x11")
    assert header.endswith(b"\x05\x00\x0efrom-the-proxy")


def test_client_that_can_not_be_described_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request fails, and the next one finds the place free."""
    made = world("v1")
    monkeypatch.setattr(upgrade, "describe_client", Mock(side_effect=ValueError("malformed")))
    connection = made.connect()
    connection.send(upgrade_request())
    assert connection.take().startswith(b"HTTP/1.1 500 ")
    assert made.gateway.admission.used == 0


@pytest.mark.parametrize("rule", ["v2:203.0.113.0/24", f"v1:{PUBLIC}:2222"])
def test_target_that_no_rule_matches_gets_nothing_but_bytes(rule: str) -> None:
    """It would take the header for data."""
    client = WebSocketClient(world(rule), upgrade_request())
    client.send(pack_frame(2, b"hello"))
    assert client.backend.take() == b"hello"


@pytest.mark.parametrize(
    ("version", "header"), [("v1", b"PROXY UNKNOWN\r\n"), ("v2", SIGNATURE + b"\x20\x00\x00\x00")]
)
@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
def test_probe_is_the_gateways_own(version: str, header: bytes, path: str) -> None:
    """The target is not told of a client that has no connection to it."""
    made = world(version)
    Post(made, path, {"host": PUBLIC, "port": 22})
    assert made.accept().take() == header
