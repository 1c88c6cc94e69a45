"""Passwords from a file, kept in memory: a login reads no file, and a broken file locks nobody out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from portofcall.errors import printable


class PasswordFileError(ValueError):
    """A password file is not valid. The message is one line, with the number of the wrong one."""


def parse_passwords(text: str) -> Mapping[bytes, bytes]:
    """Parse a password file.

    Each line is ``user:password``, without colons in either; what follows a second colon is ignored, and so
    are empty lines and those that begin with ``#``.

    Args:
        text: the file.

    Returns:
        The password of each user.

    Raises:
        PasswordFileError: a line is not one, or its user is there already, or there is no user at all: such a
            file is seldom meant, and often half written. The message quotes nothing.
    """
    passwords: dict[bytes, bytes] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        user, colon, rest = line.rstrip().partition(":")
        if user.startswith("#") or not (user or colon):
            continue
        password = rest.partition(":")[0]
        if not (user and password):
            # An empty password, perhaps of a line that is half written, would admit everybody.
            raise PasswordFileError(f"line {number}: expected user:password")
        if user.encode() in passwords:
            raise PasswordFileError(f"line {number}: expected each user once")
        passwords[user.encode()] = password.encode()
    if not passwords:
        raise PasswordFileError("expected at least one line user:password")
    return passwords


@implementer(ICredentialsChecker)
class PasswordFile:
    """Checks passwords against those of a file, as they were when it was read last.

    Args:
        option: the option that names the file, for errors.
        path: the file.
        read_text: reads it; raises `PasswordFileError` if it can't.

    Attributes:
        option: as given.
        path: as given.
        passwords: those in force; replace them with what `read` returns.

    Raises:
        PasswordFileError: see `read`.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, option: str, path: Path, read_text: Callable[[Path], str]) -> None:
        self.option = option
        self.path = path
        self._read_text = read_text
        self.passwords = self.read()

    def read(self) -> Mapping[bytes, bytes]:
        """Read the file, and change nothing; see `parse_passwords`.

        Raises:
            PasswordFileError: it is not valid; the message names the option and the file.
        """
        try:
            return parse_passwords(self._read_text(self.path))
        except PasswordFileError as problem:
            raise PasswordFileError(f"{self.option} file:{printable(str(self.path))}: {problem}") from None

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """Check a user and a password (`ICredentialsChecker`); the avatar ID is the user."""
        password = self.passwords.get(credentials.username)
        if password is None or not credentials.checkPassword(password):
            return fail(UnauthorizedLogin())
        return succeed(credentials.username)
