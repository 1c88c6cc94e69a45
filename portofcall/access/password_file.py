"""Passwords from a file, kept in memory: a login reads no file, and a broken file locks nobody out."""

from collections.abc import Mapping
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer


class PasswordFileError(ValueError):
    """A password file is not valid. The message is one line, with the number of the wrong one."""


@implementer(ICredentialsChecker)
class PasswordFile:
    """Checks passwords against those of a file, as they were when it was read.

    Args:
        passwords: the password of each user.

    Attributes:
        passwords: as given.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, passwords: Mapping[bytes, bytes]) -> None:
        self.passwords = passwords

    @classmethod
    def parse(cls, text: str) -> "PasswordFile":
        """Parse a file.

        Each line is ``user:password``, without colons in either; what follows a second colon is ignored, and
        so are empty lines and those that begin with ``#``.

        Args:
            text: the file.

        Raises:
            PasswordFileError: a line is not one, or its user is there already, or there is no user at all:
                such a file is seldom meant, and often half written. The message quotes nothing.
        """
        passwords: dict[bytes, bytes] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            user, colon, rest = line.rstrip().partition(":")
            if user.startswith("#") or not (user or colon):
                continue
            if not (user and colon):
                raise PasswordFileError(f"line {number}: expected user:password")
            if user.encode() in passwords:
                raise PasswordFileError(f"line {number}: expected each user once")
            passwords[user.encode()] = rest.partition(":")[0].encode()
        if not passwords:
            raise PasswordFileError("expected at least one line user:password")
        return cls(passwords)

    def requestAvatarId(self, credentials: Any) -> Deferred[bytes | tuple[()]]:
        """Check a user and a password (`ICredentialsChecker`); the avatar ID is the user."""
        password = self.passwords.get(credentials.username)
        if password is None or not credentials.checkPassword(password):
            return fail(UnauthorizedLogin())
        return succeed(credentials.username)
