"""The opening handshake: exactly RFC 6455 §4.1, and nothing that was not offered."""

import pytest

from portofcall.client.http_response import parse_head
from portofcall.client.opening_handshake import accept, agreed_protocol, is_upgrade, key, request
from portofcall.client.problem import Problem

NONCE = b"the sample nonce"
GOOD = {
    "Upgrade": "WebSocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Accept": accept(NONCE),
}


def agree(**changes: str | None) -> str | None:
    """Return the subprotocol of a response with these headers in addition; None removes one."""
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    head = parse_head("\r\n".join(["HTTP/1.1 101 X", *lines, "", ""]).encode())
    assert head is not None
    assert is_upgrade(head)
    return agreed_protocol(head, nonce=NONCE, offered=("a", "b"))


def test_the_key_of_the_rfc_has_the_answer_of_the_rfc() -> None:
    """RFC 6455 §1.3."""
    assert key(NONCE) == "dGhlIHNhbXBsZSBub25jZQ=="
    assert accept(NONCE) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_request() -> None:
    """Each header once, and the subprotocols in order."""
    text = request("/api/connect?host=h&port=1", [("Host", "gw")], nonce=NONCE, protocols=("a", "b")).decode()
    first, *headers = text.removesuffix("\r\n\r\n").split("\r\n")
    assert first == "GET /api/connect?host=h&port=1 HTTP/1.1"
    assert headers == [
        "Host: gw",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: a, b",
    ]


def test_a_response_may_agree_to_a_protocol_or_to_none() -> None:
    """Other servers know none of ours."""
    assert agree() is None
    assert agree(Sec_WebSocket_Protocol="b") == "b"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Upgrade": None}, "no upgrade"),
        ({"Connection": "close"}, "no upgrade"),
        ({"Sec_WebSocket_Accept": "c2FtcGxl"}, "wrong Sec-WebSocket-Accept"),
        ({"Sec_WebSocket_Accept": None}, "wrong Sec-WebSocket-Accept"),
        ({"Sec_WebSocket_Extensions": "permessage-deflate"}, "extension"),
        ({"Sec_WebSocket_Protocol": "c"}, "subprotocol"),
    ],
)
def test_any_other_response_fails_the_handshake(changes: dict[str, str | None], why: str) -> None:
    """RFC 6455 §4.1: the connection is failed."""
    with pytest.raises(Problem, match=f"bad-handshake: .*{why}"):
        agree(**changes)
