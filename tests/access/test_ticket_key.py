"""A ticket is good for what its claims say, and nothing else is a ticket."""

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from portofcall.access.ticket import Ticket
from portofcall.access.ticket_key import (
    CLOCK_SKEW_SECONDS,
    MAX_KEY_BYTES,
    MAX_LIFETIME_SECONDS,
    MAX_TOKEN_CHARACTERS,
    TicketKey,
)
from portofcall.errors import Unauthorized

NOW = 1_800_000_000.25
SECRET = b"0123456789abcdef0123456789abcdef"
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
PLAIN = serialization.NoEncryption()

PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE_PEM = PRIVATE_KEY.private_bytes(PEM, PKCS8, PLAIN)
PUBLIC_PEM = PRIVATE_KEY.public_key().public_bytes(PEM, SPKI)

HMAC_KEY = TicketKey.load(SECRET)
ED25519_KEY = TicketKey.load(PRIVATE_PEM)
PUBLIC_KEY = TicketKey.load(PUBLIC_PEM)
#: Issuer and verifier.
PAIRS = [(HMAC_KEY, HMAC_KEY), (ED25519_KEY, ED25519_KEY), (ED25519_KEY, PUBLIC_KEY)]

CLAIMS = {"aud": "portofcall", "exp": int(NOW) + 60}


def sign(claims: object, header: dict[str, Any] | None = None, secret: bytes = SECRET) -> str:
    """Write a token by hand, also one that no library would write."""
    parts = [header or {"alg": "HS256", "typ": "JWT"}, claims]
    signed = b".".join(encode(json.dumps(part).encode()) for part in parts)
    return (signed + b"." + encode(hmac.digest(secret, signed, hashlib.sha256))).decode()


def encode(data: bytes) -> bytes:
    """Write base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def reason(token: str, *, key: TicketKey = HMAC_KEY, now: float = NOW) -> str:
    """Return the reason why a token is refused."""
    with pytest.raises(Unauthorized) as caught:
        key.verify(token, now)
    assert len(token) < 20 or token not in str(caught.value)
    return caught.value.sentence


@pytest.mark.parametrize(("maker", "verifier"), PAIRS)
def test_ticket_has_the_claims_that_were_asked_for(maker: TicketKey, verifier: TicketKey) -> None:
    """Subject, pins, expiry and single use come out as they went in."""
    token = maker.issue(now=NOW, ttl_seconds=60, subject="Zoë", host="Bücher.Example.", port=22, once=True)
    ticket = verifier.verify(token, NOW)
    assert ticket.ticket_id
    assert ticket == Ticket(
        expires_at=int(NOW) + 61,
        valid_from=int(NOW),
        subject="Zoë",
        ticket_id=ticket.ticket_id,
        once=True,
        host="xn--bcher-kva.example",
        port=22,
    )


def test_plain_ticket_is_good_for_every_target() -> None:
    """Nothing is pinned that was not asked for, and each ticket has an ID of its own."""
    one, other = (HMAC_KEY.verify(HMAC_KEY.issue(now=NOW, ttl_seconds=1), NOW) for _ in range(2))
    assert (one.subject, one.once, one.host, one.port) == (None, False, None, None)
    assert one.ticket_id != other.ticket_id


def test_longest_ticket_can_be_verified() -> None:
    """No ticket that can be issued is too long to be verified."""
    label = "a" * 61
    host = ".".join([label] * 4)
    token = HMAC_KEY.issue(now=NOW, ttl_seconds=86400, subject="\U0001f6a2" * 128, host=host, once=True)
    assert HMAC_KEY.verify(token, NOW).host == host


def test_other_libraries_can_issue_tickets() -> None:
    """A web application in any language can sign them with the same key."""
    for audience in ("portofcall", ["portofcall"]):
        claims = {"aud": audience, "exp": NOW + 5.5, "port": 22, "host": "DB.example", "extra": [1]}
        token = jwt.encode(claims, SECRET, algorithm="HS256", headers={"kid": "7"})
        assert HMAC_KEY.verify(token, NOW) == Ticket(expires_at=NOW + 5.5, host="db.example", port=22)
    token = jwt.encode(CLAIMS, PRIVATE_KEY, algorithm="EdDSA")
    assert PUBLIC_KEY.verify(token, NOW).expires_at == CLAIMS["exp"]


@pytest.mark.parametrize("pair", PAIRS)
def test_ticket_is_valid_until_it_expires(pair: tuple[TicketKey, TicketKey]) -> None:
    """Not a moment longer."""
    maker, verifier = pair
    token = maker.issue(now=NOW, ttl_seconds=60)
    end = verifier.verify(token, NOW).expires_at
    assert end - NOW >= 60
    verifier.verify(token, end - 0.001)
    assert reason(token, key=verifier, now=end) == "the ticket has expired"


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_ticket_of_the_future_is_not_valid_yet(claim: str) -> None:
    """But the issuer's clock may be a little ahead."""
    HMAC_KEY.verify(sign({**CLAIMS, claim: NOW + CLOCK_SKEW_SECONDS}), NOW)
    token = sign({**CLAIMS, claim: NOW + CLOCK_SKEW_SECONDS + 1})
    assert reason(token) == "the ticket is not valid yet"


def test_lifetime_is_at_most_a_day() -> None:
    """Whatever library issued it."""
    HMAC_KEY.verify(sign({**CLAIMS, "exp": NOW + MAX_LIFETIME_SECONDS}), NOW)
    token = sign({**CLAIMS, "exp": NOW + MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS + 1})
    assert "longer than a day" in reason(token)


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"host": "127.1"}, "host must be a host name or an address"),
        ({"aud": "other"}, 'aud must be "portofcall"'),
    ],
)
def test_signed_ticket_with_an_invalid_claim_is_refused(claims: dict[str, Any], problem: str) -> None:
    """An invalid pin must not become no pin; the error names the claim."""
    assert reason(sign({**CLAIMS, **claims})) == f"the ticket is invalid: {problem}"


@pytest.mark.parametrize("claims", [[], "text", 1, None, [["aud", "portofcall"]]])
def test_claims_are_an_object(claims: object) -> None:
    """Other JSON is no ticket, though it is signed."""
    assert reason(sign(claims)) == "the ticket is not a signed token"


def test_token_without_signature_is_refused() -> None:
    """The algorithm "none", in any spelling, is refused."""
    for name in ("none", "None", "NONE", "nOnE", "", None):
        head, body = (encode(json.dumps(part).encode()).decode() for part in ({"alg": name}, CLAIMS))
        for signature in (
            "",
            "AA",
            encode(hmac.digest(SECRET, f"{head}.{body}".encode(), "sha256")).decode(),
        ):
            for key in (HMAC_KEY, ED25519_KEY, PUBLIC_KEY):
                reason(f"{head}.{body}.{signature}", key=key)


def test_token_does_not_choose_the_algorithm() -> None:
    """A public key never verifies as a secret, and no other hash is accepted."""
    raw = PRIVATE_KEY.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    der = PRIVATE_KEY.public_key().public_bytes(serialization.Encoding.DER, SPKI)
    for secret in (PUBLIC_PEM, PUBLIC_PEM.strip(), raw, der):
        reason(sign(CLAIMS, secret=secret), key=PUBLIC_KEY)
        reason(sign(CLAIMS, {"alg": "EdDSA"}, secret), key=PUBLIC_KEY)
    for algorithm in ("HS384", "HS512"):
        reason(jwt.encode(CLAIMS, SECRET * 2, algorithm=algorithm), key=TicketKey.load(SECRET * 2))
    reason(jwt.encode(CLAIMS, PRIVATE_KEY, algorithm="EdDSA"), key=HMAC_KEY)
    reason(sign(CLAIMS), key=PUBLIC_KEY)


def test_token_does_not_choose_the_key() -> None:
    """Headers that name, embed or locate a key are ignored, and critical ones are refused."""
    other = b"x" * 32
    jwk = {"kty": "oct", "k": encode(other).decode()}
    bringing: list[dict[str, Any]] = [{"kid": "/dev/null"}, {"kid": "x' OR 1"}, {"jwk": jwk}]
    for header in [*bringing, {"jku": "https://evil.example/"}]:
        head = {"alg": "HS256", **header}
        reason(sign(CLAIMS, head, other))
        reason(sign(CLAIMS, head, b""))
        assert HMAC_KEY.verify(sign(CLAIMS, head), NOW)
    critical: list[dict[str, Any]] = [{"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}]
    for header in critical:
        reason(sign(CLAIMS, {"alg": "HS256", **header}))


def test_tickets_of_another_key_are_refused() -> None:
    """With the same algorithm."""
    reason(TicketKey.load(b"y" * 32).issue(now=NOW, ttl_seconds=60))
    other = TicketKey.load(Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, PLAIN))
    reason(other.issue(now=NOW, ttl_seconds=60), key=PUBLIC_KEY)


@given(st.sampled_from(PAIRS), st.data())
def test_ticket_with_any_byte_changed_is_refused(
    pair: tuple[TicketKey, TicketKey], data: st.DataObject
) -> None:
    """Even if base64 decodes to the same."""
    token = pair[0].issue(now=NOW, ttl_seconds=60, subject="me")
    index = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(max_codepoint=0x17F).filter(lambda c: c != token[index]))
    reason(token[:index] + character + token[index + 1 :], key=pair[1])


@pytest.mark.parametrize("pair", PAIRS)
def test_signature_has_one_spelling(pair: tuple[TicketKey, TicketKey]) -> None:
    """Spare bits at the end of base64, padding and white space are refused."""
    maker, verifier = pair
    token = maker.issue(now=NOW, ttl_seconds=60)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + last for last in alphabet if last != token[-1]]
    others += [token + "=", token + "==", token + "\n", " " + token, token + ".", "." + token, token + "A"]
    for other in others:
        reason(other, key=verifier)


@given(st.text() | st.text("ABCabc019-_.=", max_size=200), st.sampled_from([HMAC_KEY, PUBLIC_KEY]))
def test_every_text_is_refused_in_the_documented_way(token: str, key: TicketKey) -> None:
    """No other exception, whatever a client sends."""
    reason(token + "~", key=key)
    reason(token, key=key)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["aud", "exp", "iat", "nbf", "sub", "jti", "once", "host", "port", "x"])
HEADERS = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "zip"])


@given(st.dictionaries(HEADERS, JSON), st.dictionaries(NAMES, JSON))
def test_every_signed_json_is_a_ticket_or_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    """A bad issuer causes no traceback."""
    for head in (header, {**header, "alg": "HS256"}, {"alg": "HS256"}):
        for body in (claims, {**CLAIMS, **claims}):
            with suppress(Unauthorized):
                HMAC_KEY.verify(sign(body, head), NOW)


@pytest.mark.parametrize("deep", ["[" * 2900, '{"a":' * 500])
def test_deep_json_is_refused(deep: str) -> None:
    """In the header, which needs no signature, as in the claims."""
    reason(f"{encode(deep.encode()).decode()}.{encode(b'{}').decode()}.AA")
    head = encode(b'{"alg":"HS256"}')
    signed = head + b"." + encode(deep.encode())
    reason((signed + b"." + encode(hmac.digest(SECRET, signed, "sha256"))).decode())


def test_long_token_is_refused_unread() -> None:
    """Though its signature is right."""
    token = sign({**CLAIMS, "x": "x" * MAX_TOKEN_CHARACTERS})
    assert reason(token) == "the ticket is not a signed token"


@pytest.mark.parametrize(
    "values",
    [
        {"ttl_seconds": 0},
        {"ttl_seconds": -1},
        {"ttl_seconds": MAX_LIFETIME_SECONDS + 1},
        {"ttl_seconds": 1.5},
        {"host": "127.1"},
        {"host": ""},
        {"port": 0},
        {"port": 65536},
        {"port": True},
        {"subject": ""},
        {"subject": "s" * 129},
    ],
)
def test_ticket_that_would_be_refused_is_not_issued(values: dict[str, Any]) -> None:
    """The mistake shows at the issuer."""
    with pytest.raises(ValueError, match=r"expected a lifetime|must be"):
        HMAC_KEY.issue(**{"now": NOW, "ttl_seconds": 60, **values})


def test_public_key_only_verifies() -> None:
    """The gateway can do without the private key."""
    assert ED25519_KEY.can_issue
    assert not PUBLIC_KEY.can_issue
    with pytest.raises(ValueError, match="can't sign"):
        PUBLIC_KEY.issue(now=NOW, ttl_seconds=60)


def test_white_space_around_an_ascii_secret_is_not_part_of_it() -> None:
    """A newline that an editor adds does not change the secret."""
    token = HMAC_KEY.issue(now=NOW, ttl_seconds=60)
    for data in (SECRET + b"\n", SECRET + b"\r\n", b" " + SECRET):
        assert TicketKey.load(data).verify(token, NOW)
    binary = b"\xff" * 32
    reason(TicketKey.load(binary + b"\n").issue(now=NOW, ttl_seconds=60), key=TicketKey.load(binary))


RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
SSH = serialization.Encoding.OpenSSH


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 31,
        b"x" * 31 + b"\n",
        b"x" * (MAX_KEY_BYTES + 1),
        RSA_KEY.private_bytes(PEM, PKCS8, PLAIN),
        RSA_KEY.public_key().public_bytes(PEM, SPKI),
        EC_KEY.public_key().public_bytes(PEM, SPKI),
        PRIVATE_KEY.private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"password")),
        PRIVATE_KEY.public_key().public_bytes(SSH, serialization.PublicFormat.OpenSSH),
        PRIVATE_KEY.public_key().public_bytes(serialization.Encoding.DER, SPKI),
        PRIVATE_KEY.private_bytes(serialization.Encoding.DER, PKCS8, PLAIN),
        RSA_KEY.public_key().public_bytes(serialization.Encoding.DER, SPKI),
        PUBLIC_PEM.replace(b"PUBLIC KEY", b"CERTIFICATE"),
        PUBLIC_PEM[:40],
        PRIVATE_PEM[:-30],
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAAB3NzaC1yc2EAAAA\n---- END SSH2 PUBLIC KEY ----\n",
        b'{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
    ],
)
def test_invalid_key_is_refused(data: bytes) -> None:
    """Above all a public key must not pass for a secret; the message quotes nothing of the file."""
    with pytest.raises(ValueError, match="expected") as caught:
        TicketKey.load(data)
    assert len(data) < 4 or data[-20:-5].decode("latin-1") not in str(caught.value)


@given(
    st.binary(max_size=100) | st.binary(max_size=60).map(lambda data: b"-----BEGIN PUBLIC KEY-----" + data)
)
def test_every_file_is_a_key_or_refused(data: bytes) -> None:
    """It is a key that verifies its own tickets, or a ValueError."""
    with suppress(ValueError):
        key = TicketKey.load(data)
        assert key.verify(key.issue(now=NOW, ttl_seconds=60), NOW)


def test_key_shows_nothing_of_itself() -> None:
    """Neither in a log nor in a traceback."""
    assert repr(HMAC_KEY) == str(HMAC_KEY) == "<TicketKey HS256>"
    assert repr(PUBLIC_KEY) == "<TicketKey EdDSA>"
