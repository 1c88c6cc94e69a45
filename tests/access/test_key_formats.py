"""An asymmetric key is recognized in every usual format, and a secret is never taken for one."""

import base64
import binascii
import datetime
import json
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from portofcall.access.key_formats import is_asymmetric_key
from portofcall.access.ticket_key import MAX_KEY_BYTES, MIN_SECRET_BYTES, TicketKey

PEM, DER, SSH = serialization.Encoding.PEM, serialization.Encoding.DER, serialization.Encoding.OpenSSH
SPKI, PKCS1 = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1
PKCS8, PLAIN = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def certificate() -> bytes:
    """Make a certificate, in DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(EC.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime.datetime(2026, 1, 1))
    return builder.not_valid_after(datetime.datetime(2027, 1, 1)).sign(EC, hashes.SHA256()).public_bytes(DER)


def point(curve: ec.EllipticCurve) -> bytes:
    """Make the public key of a NIST curve, as an uncompressed point."""
    encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return ec.generate_private_key(curve).public_key().public_bytes(encoding, form)


KEYS = {
    "Ed25519 DER": ED25519.public_key().public_bytes(DER, SPKI),
    "EC PEM": EC.public_key().public_bytes(PEM, SPKI),
    "text before SSH2": b"my key\n---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n",
    "Ed25519 OpenSSH": ED25519.public_key().public_bytes(SSH, serialization.PublicFormat.OpenSSH),
    "Ed25519 private DER": ED25519.private_bytes(DER, PKCS8, PLAIN),
    "Ed25519 private DER, encrypted": ED25519.private_bytes(
        DER, PKCS8, serialization.BestAvailableEncryption(b"password")
    ),
    "RSA DER": RSA.public_key().public_bytes(DER, SPKI),
    "RSA PKCS #1": RSA.public_key().public_bytes(DER, PKCS1),
    "RSA OpenSSH": RSA.public_key().public_bytes(SSH, serialization.PublicFormat.OpenSSH),
    "EC DER": EC.public_key().public_bytes(DER, SPKI),
    "EC OpenSSH": EC.public_key().public_bytes(SSH, serialization.PublicFormat.OpenSSH),
    "P-256 point": point(ec.SECP256R1()),
    "P-384 point": point(ec.SECP384R1()),
    "P-521 point": point(ec.SECP521R1()),
    "certificate": certificate(),
    "SSH2": b"---- BEGIN SSH2 PUBLIC KEY ----\nAAAAB3NzaC1yc2EAAAA\n---- END SSH2 PUBLIC KEY ----\n",
    "JWK": b'{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}',
    "JWK set": b'\n{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapi"}]}',
}
#: The second field of a line of OpenSSH is the key in base64.
KEYS["Ed25519 blob"] = base64.b64decode(KEYS["Ed25519 OpenSSH"].split()[1])
KEYS["RSA blob"] = base64.b64decode(KEYS["RSA OpenSSH"].split()[1])
KEYS["EC blob"] = base64.b64decode(KEYS["EC OpenSSH"].split()[1])

SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "base64": base64.b64encode,
    "base64 in lines": base64.encodebytes,
    "base64url": base64.urlsafe_b64encode,
    "base64url without padding": lambda key: base64.urlsafe_b64encode(key).rstrip(b"="),
    "hex": binascii.hexlify,
    "HEX": lambda key: binascii.hexlify(key).upper() + b"\n",
    "0x hex": lambda key: b"0x" + binascii.hexlify(key),
    "hex with colons in lines": lambda key: b":\n".join(
        binascii.hexlify(key[start : start + 15], ":") for start in range(0, len(key), 15)
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("key", KEYS)
def test_key_is_recognized_and_is_no_secret(key: str, spelling: str) -> None:
    """In each format, raw and as text; the error holds nothing of the file."""
    data = SPELLINGS[spelling](KEYS[key])
    assert is_asymmetric_key(data)
    with pytest.raises(ValueError, match="expected a") as caught:
        TicketKey.load(data)
    assert data[-20:-5].decode("latin-1") not in str(caught.value)


@given(st.binary(min_size=MIN_SECRET_BYTES, max_size=70))
def test_secret_is_none_of_these(secret: bytes) -> None:
    """Random bytes, and what people make of them to keep them in a file."""
    for spell in (base64.b64encode, base64.urlsafe_b64encode, binascii.hexlify):
        TicketKey.load(spell(secret))
    assert not is_asymmetric_key(b"\xff" + secret)


@pytest.mark.parametrize("length", [33, 64, 65, 97, 133])
def test_secret_of_a_points_length_is_none(length: int) -> None:
    """Only a point on the curve is a key."""
    assert not is_asymmetric_key(b"\x04" + b"x" * (length - 1))


@pytest.mark.parametrize("text", [b"[" * MAX_KEY_BYTES, b'{"a":' * 3000, b"1" * 64, b'"' + b"x" * 40 + b'"'])
def test_other_json_is_no_key(text: bytes) -> None:
    """However deep, and where it only looks like JSON."""
    assert not is_asymmetric_key(text)


def test_json_that_is_an_object_is_refused() -> None:
    """A JWK has no member by which it would be known in every version."""
    assert is_asymmetric_key(json.dumps({"unknown": "x" * 40}).encode())
