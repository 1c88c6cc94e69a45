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

#: Longer tokens are refused unread. The longest that `TicketKey.issue` makes has about 2500 characters.
MAX_TOKEN_CHARACTERS: Final = 4096
#: The longest lifetime of a ticket. It is part of a URL, which other software may log, so keep it short.
MAX_LIFETIME_SECONDS: Final = 24 * 60 * 60
#: How far the issuer's clock may be ahead of ours.
CLOCK_SKEW_SECONDS: Final = 10
#: The shortest secret: as long as the hash (RFC 7518 §3.2).
MIN_SECRET_BYTES: Final = 32
#: Larger files are refused.
MAX_KEY_BYTES: Final = 16 * 1024

_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class TicketKey:
    """Issues tickets and verifies them. Make one with `read` or `load`.

    The key alone decides on the algorithm; a token's own claims about algorithms and keys are compared or
    ignored, never followed. Used tickets are remembered by `portofcall.limits.single_use`.

    Attributes:
        algorithm: HS256 or EdDSA.
        can_issue: whether it can issue tickets; a public key can only verify them.
    """

    __slots__ = ("_jws", "_signing", "_verifying", "algorithm", "can_issue")

    def __init__(self, key: bytes | Ed25519PrivateKey | Ed25519PublicKey) -> None:
        self.algorithm = "HS256" if isinstance(key, bytes) else "EdDSA"
        self._jws = PyJWS(algorithms=[self.algorithm])
        self._signing = None if isinstance(key, Ed25519PublicKey) else key
        self._verifying = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
        self.can_issue = self._signing is not None

    def __repr__(self) -> str:
        return f"<TicketKey {self.algorithm}>"

    @classmethod
    def read(cls, path: Path) -> "TicketKey":
        """Load the key in a file.

        Args:
            path: the file; see `load` for its content.

        Raises:
            ValueError: it can't be read, or is not such a key. The message quotes nothing of the content.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_KEY_BYTES + 1)
        except OSError as problem:
            raise ValueError(f"expected a readable file ({problem.strerror})") from None
        return cls.load(data)

    @classmethod
    def load(cls, data: bytes) -> "TicketKey":
        """Load a key from the content of a file.

        Args:
            data: an Ed25519 key in PEM (PKCS #8 without a password, or a public key); or a secret for HS256
                of at least `MIN_SECRET_BYTES` bytes. White space around an ASCII secret is not part of it.

        Raises:
            ValueError: it is neither; the message says what was expected and quotes nothing.
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
            raise ValueError("expected a secret, or an Ed25519 key in PEM, got a key in another format")
        return cls(secret)

    def issue(
        self,
        *,
        now: float,
        ttl_seconds: int,
        session_seconds: int | None = None,
        subject: str | None = None,
        host: str | None = None,
        port: int | None = None,
        target: str | None = None,
        once: bool = False,
    ) -> str:
        """Issue a ticket.

        Args:
            now: the time, in seconds since 1970.
            ttl_seconds: its lifetime, 1 to `MAX_LIFETIME_SECONDS`.
            session_seconds: how long from now until its tunnel ends; None means that it does not.
            subject: the user, 1 to 128 characters.
            host: the only host that it is good for.
            port: the only port that it is good for.
            target: the only target that it is good for, by its name; not with host or port.
            once: whether it is good for one connection only.

        Returns:
            The token, in ASCII that needs no escaping in a URL.

        Raises:
            ValueError: a value is invalid, or the key can only verify.
        """
        if self._signing is None:
            raise ValueError("a public key can't sign tickets, only verify them")
        if type(ttl_seconds) is not int or not 1 <= ttl_seconds <= MAX_LIFETIME_SECONDS:
            raise ValueError(f"expected a lifetime of 1 to {MAX_LIFETIME_SECONDS} whole seconds")
        if session_seconds is not None and (type(session_seconds) is not int or session_seconds < 1):
            raise ValueError("expected a session of at least 1 whole second")
        session_exp = None if session_seconds is None else math.ceil(now) + session_seconds
        wanted = {
            "session_exp": session_exp,
            "sub": subject,
            "host": host,
            "port": port,
            "target": target,
            "once": once or None,
        }
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
        return self._jws.encode(payload, self._signing, algorithm=self.algorithm)

    def verify(self, token: str, now: float) -> Ticket:
        """Verify a token.

        Args:
            token: any text, from the client.
            now: the time, in seconds since 1970.

        Raises:
            Unauthorized: it was not signed with this key, or is not valid now. The sentence quotes nothing of
                the token.
        """
        claims = self._signed_claims(token)
        try:
            ticket = read_claims(claims)
        except ValueError as error:
            raise Unauthorized(f"the ticket is invalid: {error}") from None
        if ticket.expires_at <= now:
            raise Unauthorized("the ticket has expired")
        if ticket.session_ends_at is not None and ticket.session_ends_at <= now:
            raise Unauthorized("the ticket's session is over")
        if ticket.expires_at > now + MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS:
            raise Unauthorized("the ticket is invalid: its lifetime is longer than a day")
        if ticket.valid_from > now + CLOCK_SKEW_SECONDS:
            raise Unauthorized("the ticket is not valid yet")
        return ticket

    def _signed_claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_CHARACTERS or not _COMPACT.fullmatch(token):
            raise Unauthorized("the ticket is not a signed token")
        try:
            signed = self._jws.decode_complete(token, self._verifying, algorithms=[self.algorithm])
            claims = json.loads(signed["payload"])
        except (PyJWTError, ValueError, RecursionError):
            raise Unauthorized("the ticket is not signed with this gateway's key") from None
        signature = base64.urlsafe_b64encode(signed["signature"]).rstrip(b"=").decode("ascii")
        # Base64 has spare bits at its end, and we support no critical extension (RFC 7515 §4.1.11). Older
        # releases of PyJWT accept both.
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
    """Whether PyJWT accepts it as a secret; its list of other formats may be longer than ours."""
    try:
        PyJWS().encode(b"", secret, algorithm="HS256")
    except PyJWTError:
        return False
    return True
