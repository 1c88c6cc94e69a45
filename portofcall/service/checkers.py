"""Checkers of users and passwords, made from the values of ``--auth`` and ``--admin-auth``."""

from pathlib import Path

from twisted.cred.checkers import (
    FilePasswordDB,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import makeChecker
from twisted.python import usage

from portofcall.access.password_file import PasswordFile, PasswordFileError
from portofcall.egress.line_file import read_text
from portofcall.errors import printable


def make_checker(option: str, text: str) -> ICredentialsChecker:
    """Make a checker.

    Args:
        option: the option, for the error.
        text: its value: a method that ``--help-auth`` lists, with its argument behind a colon.

    Raises:
        usage.UsageError: there is no such method for passwords, or its argument is invalid. The argument,
            which may have a password in it, is not part of the message, unless it is a file.
    """
    try:
        checker: ICredentialsChecker | None = makeChecker(text)
    except Exception:  # noqa: BLE001 - each method raises what it likes
        checker = None
    if checker is None or IUsernamePassword not in checker.credentialInterfaces:
        kind = printable(text.partition(":")[0], 30)
        raise usage.UsageError(
            f"{option}: expected a method that --help-auth lists, with its argument, got '{kind}:...'"
        )
    return _usable(option, checker)


def _usable(option: str, checker: ICredentialsChecker) -> ICredentialsChecker:
    """Return a checker that `portofcall.access.authenticator.Authenticator` can ask."""
    if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
        # Twisted's own plugin fills it with text, but credentials are bytes and would never match.
        checker.users = {_bytes(user): _bytes(password) for user, password in checker.users.items()}
    if isinstance(checker, FilePasswordDB):
        # Twisted's own reads the file at every login. And twistd may change its directory later (--rundir).
        path = Path(checker.filename).absolute()
        try:
            return PasswordFile(option, path, lambda path: read_text(path, PasswordFileError))
        except PasswordFileError as problem:
            raise usage.UsageError(str(problem)) from None
    return checker


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text
