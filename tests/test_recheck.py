"""After a reload, open tunnels that the policy no longer allows are closed; the others notice nothing."""

from twisted.internet.error import ConnectionRefusedError

from portofcall.egress.named_target import Targets
from portofcall.egress.policy import Policy
from portofcall.limits.values import Limits
from portofcall.recheck import _AT_A_TIME
from portofcall.testing import PUBLIC, WebSocketClient, World, upgrade_request
from tests.support import turn

OTHER = "93.184.215.15"
DENYING = Policy.parse(allow=["public"], deny=[OTHER])


def client(world: World, query: str = f"host={OTHER}&port=22") -> WebSocketClient:
    """Open a tunnel."""
    return WebSocketClient(world, upgrade_request(query))


def summary(logged: list[str]) -> list[str]:
    """Return the lines about judged tunnels."""
    return [line for line in logged if line.startswith("open tunnels judged again")]


def test_tunnel_that_is_no_longer_allowed_gets_4403_after_what_was_queued(logged: list[str]) -> None:
    """With the reason; a tunnel that is still allowed stays open."""
    world = World()
    blocked, allowed = client(world), client(world, f"host={PUBLIC}&port=22")
    blocked.backend.protocol.dataReceived(b"the last")
    world.gateway.policy = DENYING
    world.reactor.advance(10)
    assert [frame[0] for frame in blocked.received()] == [2], "without a recheck open tunnels stay"
    blocked.backend.protocol.dataReceived(b"more")
    world.gateway.recheck()
    data, (opcode, close) = blocked.received()
    assert (data, opcode) == ((2, b"more"), 8)
    assert close[:2] == (4403).to_bytes(2, "big")
    assert close[2:].decode() == f'blocked: denied by rule "{OTHER}"'
    allowed.backend.protocol.dataReceived(b"still here")
    assert allowed.received() == [(2, b"still here")]
    assert summary(logged) == ["open tunnels judged again: 2, no longer allowed: 1"]


def test_name_is_not_looked_up_again() -> None:
    """The address that was dialled counts, not what the name has now."""
    world = World(names={"a.example": [OTHER]})
    tunnel = client(world, "host=a.example&port=22")
    world.resolver.names["a.example"] = [PUBLIC]
    world.gateway.policy = DENYING
    world.gateway.recheck()
    assert tunnel.close_frame()[0] == 4403
    assert world.resolver.asked == ["a.example"]


def test_named_target_that_is_gone_is_closed(logged: list[str]) -> None:
    """The client learns the name only, the log where it leads now."""
    world = World(targets=["db=10.0.0.5:5432", "other=10.0.0.6:5432"], allow=())
    gone, moved = client(world, "target=db"), client(world, "target=other")
    world.gateway.targets = Targets.parse(["other=10.0.0.7:5432"])
    world.gateway.recheck()
    assert gone.close_frame() == (4403, "blocked: db is no target of this gateway any more")
    assert moved.close_frame() == (4403, "blocked: other leads elsewhere now")
    assert "target other (10.0.0.6:5432): now other (10.0.0.7:5432)" in logged


def test_tunnel_that_is_being_dialled_is_judged_when_it_is_open(logged: list[str]) -> None:
    """It was judged by the old policy; if it is never opened, nothing is left to do."""
    world = World(names={"slow.example": None, "never.example": None})
    tunnels = [client(world, f"host={name}.example&port=22") for name in ("slow", "never")]
    world.gateway.policy = DENYING
    world.gateway.recheck()
    assert tunnels[0].received() == []
    assert summary(logged) == []
    world.reactor.advance(30)
    world.reactor.advance(1)
    assert [tunnel.close_frame()[0] for tunnel in tunnels] == [4504, 4504]
    assert summary(logged) == ["open tunnels judged again: 0, no longer allowed: 0"]


def test_tunnel_that_is_dialled_before_its_response_is_judged_too(logged: list[str]) -> None:
    """One whose dial fails never becomes a tunnel, and nothing is left to do for it."""
    world = World()
    clients = [world.connect() for _ in range(2)]
    for each in clients:
        each.send(upgrade_request(f"address={OTHER}:22", path="/v1"))
    world.gateway.policy = DENYING
    world.gateway.recheck()
    assert summary(logged) == []
    world.accept(0)
    world.refuse(ConnectionRefusedError(), 1)
    world.reactor.advance(1)
    opened, failed = (each.take() for each in clients)
    assert b'\x11\x33blocked: denied by rule "' in opened
    assert failed.startswith(b"HTTP/1.1 502 ")
    assert summary(logged) == ["open tunnels judged again: 1, no longer allowed: 1"]


def test_many_tunnels_are_judged_in_many_turns(logged: list[str]) -> None:
    """So that none of them waits long; a second reload meanwhile begins anew."""
    unlimited = Limits(max_per_client=0, max_per_target=0, max_per_client_target=0)
    world = World(limits=unlimited)
    tunnels = [client(world) for _ in range(2 * _AT_A_TIME + 1)]
    world.gateway.recheck()
    world.gateway.policy = DENYING
    world.gateway.recheck()
    ended = [sum(bool(tunnel.received()) for tunnel in tunnels)]
    for _ in range(2):
        turn(world.reactor)
        ended.append(sum(bool(tunnel.received()) for tunnel in tunnels))
    assert ended == [_AT_A_TIME, _AT_A_TIME, 1]
    assert summary(logged) == [
        f"open tunnels judged again: {len(tunnels)}, no longer allowed: {len(tunnels)}"
    ]
