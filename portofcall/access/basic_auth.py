"""HTTP Basic (RFC 7617): parsing the Authorization header into credentials for `twisted.cred`."""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from twisted.cred.credentials import IUsernamePassword
from zope.interface import implementer

from portofcall.errors import Unauthorized

#: The WWW-Authenticate header of a 401 where passwords are accepted (RFC 7617 §2.1).
BASIC_CHALLENGE: Final = 'Basic realm="portofcall", charset="UTF-8"'


#: A longer Authorization header is refused before any work is done on it.
MAX_AUTHORIZATION_BYTES: Final = 1024


_BASIC = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)


#: RFC 7617 §2: neither user nor password has control characters.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")


@implementer(IUsernamePassword)
class Login:
    """A user and a password; passwords are compared in constant time."""

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username = username
        self.password = password

    def checkPassword(self, password: bytes) -> bool:
        """Whether the passwords are equal."""
        return hmac.compare_digest(self.password, password)


def parse_basic(authorization: Sequence[bytes]) -> Login:
    """Parse the user and the password of an Authorization header (RFC 7617).

    Args:
        authorization: the header's values.

    Raises:
        Unauthorized: it is not one header of at most `MAX_AUTHORIZATION_BYTES` with Basic and the canonical
            base64 of a non-empty user, a colon and a password, in UTF-8 without control characters.
    """
    whole = authorization[0] if len(authorization) == 1 else b""
    if len(whole) <= MAX_AUTHORIZATION_BYTES and (match := _BASIC.fullmatch(whole)):
        with suppress(ValueError):
            decoded = b64decode(match[1], validate=True)
            user, colon, password = decoded.decode("utf-8").partition(":")
            canonical = b64encode(decoded) == match[1]
            if canonical and user and colon and not _CONTROL.search(user + password):
                return Login(user.encode(), password.encode())
    raise Unauthorized("Authorization must be given once, as Basic with user and password in UTF-8")
