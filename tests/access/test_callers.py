"""Each request has an id, and a client that it is counted under."""

import re

import pytest

from portofcall.access.gatekeeper import AccessRules
from portofcall.events import Caller, Event, TunnelOpened
from portofcall.testing import WebSocketClient, World, upgrade_request

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BEHIND_PROXY = AccessRules.parse(trusted=["192.0.2.0/24"])


def caller(world: World, **headers: str) -> Caller:
    """Return the caller of a tunnel that was asked for with these headers."""
    seen: list[Event] = []
    world.gateway.observe(seen.append)
    WebSocketClient(world, upgrade_request(**headers))
    return next(event.caller for event in seen if isinstance(event, TunnelOpened))


def test_ids_are_short_and_differ() -> None:
    """Also from those of another process."""
    world = World()
    ids = [caller(each).request_id for each in (world, world, World())]
    assert all(re.fullmatch(r"[a-z2-7]{6}-[0-9a-f]+", text) for text in ids)
    assert len(set(ids)) == 3


@pytest.mark.parametrize("given", ["abc-123", "A" * 64, "6f1e2c3a-0b7d-4e55-9c7e-2b1f3a4d5e6f"])
def test_id_of_a_trusted_proxy_is_kept(given: str) -> None:
    """So that one id leads through the logs of both."""
    assert caller(World(rules=BEHIND_PROXY), X_Request_Id=given).request_id == given


@pytest.mark.parametrize(
    ("rules", "given"),
    [
        (None, "abc-123"),
        (BEHIND_PROXY, "A" * 65),
        (BEHIND_PROXY, "a b"),
        (BEHIND_PROXY, '"],x'),
        (BEHIND_PROXY, "a\r\nX-Request-Id: b"),
    ],
)
def test_any_other_id_is_replaced(rules: AccessRules | None, given: str) -> None:
    """A client's own, one that is too long, one with other characters, and two of them."""
    assert caller(World(rules=rules), X_Request_Id=given).request_id not in ("", given, "a", "b")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (TRACE, TRACE),
        (TRACE.upper(), ""),
        (TRACE + "-x", ""),
        (f"cc{TRACE[2:]}", f"cc{TRACE[2:]}"),
        (f"01{TRACE[2:]}-what-comes_later", f"01{TRACE[2:]}"),
        (f"01{TRACE[2:]}{'-x' * 1000}", f"01{TRACE[2:]}"),
        (f"01{TRACE[2:]}x", ""),
        (f"01{TRACE[2:-1]}", ""),
        (f"ff{TRACE[2:]}", ""),
        (f"01-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"{TRACE}\r\nTraceparent: {TRACE}", ""),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        (f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01", ""),
    ],
)
def test_trace_parent_is_noted_if_it_is_valid(given: str, kept: str) -> None:
    """W3C Trace Context: version 00, and of later ones the same parts, whatever is behind them."""
    assert caller(World(), traceparent=given).trace_parent == kept


def test_client_behind_a_trusted_proxy_is_the_real_one() -> None:
    """The proxy is noted as well; the client's port is not known."""
    found = caller(World(rules=BEHIND_PROXY), X_Forwarded_For="2001:db8::7")
    assert (found.address, found.port, found.proxy) == ("2001:db8::7", None, "192.0.2.1")
    assert found.key == "2001:db8::/64"
    assert str(found) == "2001:db8::7"


def test_other_clients_are_the_other_end_of_the_connection() -> None:
    """What they claim to forward is ignored."""
    found = caller(World(), X_Forwarded_For="198.51.100.9")
    assert (found.address, found.port, found.proxy, found.key) == ("192.0.2.1", 40000, "", "192.0.2.1")
    assert str(found._replace(subject="ada")) == "ada@192.0.2.1:40000"
    assert str(found._replace(address="2001:db8::7")) == "[2001:db8::7]:40000"
