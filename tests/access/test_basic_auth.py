"""An Authorization header is a user and a password, or refused."""

from base64 import b64encode
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from twisted.cred.credentials import IUsernamePassword
from zope.interface.verify import verifyObject

from portofcall.access.basic_auth import Login, parse_basic
from portofcall.errors import Unauthorized
from tests.support import basic


def test_scheme_in_any_case_and_password_with_colons() -> None:
    """As in RFC 7617."""
    login = parse_basic([b"bAsIc  " + b64encode(b"me:a:b c:")])
    assert (login.username, login.password) == (b"me", b"a:b c:")


@given(st.text(min_size=1, max_size=30), st.text(max_size=30))
def test_user_and_password_are_parsed_byte_for_byte(user: str, password: str) -> None:
    """Those that Basic can't express are refused."""
    try:
        header = basic(user, password)
    except UnicodeEncodeError:
        return
    control = any(ord(c) < 32 or 127 <= ord(c) < 160 for c in user + password)
    if control or ":" in user:
        with suppress(Unauthorized):
            assert parse_basic(header).username != user.encode()
    else:
        login = parse_basic(header)
        assert (login.username, login.password) == (user.encode(), password.encode())


@given(
    st.lists(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"Basic " + data), max_size=2)
)
def test_every_header_is_a_login_or_refused(authorization: list[bytes]) -> None:
    """No other exception, whatever a client sends."""
    with suppress(Unauthorized):
        assert parse_basic(authorization).username


def test_login_is_what_checkers_expect() -> None:
    """It compares the password itself, and does not show it."""
    login = Login(b"me", b"right")
    assert verifyObject(IUsernamePassword, login)
    assert login.checkPassword(b"right")
    assert not login.checkPassword(b"righ")
    assert b"right" not in repr(login).encode()
