"""The live tunnels are known, logged, looked at, and shut down."""

import struct
from collections.abc import Sequence
from ipaddress import ip_address
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError

from portofcall.events import Route, Side, Stage, TunnelEnded
from portofcall.limits.values import KiB, Limits
from portofcall.relay.tunnel import Tunnel
from portofcall.target import Address
from portofcall.testing import PUBLIC, FakeResolver, WebSocketClient, World, pack_frame, upgrade_request
from portofcall.websocket.end import WebSocketEnd
from tests.support import sentences


def close(client: WebSocketClient) -> None:
    """Close a tunnel from both sides."""
    client.send(pack_frame(8, struct.pack("!H", 1000)))
    client.transport.lose()
    client.backend.lose()


def test_log_has_what_was_delivered_and_what_was_not(logged: list[str]) -> None:
    """Bytes of both directions, and those that one side sent and the other never got."""
    client = WebSocketClient(World())
    client.send(pack_frame(2, b"12345"))
    client.backend.protocol.dataReceived(bytes(70 * KiB))
    client.backend.protocol.dataReceived(b"in the chain")
    client.transport.lose()
    client.backend.lose()
    assert sentences(logged, "tunnel ") == [
        f"tunnel 192.0.2.1:40000 -> {PUBLIC}:22 opened",
        f"tunnel 192.0.2.1:40000 -> {PUBLIC}:22 closed: client disconnected without a Close frame "
        f"(5 bytes up, {70 * KiB} bytes down, 12 bytes undelivered)",
    ]


def ended(world: World) -> list[TunnelEnded]:
    """Return the list to which the tunnels of a world are added when they are over."""
    found: list[TunnelEnded] = []
    world.gateway.observe(lambda event: found.append(event) if isinstance(event, TunnelEnded) else None)
    return found


def test_end_of_a_tunnel_has_how_long_each_part_of_it_took() -> None:
    """Look-up, dial and the tunnel itself, by the gateway's clock; and the address and the rule."""
    world = World(allow=["db.example"], names={"db.example": None})
    over = ended(world)
    answer: Deferred[Sequence[Address]] = Deferred()
    with patch.object(FakeResolver, "resolve", return_value=answer):
        client = WebSocketClient(world, upgrade_request("host=db.example&port=5432"))
    world.reactor.advance(0.25)
    answer.callback([ip_address(PUBLIC)])
    world.reactor.advance(0.5)
    client.backend = world.accept()
    world.reactor.advance(4)
    close(client)
    route = Route("db.example:5432", f"{PUBLIC}:5432", 'allowed by rule "db.example"', 0.25, 0.5, 500)
    assert [event.route for event in over] == [route]
    assert over[0].seconds == 4.75
    assert over[0].handshake_seconds == 0


def fail_to_dial(world: World, query: str) -> None:
    """Ask for a tunnel that is not opened, and disconnect."""
    WebSocketClient(world, upgrade_request(query)).transport.lose()


def test_end_of_a_tunnel_says_who_ended_it_and_in_which_stage() -> None:
    """And with which Close code."""
    world = World(names={"slow.example": None})
    over = ended(world)
    fail_to_dial(world, "host=10.0.0.1&port=22")
    fail_to_dial(world, "host=x")
    fail_to_dial(world, "host=none.example&port=22")
    fail_to_dial(world, "host=slow.example&port=22")
    client = WebSocketClient(world)
    client.backend.lose()
    client.transport.lose()
    client = WebSocketClient(world, upgrade_request(Origin="http://gateway"))
    client.send(pack_frame(8))
    client.transport.lose()
    client.backend.lose()
    client = WebSocketClient(world)
    client.send(pack_frame(3))
    client.transport.lose()
    client.backend.lose()
    client = WebSocketClient(world)
    world.gateway.shut_down()
    client.transport.lose()
    client.backend.lose()
    assert [(event.slug, event.side, event.stage, event.close_code) for event in over] == [
        ("blocked", Side.GATEWAY, Stage.DNS, 4403),
        ("invalid-target", Side.GATEWAY, Stage.DNS, 4400),
        ("name-not-found", Side.BACKEND, Stage.DNS, 4404),
        ("client-lost", Side.CLIENT, Stage.DNS, 1006),
        ("backend-reset", Side.BACKEND, Stage.OPEN, 1011),
        ("client-closed", Side.CLIENT, Stage.OPEN, 1005),
        ("protocol-error", Side.CLIENT, Stage.OPEN, 1002),
        ("shutting-down", Side.GATEWAY, Stage.OPEN, 1001),
    ]
    assert over[0].route.rule == "10.0.0.1 is private (RFC 1918) and no rule allows it"
    assert over[0].route.address == ""


def test_dial_that_fails_has_the_address_that_was_tried() -> None:
    """And how long it took to fail."""
    world = World()
    over = ended(world)
    refused = world.connect()
    refused.send(upgrade_request(f"host={PUBLIC}&port=23"))
    world.reactor.advance(0.125)
    world.refuse(ConnectionRefusedError())
    refused.lose()
    assert (over[-1].slug, over[-1].side, over[-1].stage) == ("refused", Side.BACKEND, Stage.DIAL)
    assert over[-1].route == Route(f"{PUBLIC}:23", f"{PUBLIC}:23", 'allowed by rule "public"', None, 0.125)


def test_log_says_up_to_where_frames_are_counted_as_well(logged: list[str]) -> None:
    """The kernel's queue of a client holds the headers of frames, too."""
    client = WebSocketClient(World())
    client.backend.protocol.dataReceived(b"12345")
    with patch.object(WebSocketEnd, "unacknowledged_bytes", 2):
        client.transport.lose()
        client.backend.lose()
    assert sentences(logged)[-1].endswith("(0 bytes up, 3 bytes down, up to 2 bytes undelivered)")


def test_every_tunnel_is_looked_at_six_times_while_a_peer_may_be_silent() -> None:
    """A few at a time, so that ten thousand do not hold up the event loop."""
    world = World(limits=Limits(gone_seconds=180))
    clients = [WebSocketClient(world) for _ in range(60)]
    looks: list[int] = []
    seen: list[Tunnel] = []

    def look(tunnel: Tunnel) -> None:
        looks[-1] += 1
        seen.append(tunnel)

    with patch.object(Tunnel, "look_for_gone_peers", look):
        for _ in range(180):
            looks.append(0)
            world.reactor.advance(1)
    assert max(looks) <= 3
    counts = {tunnel: seen.count(tunnel) for tunnel in seen}
    assert len(counts) == 60
    assert min(counts.values()) >= 6
    for client in clients:
        close(client)
    assert not world.reactor.getDelayedCalls(), "nobody looks at a gateway without tunnels"


def test_tunnel_that_ends_during_a_round_is_not_looked_at() -> None:
    """It is over."""
    world = World()
    first, second = WebSocketClient(world), WebSocketClient(world)
    with patch.object(Tunnel, "look_for_gone_peers", autospec=True) as look:
        world.reactor.advance(1)
        close(first)
        close(second)
        world.reactor.advance(100)
        assert look.call_count == 1


def test_abort_resets_every_tunnel_and_shut_down_is_over() -> None:
    """Also those that are being dialled."""
    world = World()
    client = WebSocketClient(world)
    over: list[None] = []
    world.gateway.shut_down().addCallback(over.append)
    world.gateway.abort()
    assert client.transport.log[-1] == "reset"
    assert client.backend.log[-1] == "reset"
    client.transport.lose()
    client.backend.lose()
    assert over == [None]
