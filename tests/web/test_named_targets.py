"""Clients ask for a target by its name, and no response shows what it leads to."""

import json

import pytest

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.testing import PUBLIC, WebSocketClient, World, pack_frame, request, upgrade_request
from tests.support import Post, sentences

TARGETS = ["db=10.9.0.5:5432", "x11=unix:/run/secret.sock", "gone=secret.internal:22"]
SECRETS = (b"10.9.", b"secret", b"5432")


def names_only() -> World:
    """Make a world in which nothing but the targets can be reached."""
    return World(allow=(), targets=TARGETS)


@pytest.mark.parametrize(
    ("name", "where", "shown"),
    [
        ("db", ("10.9.0.5", 5432), "db (10.9.0.5:5432)"),
        ("x11", ("/run/secret.sock", 0), "x11 (unix:/run/secret.sock)"),
    ],
)
def test_tunnel_to_a_named_target(name: str, where: tuple[str, int], shown: str, logged: list[str]) -> None:
    """Bytes go both ways; the log has the name and what it leads to."""
    world = names_only()
    client = WebSocketClient(world, upgrade_request(f"target={name}"))
    assert world.dialed == [where]
    client.send(pack_frame(2, b"hello"))
    assert client.backend.take() == b"hello"
    client.backend.send(b"hello to you")
    assert client.received() == [(2, b"hello to you")]
    client.send(pack_frame(8, b"\x03\xe8"))
    client.backend.lose()
    client.transport.lose()
    opened, closed = sentences(logged, "tunnel ")
    assert opened == f"tunnel 192.0.2.1:40000 -> {shown} opened"
    assert closed.startswith(f"tunnel 192.0.2.1:40000 -> {shown} closed: ")


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ("target=other", 4404, "unknown-target: there is no target other"),
        ("target=gone", 4404, "name-not-found: gone has no address"),
        ("target=", 4400, "invalid-target: target: expected a name of 1 to 63 letters"),
        ("target=a/b", 4400, "invalid-target: target: expected a name of 1 to 63 letters"),
        ("target=%ff", 4400, "invalid-target: target must be UTF-8"),
        ("target=db&target=db", 4400, "invalid-target: target must be given once in the query"),
        ("target=db&host=10.9.0.5", 4400, "invalid-target: target must be given without host and port"),
        ("target=db&port=5432", 4400, "invalid-target: target must be given without host and port"),
        ("target=db&host=&port=", 4400, "invalid-target: target must be given without host and port"),
        (
            f"host={PUBLIC}&port=22",
            4403,
            "blocked: this gateway has named targets only: ask with target=NAME",
        ),
    ],
)
def test_other_queries_end_in_a_close_frame(query: str, code: int, reason: str) -> None:
    """Its code and reason say what is wrong; nothing is dialled."""
    world = names_only()
    found = WebSocketClient(world, upgrade_request(query)).close_frame()
    assert found[0] == code
    assert found[1].startswith(reason)
    assert world.dialed == []


def test_gateway_without_targets_knows_no_name() -> None:
    """As if the target did not exist."""
    assert WebSocketClient(World(), upgrade_request("target=db")).close_frame()[0] == 4404


def test_ping_shows_the_name_only() -> None:
    """In the place of host and port."""
    world = names_only()
    post = Post(world, "/api/ping", {"target": "db"})
    assert world.dialed == [("10.9.0.5", 5432)]
    world.accept()
    answer = post.response
    assert answer.status == 200
    rtt = answer.json["rtt"]
    assert answer.json == {
        "success": True,
        "target": "db",
        "rtt": rtt,
        "message": f"TCP Ping Success: {rtt}ms",
    }


def test_banner_shows_the_name_only() -> None:
    """The port is the target's; the SSH default is for a host without one."""
    world = names_only()
    post = Post(world, "/api/ssh/connect", {"target": "db"})
    world.accept().send(b"SSH-2.0-OpenSSH_9.2p1\r\n")
    answer = post.response.json
    assert answer.pop("rtt") >= 0
    assert answer == {
        "success": True,
        "message": "SSH server reachable",
        "target": "db",
        "banner": "SSH-2.0-OpenSSH_9.2p1",
        "software": "OpenSSH_9.2p1",
        "protocol": "2.0",
        "comments": "",
    }


def test_banner_that_never_comes_is_reported_under_the_name() -> None:
    """As every other error."""
    world = names_only()
    post = Post(world, "/api/ssh/connect", {"target": "db"})
    world.accept()
    world.reactor.advance(10.1)
    answer = post.response
    assert answer.json["error"] == "db did not identify itself within 10 s"


@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"target": "other"}, 404, "unknown-target"),
        ({"target": "gone"}, 502, "name-not-found"),
        ({"target": 5}, 400, "invalid-field"),
        ({"target": None}, 400, "invalid-field"),
        ({"target": "a b"}, 400, "invalid-target"),
        ({"target": "db", "host": "10.9.0.5"}, 400, "invalid-target"),
        ({"target": "db", "port": 5432}, 400, "invalid-target"),
        ({"host": PUBLIC, "port": 22}, 403, "blocked"),
    ],
)
def test_probes_refuse_what_a_tunnel_refuses(
    path: str, fields: dict[str, object], status: int, code: str
) -> None:
    """With the slug of the Close frame, or of an invalid field."""
    world = names_only()
    answer = request(world, "POST", path, json.dumps(fields).encode())
    assert (answer.status, answer.json["code"]) == (status, code)
    assert not any(secret in answer.body for secret in SECRETS)
    assert world.dialed == []


def test_names_are_for_authenticated_clients_only() -> None:
    """The response to others is the same for a name that exists and one that does not."""
    key = TicketKey.load(b"k" * 32)
    world = World(allow=(), targets=TARGETS, credentials=Credentials(ticket_key=key))
    known, unknown = (
        WebSocketClient(world, upgrade_request(f"target={name}")).response for name in ("db", "other")
    )
    assert (known.status, known.body) == (unknown.status, unknown.body)
    assert known.status == 401
    assert world.dialed == []


def test_ticket_for_a_target_opens_this_one_only() -> None:
    """Not another name, and not the host and port that it leads to."""
    key = TicketKey.load(b"k" * 32)
    world = World(allow=["10.9.0.5"], targets=TARGETS, credentials=Credentials(ticket_key=key))
    ticket = key.issue(now=world.now, ttl_seconds=60, target="db")
    for query in ("target=x11", "host=10.9.0.5&port=5432", "target=db&port=5432"):
        client = WebSocketClient(world, upgrade_request(f"{query}&ticket={ticket}"))
        assert client.response.status == 401
        assert client.response.json["error"] == "the ticket is for another target"
    assert world.dialed == []
    client = WebSocketClient(world, upgrade_request(f"target=db&ticket={ticket}"))
    assert client.response.status == 101
    assert world.dialed == [("10.9.0.5", 5432)]


@pytest.mark.parametrize("pin", [{"host": "10.9.0.5"}, {"port": 5432}])
def test_ticket_for_a_host_or_port_opens_no_named_target(pin: dict[str, object]) -> None:
    """Not even one that leads there: its issuer did not speak of names."""
    key = TicketKey.load(b"k" * 32)
    world = World(allow=(), targets=TARGETS, credentials=Credentials(ticket_key=key))
    host, port = pin.get("host"), pin.get("port")
    assert host is None or isinstance(host, str)
    assert port is None or isinstance(port, int)
    ticket = key.issue(now=world.now, ttl_seconds=60, host=host, port=port)
    client = WebSocketClient(world, upgrade_request(f"target=db&ticket={ticket}"))
    assert client.response.status == 401
    assert world.dialed == []
