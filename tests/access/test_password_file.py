"""Users and passwords of a file; the number of the wrong line is known, and nothing of it is shown."""

from pathlib import Path
from typing import Any

import pytest
from twisted.cred.error import UnauthorizedLogin
from twisted.python.failure import Failure

from portofcall.access.basic_auth import Login
from portofcall.access.password_file import PasswordFile, PasswordFileError, parse_passwords


def check(file: PasswordFile, user: bytes, password: bytes) -> bytes | None:
    """Return the avatar ID; None if the login is refused."""
    found: list[Any] = []
    file.requestAvatarId(Login(user, password)).addBoth(found.append)
    (answer,) = found
    return None if isinstance(answer, Failure) and answer.check(UnauthorizedLogin) else answer


def test_user_has_the_password_of_its_line() -> None:
    """In UTF-8; comments, empty lines, white space at the end and further fields are ignored."""
    file = PasswordFile(
        "--auth",
        Path("passwords"),
        lambda _: "# users\n\nada:lovelace  \r\ngrace:hopper:admiral\nzoë:ünïcode\nbob:a#b",
    )
    assert check(file, b"ada", b"lovelace") == b"ada"
    assert check(file, b"grace", b"hopper") == b"grace"
    assert check(file, "zoë".encode(), "ünïcode".encode()) == "zoë".encode()
    assert check(file, b"bob", b"a#b") == b"bob"
    for user, password in ((b"ada", b"hopper"), (b"grace", b"hopper:admiral"), (b"eve", b""), (b"", b"")):
        assert check(file, user, password) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ada:lovelace\nsecret", "line 2: expected user:password"),
        (":secret", "line 1: expected user:password"),
        ("ada:", "line 1: expected user:password"),
        ("ada::secret", "line 1: expected user:password"),
        ("ada:secret\n\nada:secret", "line 3: expected each user once"),
        ("", "expected at least one line user:password"),
        ("# ada:secret\n", "expected at least one line user:password"),
    ],
)
def test_broken_file_is_refused(text: str, problem: str) -> None:
    """With the line; the line itself may hold a password."""
    with pytest.raises(PasswordFileError) as caught:
        parse_passwords(text)
    assert str(caught.value) == problem


def test_file_that_is_broken_later_keeps_what_it_had() -> None:
    """The error names the option and the file."""
    texts = ["ada:lovelace", "lovelace"]
    file = PasswordFile("--auth", Path("/run/passwords"), lambda _: texts.pop(0))
    with pytest.raises(PasswordFileError) as caught:
        file.read()
    assert str(caught.value) == "--auth file:/run/passwords: line 1: expected user:password"
    assert check(file, b"ada", b"lovelace") == b"ada"
