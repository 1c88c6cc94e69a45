"""The WebSocket end speaks RFC 6455 to the client and plain bytes to the tunnel."""

import base64
import hashlib
import struct
from typing import Any

import pytest
from zope.interface.verify import verifyClass

from portofcall.limits.values import KiB, Limits
from portofcall.relay.interfaces import IClientEnd
from portofcall.testing import (
    KEY,
    PUBLIC,
    FakeTransport,
    WebSocketClient,
    World,
    pack_frame,
    upgrade_request,
)
from portofcall.websocket.end import WebSocketEnd
from tests.support import sentences


def test_end_provides_what_the_tunnel_expects() -> None:
    """The interface is complete."""
    assert verifyClass(IClientEnd, WebSocketEnd)


def test_handshake_is_answered_as_the_rfc_says() -> None:
    """RFC 6455 §4.2.2: 101, and the key's hash."""
    answer = WebSocketClient(World()).response
    assert answer.status == 101
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    expected = base64.b64encode(hashlib.sha1((KEY + guid).encode()).digest()).decode()
    assert answer.headers["sec-websocket-accept"] == expected
    assert "sec-websocket-protocol" not in answer.headers
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        ("binary", "binary"),
        ("base64, binary", "binary"),
        ("binary,chat", "binary"),
        ("base64", None),
        ("Binary", None),
    ],
)
def test_subprotocol_binary_is_agreed_on_if_offered(offered: str, agreed: str | None) -> None:
    """Anywhere in the list; any other is passed over."""
    answer = WebSocketClient(World(), upgrade_request(Sec_WebSocket_Protocol=offered)).response
    assert answer.status == 101
    assert answer.headers.get("sec-websocket-protocol") == agreed


def test_compression_is_never_agreed_on() -> None:
    """Tunnelled bytes are mostly encrypted already, and messages are relayed in pieces."""
    offer = "permessage-deflate; client_max_window_bits, permessage-bzip2"
    answer = WebSocketClient(World(), upgrade_request(Sec_WebSocket_Extensions=offer)).response
    assert answer.status == 101
    assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Sec_WebSocket_Version": None},
        {"Sec_WebSocket_Version": "8"},
    ],
)
def test_request_without_an_upgrade_is_426(changes: dict[str, Any]) -> None:
    """The response names the upgrade that is required."""
    answer = WebSocketClient(World(), upgrade_request(**changes)).response
    assert answer.status == 426
    assert answer.headers["upgrade"] == "websocket"
    assert answer.headers["sec-websocket-version"] == "13"


def test_header_lists_and_cases_of_browsers_are_understood() -> None:
    """Firefox says ``keep-alive, Upgrade``, some say ``WebSocket``."""
    changes = {"Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade"}
    assert WebSocketClient(World(), upgrade_request(**changes)).response.status == 101


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "too short"},
        {"Host": None},
        {"Origin": "http://a\x85Origin: http://b"},
        {"User_Agent": "a\x0bb"},
        {"X_Anything": "a\x1cb"},
        {"X_Anything": "caf\xe9"},
    ],
)
def test_invalid_headers_are_400(changes: dict[str, Any]) -> None:
    """Bytes at which Autobahn would split a header never reach it."""
    answer = WebSocketClient(World(), upgrade_request(**changes)).response
    assert answer.status == 400
    assert answer.headers["x-frame-options"] == "DENY"


def test_other_methods_are_405() -> None:
    """RFC 6455 §4.1: the method is GET."""
    answer = WebSocketClient(World(), upgrade_request(method="POST")).response
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_messages_become_bytes_and_bytes_become_binary_messages() -> None:
    """Binary and text go to TCP unchanged; what comes back is binary."""
    client = WebSocketClient(World())
    client.send(pack_frame(2, b"\x00\xff") + pack_frame(1, "grüß".encode()) + pack_frame(2, b""))
    assert client.backend.take() == b"\x00\xff" + "grüß".encode()
    client.backend.send(b"answer")
    assert client.received() == [(2, b"answer")]


def test_fragments_and_pieces_are_relayed_as_they_arrive() -> None:
    """Nothing waits for the end of a message: half a frame is half the bytes."""
    client = WebSocketClient(World())
    whole = pack_frame(2, b"first ", fin=False) + pack_frame(9, b"ping") + pack_frame(0, b"second")
    client.send(whole[:9])
    assert client.backend.take() == b"fir"
    for index in range(9, len(whole)):
        client.send(whole[index : index + 1])
    assert client.backend.take() == b"st second"
    assert client.received() == [(10, b"ping")]


def test_large_reads_are_split_into_messages() -> None:
    """No message sent out is larger than --max-message."""
    client = WebSocketClient(World(limits=Limits(max_message_bytes=1 * KiB)))
    data = bytes(range(256)) * 10
    client.backend.send(data)
    messages = client.received()
    assert [len(payload) for _, payload in messages] == [1024, 1024, 512]
    assert b"".join(payload for _, payload in messages) == data


def test_frames_sent_with_the_handshake_are_not_lost() -> None:
    """A client may send before it has the response."""
    client = WebSocketClient(World(), upgrade_request() + pack_frame(2, b"hasty"))
    assert client.response.status == 101
    assert client.backend.take() == b"hasty"


def test_close_frame_is_replied_to_and_the_backend_gets_fin() -> None:
    """RFC 6455 §5.5.1: the reply to a Close frame is one, and the server closes TCP first."""
    client = WebSocketClient(World(), upgrade_request(Origin="http://gateway"))
    client.send(pack_frame(2, b"bye") + pack_frame(8, struct.pack("!H", 4321) + b"done"))
    assert client.close_frame() == (4321, "done")
    assert client.transport.log[-1] == "fin"
    assert client.backend.log[-1] == "fin"
    assert client.backend.take() == b"bye"


@pytest.mark.parametrize(("code", "reason"), [(1000, b""), (4321, b"done"), (None, b"")])
def test_close_frame_of_a_program_is_answered_after_the_backend(code: int | None, reason: bytes) -> None:
    """With the client's own code, and with nothing if it gave none; what it sends afterwards is ignored."""
    client = WebSocketClient(World())
    payload = b"" if code is None else struct.pack("!H", code) + reason
    client.send(pack_frame(2, b"bye") + pack_frame(8, payload) + pack_frame(9, b"?") + pack_frame(2, b"late"))
    client.send(pack_frame(2, b"later") + pack_frame(0, b"what") + pack_frame(8, payload))
    assert client.backend.take() == b"bye"
    assert client.backend.log[-1] == "fin"
    client.backend.protocol.dataReceived(b"answer")
    assert client.received() == [(2, b"answer")]
    client.backend.protocol.readConnectionLost()
    assert client.received() == [(8, payload)]
    assert client.transport.log[-1] == "fin"


def test_close_frame_of_a_program_leaves_backpressure_as_it_is() -> None:
    """A slow program must not fill the memory with the answer."""
    client = WebSocketClient(World(limits=Limits(high_water_bytes=256 * KiB)))
    client.send(pack_frame(8, struct.pack("!H", 1000)))
    client.backend.protocol.dataReceived(bytes(70 * KiB))
    client.backend.protocol.dataReceived(bytes(257 * KiB))
    assert client.backend.paused
    client.transport.take()
    assert not client.backend.paused


def test_without_a_grace_every_client_is_answered_at_once() -> None:
    """--close-grace 0."""
    client = WebSocketClient(World(limits=Limits(close_grace_seconds=0)))
    client.send(pack_frame(8, struct.pack("!H", 1000)))
    assert client.close_frame() == (1000, "")


def test_backend_that_closes_gives_1000_and_tcp_is_closed_without_a_reset() -> None:
    """After the client's reply the connection ends with FIN."""
    client = WebSocketClient(World())
    client.backend.protocol.readConnectionLost()
    assert client.close_frame() == (1000, "")
    client.send(pack_frame(8, struct.pack("!H", 1000)))
    assert client.transport.log == ["nodelay=True", "keepalive=True", "close"]


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [
        ("host=10.0.0.1&port=22", 4403, "blocked: 10.0.0.1"),
        ("host=no.example.com&port=22", 4404, "name-not-found: no.example.com"),
        ("host=127.1&port=22", 4400, "invalid-target: host"),
        ("host=a.example.com&port=70000", 4400, "invalid-target: port"),
        ("host=a.example.com", 4400, "invalid-target: port"),
        ("port=22", 4400, "invalid-target: host"),
        ("host=a.example.com&host=b.example.com&port=22", 4400, "invalid-target: host"),
        ("host=a.example.com&port=22&port=22", 4400, "invalid-target: port"),
        ("host=%ff&port=22", 4400, "invalid-target: host"),
        ("", 4400, "invalid-target: host"),
    ],
)
def test_errors_about_the_target_are_close_frames(query: str, code: int, reason: str) -> None:
    """The upgrade succeeds, so that page JavaScript can read why there is no tunnel."""
    client = WebSocketClient(World(), upgrade_request(query))
    assert client.response.status == 101
    sent_code, sent_reason = client.close_frame()
    assert sent_code == code
    assert sent_reason.startswith(reason)
    assert len(sent_reason.encode()) <= 123


def test_client_that_only_pings_does_not_fill_the_memory() -> None:
    """While it does not read, only the latest 32 pongs are kept (RFC 6455 §5.5.3)."""
    client = WebSocketClient(World())
    client.backend.send(bytes(70 * KiB))
    for number in range(900):
        client.send(pack_frame(9, b"%125d" % number))
    assert len(client.transport.buffer) < 71 * KiB
    pongs = [int(payload) for opcode, payload in client.received() if opcode == 10]
    assert pongs == list(range(868, 900))
    client.send(pack_frame(9, b"again"))
    assert client.received() == [(10, b"again")]


def test_client_without_a_close_frame_resets_the_backend() -> None:
    """No Close frame, no clean end."""
    client = WebSocketClient(World())
    client.transport.lose()
    assert client.backend.log[-1] == "reset"


def test_tunnels_are_logged_with_their_outcome(logged: list[str]) -> None:
    """One line at the beginning, one at the end, with the bytes of both directions."""
    client = WebSocketClient(World())
    client.send(pack_frame(2, b"12345") + pack_frame(8, struct.pack("!H", 1000)))
    client.transport.lose()
    client.backend.lose()
    assert sentences(logged, "tunnel ") == [
        f"tunnel 192.0.2.1:40000 -> {PUBLIC}:22 opened",
        f"tunnel 192.0.2.1:40000 -> {PUBLIC}:22 closed: the client closed "
        "(5 bytes up, 0 bytes down, 0 bytes undelivered)",
    ]


def test_shut_down_ends_every_tunnel_with_1001() -> None:
    """It is over when the last one is."""
    world = World()
    clients = [WebSocketClient(world), WebSocketClient(world)]
    over: list[None] = []
    world.gateway.shut_down().addCallback(over.append)
    for client in clients:
        assert client.close_frame() == (1001, "the gateway is shutting down")
        assert over == []
        client.send(pack_frame(8, struct.pack("!H", 1001)))
        client.transport.lose()
        client.backend.lose()
    assert over == [None]


def test_shut_down_of_an_idle_gateway_is_over_at_once() -> None:
    """There is nothing to wait for."""
    over: list[None] = []
    World().gateway.shut_down().addCallback(over.append)
    assert over == [None]


def test_http_leaves_no_producer_behind() -> None:
    """The HTTP channel is the transport's producer until the upgrade, then the tunnel is."""
    world = World()
    client = WebSocketClient(world)
    transport: FakeTransport = client.transport
    assert type(transport.producer).__module__ == "portofcall.websocket.ping_pong"


@pytest.mark.parametrize("opcode", [9, 10])
def test_flood_of_control_frames_is_closed_with_1008(opcode: int) -> None:
    """1000 at once are allowed, and 100 per second; one more is not."""
    world = World()
    client = WebSocketClient(world)
    client.send(pack_frame(opcode, b"x") * 1000)
    assert all(got == 10 for got, _ in client.received())
    world.reactor.advance(1)
    client.send(pack_frame(opcode, b"x") * 100)
    assert all(got == 10 for got, _ in client.received())
    client.send(pack_frame(opcode, b"x"))
    code, reason = client.close_frame()
    assert (code, reason) == (1008, "more than 100 control frames per second")
    assert client.backend.log[-1] == "reset"


def test_message_in_too_many_small_frames_is_closed_with_1009() -> None:
    """1024 frames are allowed, one more is not; a new message counts anew."""
    client = WebSocketClient(World())
    for _ in range(2):
        client.send(
            pack_frame(2, b"1", fin=False) + pack_frame(0, b"2", fin=False) * 1022 + pack_frame(0, b"3")
        )
    assert client.received() == []
    assert len(client.backend.take()) == 2048
    client.send(pack_frame(2, b"1", fin=False) + pack_frame(0, b"2", fin=False) * 1024)
    code, reason = client.close_frame()
    assert (code, reason) == (1009, "a message may have at most 1024 frames of less than 1 KiB")
    assert client.backend.log[-1] == "reset"


def test_busy_target_is_4429() -> None:
    """More connections to one address and port than --max-per-target."""
    world = World(limits=Limits(max_per_target=1))
    first = WebSocketClient(world)
    assert first.backend is not None
    code, reason = WebSocketClient(world).close_frame()
    assert code == 4429
    assert reason.startswith("target-busy: ")
    first.send(pack_frame(8, struct.pack("!H", 1000)))
    first.transport.lose()
    first.backend.lose()
    third = WebSocketClient(world)
    assert third.response.status == 101
    assert third.received() == []


def test_ends_have_autobahns_options_as_the_factory_set_them() -> None:
    """They are set once, on the class; so is an option that Autobahn adds."""
    from autobahn.twisted.websocket import WebSocketServerProtocol

    from portofcall.websocket.end import WebSocketFactory

    nobody: Any = None
    factory = WebSocketFactory(limits=Limits(), reactor=World().reactor, readiness=nobody)
    end: Any = factory.build(nobody, nobody)
    assert end.failByDrop is True
    assert end.closeHandshakeTimeout == 0
    assert all(hasattr(end, name) for name in WebSocketServerProtocol.CONFIG_ATTRS)
