"""The operator sees which tunnels there are, and ends them."""

import re
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from portofcall.access.authenticator import Credentials
from portofcall.access.gatekeeper import AccessRules
from portofcall.limits.values import KiB, Limits, Rate
from portofcall.testing import PUBLIC, Response, WebSocketClient, pack_frame, upgrade_request
from tests.admin.support import AdminWorld
from tests.support import basic, turn

NO_RATES = Limits(
    rate_per_client=Rate(0, 0),
    rate_per_target=Rate(0, 0),
    request_rate=Rate(0, 0),
    max_per_client_target=0,
    max_per_client=0,
)


def listed(world: AdminWorld, query: str = "") -> list[Any]:
    """Return what ``GET /tunnels`` shows."""
    response = world.ask("GET", f"/tunnels{query}")
    assert response.status == 200, response.body
    found: list[Any] = response.json["tunnels"]
    return found


def open_tunnel(world: AdminWorld, query: str = f"host={PUBLIC}&port=22", **headers: Any) -> WebSocketClient:
    """Open a tunnel."""
    return WebSocketClient(world, upgrade_request(query, **headers))


def test_each_tunnel_is_shown_with_its_request_and_its_dial() -> None:
    """Who is connected where, since when, and what waits."""
    world = AdminWorld(names={"db.example": [PUBLIC]})
    client = open_tunnel(world, "host=db.example&port=5432")
    world.reactor.advance(90)
    client.send(pack_frame(2, b"x" * 1000))
    client.backend.send(b"y" * 20)
    (tunnel,) = listed(world)
    assert tunnel.pop("id")
    assert tunnel == {
        "phase": "open",
        "age_seconds": 90.0,
        "idle_seconds": None,
        "client": "192.0.2.1",
        "port": 40000,
        "subject": "",
        "target": "db.example:5432",
        "address": f"{PUBLIC}:5432",
        "up_bytes": 1000,
        "down_bytes": 20,
        "up_buffered_bytes": 0,
        "down_buffered_bytes": 0,
        "up_paused": False,
        "down_paused": False,
        "up_paused_seconds": 0.0,
        "down_paused_seconds": 0.0,
    }


def test_no_tunnels_are_an_empty_list() -> None:
    """In JSON all the same."""
    assert listed(AdminWorld()) == []


def test_a_slow_reader_is_seen() -> None:
    """What waits for it, that its sender is paused, and for how long."""
    world = AdminWorld(limits=Limits(high_water_bytes=100 * KiB))
    client = open_tunnel(world)
    for _ in range(3):
        client.backend.send(b"y" * 100 * KiB)
    world.reactor.advance(2)
    (tunnel,) = listed(world)
    assert tunnel["down_buffered_bytes"] >= 200 * KiB
    assert (tunnel["down_paused"], tunnel["up_paused"]) == (True, False)
    assert tunnel["down_paused_seconds"] == 2.0


def test_a_tunnel_that_is_being_dialled_has_no_address() -> None:
    """The phase says why."""
    world = AdminWorld(names={"slow.example": None})
    open_tunnel(world, "host=slow.example&port=22")
    (tunnel,) = listed(world)
    assert (tunnel["phase"], tunnel["address"], tunnel["target"]) == ("dialing", "", "slow.example:22")


def test_named_target_is_shown_by_its_name() -> None:
    """And the address tells the operator what it leads to."""
    world = AdminWorld(targets=["db=10.0.0.5:5432"], allow=())
    open_tunnel(world, "target=db")
    (tunnel,) = listed(world)
    assert (tunnel["target"], tunnel["address"]) == ("db", "10.0.0.5:5432")


def test_many_tunnels_are_described_in_several_turns() -> None:
    """One request does not hold up all others."""
    world = AdminWorld(limits=NO_RATES)
    clients = [open_tunnel(world) for _ in range(250)]
    connection = world.admin_connection()
    connection.send(b"GET /tunnels HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert connection.take() == b""
    turn(world.reactor)
    assert len(Response(connection.take()).json["tunnels"]) == len(clients)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?client=192.0.2.1", 1),
        ("?client=::ffff:192.0.2.1", 1),
        ("?client=192.0.2.0/24", 2),
        ("?client=2001:db8::/32", 1),
        ("?client=2001:DB8:0::1", 1),
        ("?client=local", 0),
        ("?client=198.51.100.0/24", 0),
        (f"?target={PUBLIC}:22", 2),
        (f"?target={PUBLIC}", 0),
        ("?target=%5B2606:2800::1%5D:443", 1),
        (f"?client=192.0.2.7&target={PUBLIC}:22", 1),
        ("?", 3),
        ("", 3),
    ],
)
def test_filters_match_what_agrees_with_all_of_them(query: str, found: int) -> None:
    """An address in any spelling, a block of addresses, a target or a subject as it is shown."""
    world = AdminWorld(rules=AccessRules.parse(trusted=["192.0.2.1"]))
    open_tunnel(world)
    open_tunnel(world, X_Forwarded_For="192.0.2.7")
    open_tunnel(world, "host=2606:2800::1&port=443", X_Forwarded_For="2001:db8::1")
    assert len(listed(world, query)) == found


def test_subject_is_filtered_by_its_whole_name() -> None:
    """As a password or a ticket has proved it."""
    checker = InMemoryUsernamePasswordDatabaseDontUse()
    for user in (b"ada", b"adam"):
        checker.addUser(user, b"secret")
    world = AdminWorld(credentials=Credentials(checkers=[checker]))
    for name in ("ada", "adam", "adam"):
        open_tunnel(world, Authorization=basic(name, "secret")[0].decode())
    assert [len(listed(world, f"?subject={name}")) for name in ("ada", "adam", "eve")] == [1, 2, 0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize(
    "query",
    [
        "?client=",
        "?client",
        "?subject=a&client",
        "?client=banana",
        "?client=10.0.0.1/8",
        "?client=" + "1" * 5000,
        "?subject=a&subject=b",
        "?subject=%ff",
        "?host=a",
        "?Client=local",
        "?%00=1",
        "?" + "&".join(["subject=a"] * 200),
    ],
)
def test_junk_in_filters_is_refused_and_ends_nothing(method: str, query: str) -> None:
    """With the field's name; nothing is guessed at, because it might mean more tunnels than were meant."""
    world = AdminWorld()
    client = open_tunnel(world)
    response = world.ask(method, f"/tunnels{query}")
    assert response.status == 400
    assert len(response.json["error"]) < 200
    assert client.received() == []


def test_operator_ends_a_tunnel_by_its_id() -> None:
    """What is queued for the client is delivered, then it gets 4410; the backend's connection is closed."""
    world = AdminWorld()
    client, other = open_tunnel(world), open_tunnel(world)
    client.backend.send(b"last words")
    tunnel_id = listed(world)[0]["id"]
    response = world.ask("DELETE", f"/tunnels/{tunnel_id}")
    assert response.json == {"success": True, "ended": 1}
    *frames, (opcode, payload) = client.received()
    assert frames == [(2, b"last words")]
    assert (opcode, payload[:2], payload[2:].partition(b":")[0]) == (8, b"\x11\x3a", b"ended-by-operator")
    assert other.received() == []


def test_tunnel_that_is_closing_already_is_reset() -> None:
    """The second DELETE does not wait for anything."""
    world = AdminWorld()
    client = open_tunnel(world)
    path = f"/tunnels/{listed(world)[0]['id']}"
    assert world.ask("DELETE", path).json["ended"] == 1
    assert "reset" not in client.transport.log
    assert world.ask("DELETE", path).json["ended"] == 1
    assert "reset" in client.transport.log


def test_operator_ends_all_that_match() -> None:
    """Those to one target, here, and no other."""
    world = AdminWorld()
    ended = [open_tunnel(world) for _ in range(3)]
    kept = open_tunnel(world, f"host={PUBLIC}&port=23")
    assert world.ask("DELETE", f"/tunnels?target={PUBLIC}:22").json["ended"] == 3
    assert {client.close_frame()[0] for client in ended} == {4410}
    assert kept.received() == []


@pytest.mark.parametrize("path", ["/tunnels", "/tunnels?"])
def test_without_a_filter_nothing_is_ended(path: str) -> None:
    """A script with an empty variable must not end everything."""
    world = AdminWorld()
    client = open_tunnel(world)
    assert world.ask("DELETE", path).status == 400
    assert client.received() == []


@pytest.mark.parametrize("path", ["/tunnels/x", "/tunnels/", "/tunnels/%00%ff", "/tunnels/" + "x" * 8000])
def test_unknown_id_is_404(path: str) -> None:
    """Whatever it is."""
    world = AdminWorld()
    client = open_tunnel(world)
    assert world.ask("DELETE", path).status == 404
    assert client.received() == []


def test_many_tunnels_are_ended_in_several_turns() -> None:
    """Each costs time: all at once would hold up the event loop."""
    world = AdminWorld(limits=NO_RATES)
    clients = [open_tunnel(world) for _ in range(60)]
    connection = world.admin_connection()
    connection.send(b"DELETE /tunnels?client=192.0.2.1 HTTP/1.1\r\nHost: gateway\r\n\r\n")
    assert sum(bool(client.received()) for client in clients) == 50
    assert connection.take() == b""
    turn(world.reactor)
    assert Response(connection.take()).json["ended"] == 60


def test_every_field_is_documented() -> None:
    """In the table of docs/monitoring.md."""
    world = AdminWorld()
    open_tunnel(world)
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text("utf-8")
    table = page[page.index("| field of `GET /tunnels`") :].partition("\n\n")[0]
    names = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert names
    assert sorted(names) == sorted(listed(world)[0])
