"""Signs and verifies tickets. `portofcall.access.ticket` has the claims.

A ticket is a JWT (RFC 7519) in the compact form, signed with HS256 or with EdDSA (Ed25519, RFC 8037).
"""

import base64
import json
import math
import re
import secrets
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt import PyJWS, PyJWTError

from portofcall.access.key_formats import is_asymmetric_key
from portofcall.access.ticket import AUDIENCE, Ticket, read_claims
from portofcall.errors import Unauthorized

#: The longest token that is looked at. The longest that `TicketKey.issue` makes has about 2500 characters.
MAX_TOKEN_CHARACTERS: Final = 4096
#: How far ahead a ticket may end. It is sent in the open part of URLs, so it should not live long.
MAX_LIFETIME_SECONDS: Final = 24 * 60 * 60
#: How far the clock of whoever makes the tickets may be ahead of ours.
CLOCK_SKEW_SECONDS: Final = 10
#: The shortest secret: RFC 7518 §3.2, a key of the hash's size.
MIN_SECRET_BYTES: Final = 32
#: A larger file is no key.
MAX_KEY_BYTES: Final = 16 * 1024

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TicketKey:
    """Makes tickets and verifies them. Get it from `load`.

    The key alone decides on the algorithm; what a token says of algorithms and keys is compared or ignored,
    never followed. It does not remember which tickets were used: `SingleUse` does.

    Attributes:
        can_issue: whether it can make tickets; a public key can only verify them.
    """

    __slots__ = ("_algorithm", "_jws", "_signing", "_verifying", "can_issue")

    def __init__(self, key: bytes | Ed25519PrivateKey | Ed25519PublicKey) -> None:
        self._algorithm = "HS256" if isinstance(key, bytes) else "EdDSA"
        self._jws = PyJWS(algorithms=[self._algorithm])
        self._signing = None if isinstance(key, Ed25519PublicKey) else key
        self._verifying = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
        self.can_issue = self._signing is not None

    def __repr__(self) -> str:
        return f"<TicketKey {self._algorithm}>"

    @classmethod
    def read(cls, path: Path) -> "TicketKey":
        """Load the key in a file.

        Args:
            path: the file; see `load` for its content.

        Raises:
            ValueError: it can't be read, or has no such key. The message has nothing of the content.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_KEY_BYTES + 1)
        except OSError as problem:
            raise ValueError(f"expected a readable file ({problem.strerror})") from None
        return cls.load(data)

    @classmethod
    def load(cls, data: bytes) -> "TicketKey":
        """Make the key that a file holds.

        Args:
            data: an Ed25519 key in PEM (PKCS #8 without a password, or a public key); or anything else, of at
                least `MIN_SECRET_BYTES` bytes, as a secret for HS256. White space around a secret in ASCII is
                not part of it.

        Raises:
            ValueError: it is neither; the message tells what was expected and nothing of the content.
        """
        if len(data) > MAX_KEY_BYTES:
            raise ValueError(f"expected a key of at most {MAX_KEY_BYTES} bytes")
        if b"-----BEGIN" in data:
            return cls(_load_pem(data))
        secret = data.strip() if data.isascii() else data
        if len(secret) < MIN_SECRET_BYTES:
            raise ValueError(
                f"expected a secret of at least {MIN_SECRET_BYTES} bytes, or an Ed25519 key in PEM"
            )
        if is_asymmetric_key(data) or not _can_sign(secret):
            raise ValueError("expected a secret, or an Ed25519 key in PEM, not a key in another format")
        return cls(secret)

    def issue(
        self,
        *,
        now: float,
        ttl_seconds: int,
        subject: str | None = None,
        host: str | None = None,
        port: int | None = None,
        once: bool = False,
    ) -> str:
        """Make a ticket.

        Args:
            now: the time, in seconds since 1970.
            ttl_seconds: how long it lives, 1 to `MAX_LIFETIME_SECONDS`.
            subject: who it is for, 1 to 128 characters.
            host: pins the host.
            port: pins the port.
            once: whether it can be used once only.

        Returns:
            The token: ASCII that needs no escape in a URL.

        Raises:
            ValueError: a value is not what it must be, or the key can only verify.
        """
        if self._signing is None:
            raise ValueError("a public key can't sign tickets, only verify them")
        if type(ttl_seconds) is not int or not 1 <= ttl_seconds <= MAX_LIFETIME_SECONDS:
            raise ValueError(f"expected a lifetime of 1 to {MAX_LIFETIME_SECONDS} whole seconds")
        wanted = {"sub": subject, "host": host, "port": port, "once": once or None}
        claims: dict[str, Any] = {
            "aud": AUDIENCE,
            "iat": math.floor(now),
            "exp": math.ceil(now) + ttl_seconds,
            "jti": secrets.token_urlsafe(16),
            **{name: value for name, value in wanted.items() if value is not None},
        }
        ticket = read_claims(claims)
        if ticket.host is not None:
            claims["host"] = ticket.host
        payload = json.dumps(claims, separators=(",", ":")).encode("ascii")
        return self._jws.encode(payload, self._signing, algorithm=self._algorithm)

    def verify(self, token: str, now: float) -> Ticket:
        """Read a token that somebody presents.

        Args:
            token: anything.
            now: the time, in seconds since 1970.

        Raises:
            Unauthorized: it is no ticket of this key, or it does not count now. The sentence holds nothing
                of the token.
        """
        claims = self._signed_claims(token)
        try:
            ticket = read_claims(claims)
        except ValueError as error:
            raise Unauthorized(f"the ticket can't be used: {error}") from None
        if ticket.expires_at <= now:
            raise Unauthorized("the ticket has expired")
        if ticket.expires_at > now + MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
            raise Unauthorized("the ticket can't be used: it would live for longer than a day")
        if ticket.valid_from > now + CLOCK_SKEW_SECONDS:
            raise Unauthorized("the ticket is not valid yet")
        return ticket

    def _signed_claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_CHARACTERS or not _COMPACT.fullmatch(token):
            raise Unauthorized("the ticket is not a signed token")
        try:
            signed = self._jws.decode_complete(token, self._verifying, algorithms=[self._algorithm])
            claims = json.loads(signed["payload"])
        except (PyJWTError, ValueError, RecursionError):
            raise Unauthorized("the ticket is not signed with this gateway's key") from None
        signature = base64.urlsafe_b64encode(signed["signature"]).rstrip(b"=").decode("ascii")
        # Base64 has spare bits at its end, and we know no critical extension (RFC 7515 §4.1.11). Older
        # releases of PyJWT let both pass.
        if not token.endswith("." + signature) or "crit" in signed["header"] or not isinstance(claims, dict):
            raise Unauthorized("the ticket is not a signed token")
        return claims


def _load_pem(data: bytes) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        if b"PRIVATE KEY" in data:
            key: object = serialization.load_pem_private_key(data, password=None)
        else:
            key = serialization.load_pem_public_key(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise ValueError("expected an Ed25519 key in PEM, as openssl genpkey -algorithm ed25519 writes it")
    return key


def _can_sign(secret: bytes) -> bool:
    """Whether PyJWT takes it for a secret: its list of other formats may be longer than ours."""
    try:
        PyJWS().encode(b"", secret, algorithm="HS256")
    except PyJWTError:
        return False
    return True
