"""The live tunnels are known, logged, looked at, and shut down."""

import struct
from unittest.mock import patch

from portofcall.limits.values import KiB, Limits
from portofcall.relay.tunnel import Tunnel
from portofcall.testing import PUBLIC, WebSocketClient, World, pack_frame


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
    lines = [line for line in logged if line.startswith("tunnel ")]
    assert lines == [
        f"tunnel 192.0.2.1:40000 -> {PUBLIC}:22 opened",
        f"tunnel 192.0.2.1:40000 -> {PUBLIC}:22 closed: client disconnected without a Close frame "
        f"(5 bytes up, {70 * KiB} bytes down, 12 bytes undelivered)",
    ]


def test_log_says_up_to_where_frames_are_counted_as_well(logged: list[str]) -> None:
    """The kernel's queue of a client holds the headers of frames, too."""
    client = WebSocketClient(World())
    client.backend.protocol.dataReceived(b"12345")
    with patch.object(Tunnel, "_lost_down", 2):
        client.transport.lose()
        client.backend.lose()
    assert logged[-1].endswith("(0 bytes up, 3 bytes down, up to 2 bytes undelivered)")


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
