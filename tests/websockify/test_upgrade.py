"""Tunnels in websockify's dialect, to a fixed target."""

import pytest
from twisted.internet.error import ConnectionRefusedError

from portofcall.testing import WebSocketClient, pack_frame, request
from tests.websockify.support import upgrade, websockify_world

TARGET = ("192.0.2.7", 5901)


@pytest.mark.parametrize(
    "path", ["/", "/websockify", "/any/path?token=x", "/api/connect?host=10.0.0.1&port=1"]
)
@pytest.mark.parametrize("origin", [None, "https://elsewhere.example", "null"])
def test_an_upgrade_is_taken_at_any_path_from_any_page(path: str, origin: str | None) -> None:
    """As websockify does; where it leads is not the client's choice."""
    with websockify_world() as world:
        client = WebSocketClient(world, upgrade(path, Origin=origin))
        assert client.response.status == 101
        assert world.dialed == [TARGET]
        client.send(pack_frame(2, b"up") + pack_frame(2) + pack_frame(2, b"!"))
        client.backend.send(b"down")
        assert (client.backend.take(), client.received()) == (b"up!", [(2, b"down")])


@pytest.mark.parametrize(
    ("offered", "agreed"), [(None, None), ("binary", "binary"), ("base64, binary", "binary")]
)
def test_binary_is_agreed_on_if_it_is_offered(offered: str | None, agreed: str | None) -> None:
    """noVNC 1.7 offers nothing; older ones, and Emscripten, offer binary."""
    with websockify_world() as world:
        client = WebSocketClient(world, upgrade(Sec_WebSocket_Protocol=offered))
        assert client.response.headers.get("sec-websocket-protocol") == agreed


def test_the_end_of_the_target_is_websockify_s_close_frame() -> None:
    """Code and reason: clients show them."""
    with websockify_world() as world:
        client = WebSocketClient(world, upgrade(Origin="http://gateway"))
        client.backend.fin()
        assert client.close_frame() == (1000, "Target closed")


def test_a_target_that_refuses_is_named_in_the_close_frame() -> None:
    """Not by its address, which clients need not know."""
    with websockify_world() as world:
        transport = world.connect()
        transport.send(upgrade())
        world.refuse(ConnectionRefusedError())
        assert transport.take().endswith(b"refused: target refused the connection")


def test_what_is_no_upgrade_is_405_without_a_folder() -> None:
    """In plain text."""
    with websockify_world() as world:
        for method in ("GET", "HEAD", "POST"):
            assert request(world, method, "/healthz").status == 405
        assert world.dialed == []


def test_a_name_leads_to_any_address() -> None:
    """The operator has given it, so no rule has to allow it."""
    with websockify_world("6080 db.local:5432", names={"db.local": ["127.0.0.1"]}) as world:
        client = WebSocketClient(world, upgrade())
        assert world.dialed == [("127.0.0.1", 5432)]
        assert client.backend is not None


def test_a_unix_target() -> None:
    """Of --unix-target."""
    with websockify_world("6080 --unix-target /run/vnc.sock") as world:
        WebSocketClient(world, upgrade())
        assert world.dialed == [("/run/vnc.sock", 0)]


def test_one_client_may_have_any_number_of_tunnels() -> None:
    """All clients of a proxy that forwards no addresses are one."""
    with websockify_world() as world:
        clients = [WebSocketClient(world, upgrade()) for _ in range(300)]
        assert {client.response.status for client in clients} == {101}
        assert world.gateway.admission.used == 300
