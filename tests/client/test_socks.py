"""SOCKS5 handshakes: every message, split anywhere, and everything that is not one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portofcall.client.problem import Problem, Status
from portofcall.client.socks import (
    Refusal,
    Reply,
    SOCKSHandshake,
    SOCKSLogin,
    reply,
    reply_code,
)

GREETING = b"\x05\x01\x00"
WITH_PASSWORD = b"\x05\x02\x00\x02"
LOGIN = SOCKSLogin(user=b"me", password=b"secret")
BY_NAME = b"\x05\x01\x00\x03\x0adb.example\x15\x38"
#: What a client sends, and the target that it means.
REQUESTS = [
    (BY_NAME, "db.example:5432"),
    (b"\x05\x01\x00\x03\x0bB\xc3\xbccher.Com\x00\x50", "xn--bcher-kva.com:80"),
    (b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", "127.0.0.1:80"),
    (b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50", "[::1]:80"),
]


def refused(data: bytes, login: SOCKSLogin | None = None) -> tuple[str, bytes]:
    """Return the slug of a refusal, and what the client gets."""
    with pytest.raises(Refusal) as caught:
        SOCKSHandshake(login).receive(data)
    return caught.value.problem.slug, caught.value.answer


@pytest.mark.parametrize(("request_", "target"), REQUESTS)
def test_a_handshake_ends_with_the_target(request_: bytes, target: str) -> None:
    """Names go on as they are: the gateway resolves them."""
    handshake = SOCKSHandshake()
    assert handshake.receive(GREETING) == b"\x05\x00"
    assert handshake.receive(request_) == b""
    assert str(handshake.target) == target


@given(st.lists(st.integers(0, 40)))
def test_a_handshake_may_come_in_any_pieces(cuts: list[int]) -> None:
    """Byte by byte, or all at once with data behind it."""
    data = WITH_PASSWORD + b"\x01\x02me\x06secret" + BY_NAME + b"data"
    handshake, answer, at = SOCKSHandshake(LOGIN), b"", 0
    for cut in sorted(cuts):
        answer += handshake.receive(data[at:cut])
        at = max(at, cut)
    answer += handshake.receive(data[at:])
    assert answer == b"\x05\x02\x01\x00"
    assert str(handshake.target) == "db.example:5432"
    assert handshake.take_rest() == b"data"
    assert handshake.take_rest() == b""


@given(st.binary(max_size=600))
def test_nothing_else_is_raised(data: bytes) -> None:
    """Whatever comes, it is a target, a refusal, or not complete; then it is shorter than any message."""
    handshake, refusal = SOCKSHandshake(), None
    try:
        handshake.receive(GREETING + data)
    except Refusal as caught:
        refusal = caught
    assert refusal is not None or handshake.target is not None or len(data) < 3 + 255 + 255
    assert refusal is None or refusal.answer.startswith(b"\x05\x00")


@pytest.mark.parametrize("login", [b"\x01\x02me\x06secreT", b"\x01\x02Me\x06secret", b"\x01\x00\x00"])
def test_a_wrong_password_ends_the_handshake(login: bytes) -> None:
    """With the status of RFC 1929 that means it."""
    assert refused(WITH_PASSWORD + login, LOGIN) == ("socks-authentication", b"\x05\x02\x01\x01")


def test_methods_must_agree() -> None:
    """No acceptable method is FF (RFC 1928 §3)."""
    assert refused(GREETING, LOGIN) == ("socks-authentication", b"\x05\xff")
    assert refused(b"\x05\x01\x02") == ("socks-authentication", b"\x05\xff")
    assert refused(b"\x05\x00") == ("socks-authentication", b"\x05\xff")


def test_other_protocols_get_nothing() -> None:
    """SOCKS4, HTTP from a page, and a wrong version within the handshake."""
    assert refused(b"\x04\x01\x00\x50") == ("socks-version", b"")
    assert refused(b"GET / HTTP/1.1\r\n") == ("socks-version", b"")
    assert refused(GREETING + b"\x04\x01\x00\x01") == ("socks-version", b"\x05\x00")
    assert refused(WITH_PASSWORD + b"\x05\x02", LOGIN) == ("socks-authentication", b"\x05\x02")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x05\x02\x00\x01", Reply.COMMAND_NOT_SUPPORTED),
        (b"\x05\x03\x00\x01", Reply.COMMAND_NOT_SUPPORTED),
        (b"\x05\x01\x00\x05", Reply.ADDRESS_TYPE_NOT_SUPPORTED),
        (b"\x05\x01\x00\x03\x03a b\x00\x50", Reply.FAILURE),
        (b"\x05\x01\x00\x03\x01\xff\x00\x50", Reply.FAILURE),
        (b"\x05\x01\x00\x03\x00\x00\x50", Reply.FAILURE),
        (b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x00", Reply.FAILURE),
    ],
)
def test_a_request_that_cannot_be_met_gets_its_code(message: bytes, code: Reply) -> None:
    """BIND and UDP ASSOCIATE are 7, unknown addresses 8, invalid ones 1."""
    assert refused(GREETING + message)[1] == b"\x05\x00" + reply(code)


@pytest.mark.parametrize(
    ("slug", "status", "code"),
    [
        ("blocked", Status.FORBIDDEN, 2),
        ("origin-refused", Status.FORBIDDEN, 2),
        ("unreachable", Status.TARGET, 3),
        ("name-not-found", Status.TARGET, 4),
        ("refused", Status.TARGET, 5),
        ("connect-timeout", Status.TARGET, 6),
        ("gateway-unreachable", Status.UNREACHABLE, 1),
        ("unauthorized", Status.AUTHENTICATION, 1),
    ],
)
def test_errors_have_the_code_that_means_them(slug: str, status: Status, code: int) -> None:
    """Those of the target; everything about the gateway is a general failure."""
    assert reply(reply_code(Problem(slug, "", status))) == bytes((5, code, 0, 1)) + bytes(6)


@pytest.mark.parametrize("text", ["", "me", ":secret", "me:", "m" * 256 + ":x", "me:" + "x" * 256])
def test_a_login_has_a_user_and_a_password(text: str) -> None:
    """The message quotes nothing."""
    with pytest.raises(ValueError, match=r"^expected USER:PASSWORD, of 1 to 255 bytes each$"):
        SOCKSLogin.parse(text)
    assert SOCKSLogin.parse("me:sec:ret") == SOCKSLogin(user=b"me", password=b"sec:ret")
