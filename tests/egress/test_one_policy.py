"""Every way in has the same policy: tunnel and ping end as the policy alone says, and dial nothing else."""

import json
from ipaddress import ip_address, ip_interface
from urllib.parse import quote_from_bytes

import pytest

from portofcall.egress.local_networks import LocalNetworks
from portofcall.egress.policy import Policy
from portofcall.limits.values import Limits, Rate
from portofcall.target import Target, destination
from portofcall.testing import WebSocketClient, World, upgrade_request
from tests.support import Post, corpus

FREE = Rate(0, 0)
LIMITS = Limits(
    max_tunnels=0,
    max_per_client=0,
    max_per_target=0,
    max_per_client_target=0,
    rate_per_client=FREE,
    rate_per_target=FREE,
)
#: What a name resolves to where the corpus does not say.
ANSWER = "93.184.215.14"

Row = tuple[str, str, str | int, list[str]]
ROWS: list[Row] = [
    (verdict, host, port, [str(address) for address in addresses] if addresses is not None else [ANSWER])
    for verdict, host, port, addresses, _ in corpus()
]


def world_where(addresses: list[str]) -> World:
    """Make a world under the default policy, in which every name resolves to the addresses."""
    world = World(limits=LIMITS)
    # Whatever spelling the gateway makes of it, there is only this one name to resolve.
    world.resolver.default = addresses
    return world


def dialled(world: World) -> set[str]:
    """Let all attempts start, and return the addresses that were tried."""
    world.reactor.pump([0.4] * 8)
    return {host for host, _ in world.dialed}


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_tunnel_ends_as_the_policy_says(row: Row) -> None:
    """4400, 4403, or a dial to the judged addresses only."""
    verdict, host, port, addresses = row
    world = world_where(addresses)
    encoded = quote_from_bytes(host.encode("utf-8", "surrogatepass"))
    transport = world.connect()
    transport.send(upgrade_request(f"host={encoded}&port={quote_from_bytes(str(port).encode())}"))
    answer = transport.take()
    if verdict == "allow":
        target = Target.parse(host, port)
        judged = [target.address] if target.address is not None else map(ip_address, addresses)
        assert dialled(world) == {str(destination(address)) for address in judged}
        return
    assert dialled(world) == set()
    codes = {"invalid": [b"\x11\x30"], "block": [b"\x11\x33"] if addresses else [b"\x11\x33", b"\x11\x34"]}
    assert any(code in answer.partition(b"\r\n\r\n")[2][:4] for code in codes[verdict])


@pytest.mark.parametrize("row", [row for row in ROWS if type(row[2]) is int], ids=lambda row: row[1])
def test_ping_ends_as_the_policy_says(row: Row) -> None:
    """400, 403, or a dial to the judged addresses only."""
    verdict, host, port, addresses = row
    world = world_where(addresses)
    post = Post(world, "/api/ping", json.dumps({"host": host, "port": port}).encode())
    if verdict == "allow":
        assert dialled(world)
        return
    assert dialled(world) == set()
    statuses = {"invalid": {400}, "block": {403} if addresses else {403, 502}}
    assert post.response.status in statuses[verdict]


def test_answer_that_changes_gains_nothing() -> None:
    """A resolver that says public first and loopback second is asked once, and the first is dialled."""
    world = World()
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    world.resolver.names = {"rebind.example.com": answers[0]}
    WebSocketClient(world, upgrade_request("host=rebind.example.com&port=80"))
    assert world.resolver.asked == ["rebind.example.com"]
    assert world.dialed == [("93.184.215.14", 80)]
    world.resolver.names = {"rebind.example.com": answers[1]}
    code, _ = WebSocketClient(world, upgrade_request("host=rebind.example.com&port=80")).close_frame()
    assert code == 4403
    assert world.dialed == [("93.184.215.14", 80)]
    assert len(world.resolver.asked) == 2


def test_policy_that_is_replaced_counts_from_then_on() -> None:
    """For the next tunnel; those that are open stay."""
    world = World()
    first = WebSocketClient(world)
    world.gateway.policy = Policy.parse(allow=["public"], deny=["93.184.0.0/16"])
    assert WebSocketClient(world).close_frame()[0] == 4403
    first.backend.send(b"still here")
    assert first.received() == [(2, b"still here")]


def test_this_machine_and_its_neighbours_are_closed_to_tunnel_ping_and_banner() -> None:
    """Until a rule names them, by any way in."""
    world = World()
    world.local_networks = LocalNetworks.of([ip_interface(f"{ANSWER}/24")])
    assert WebSocketClient(world, upgrade_request(f"host={ANSWER}&port=80")).close_frame()[0] == 4403
    for path in ("/api/ping", "/api/ssh/connect"):
        assert Post(world, path, {"host": "93.184.215.1", "port": 80}).response.status == 403
    assert world.dialed == []
    world.gateway.policy = Policy.parse(allow=["public", ANSWER])
    WebSocketClient(world, upgrade_request(f"host={ANSWER}&port=80"))
    assert world.dialed == [(ANSWER, 80)]
