"""Recognizes asymmetric keys, so that a public one is never taken for the secret of HS256.

Everybody has a public key; as a secret, it would let everybody sign tickets.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_der_x509_certificate

#: PEM and SSH2 (RFC 4716) anywhere; OpenSSH at the start, as text or as the blob in it (RFC 4253 §6.6).
_ARMOUR: Final = re.compile(
    rb"----[- ](?:BEGIN|END) |\A(?:----|(?:\0\0\0.)?(?:ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-))", re.DOTALL
)
#: Uncompressed points by their length (SEC 1 §2.3.3). An Ed25519 key of 32 bytes can't be told from a secret.
_CURVES: Final[dict[int, ec.EllipticCurve]] = {65: ec.SECP256R1(), 97: ec.SECP384R1(), 133: ec.SECP521R1()}
_TO_STANDARD_BASE64: Final = bytes.maketrans(b"-_", b"+/")


def is_asymmetric_key(data: bytes) -> bool:
    """Whether this is a public or private key, or a certificate.

    Args:
        data: in PEM, DER, JWK or a format of SSH, or the point of a NIST curve; or such a key in hexadecimal
            (with colons too), in base64 or in base64url.
    """
    return any(_is_key(form) for form in (data, *_decoded(data)))


def _decoded(data: bytes) -> Iterator[bytes]:
    text = b"".join(data.split())
    with suppress(ValueError):
        yield bytes.fromhex(text.replace(b":", b"").removeprefix(b"0x").decode("ascii"))
    with suppress(ValueError):
        plain = text.translate(_TO_STANDARD_BASE64).rstrip(b"=")
        yield base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)


def _is_key(data: bytes) -> bool:
    if _ARMOUR.search(data):
        return True
    loads: tuple[Callable[[bytes], object], ...] = (
        serialization.load_der_public_key,
        lambda der: serialization.load_der_private_key(der, password=None),
        load_der_x509_certificate,
        _load_point,
        _load_jwk,
    )
    for load in loads:
        try:
            load(data)
        except TypeError:
            return True  # an encrypted private key
        except (ValueError, UnsupportedAlgorithm, RecursionError):
            continue
        return True
    return False


def _load_point(data: bytes) -> object:
    if len(data) not in _CURVES:
        raise ValueError("not an uncompressed point")
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[len(data)], data)


def _load_jwk(data: bytes) -> object:
    value = json.loads(data)
    if not isinstance(value, dict | list):
        raise ValueError("not a JWK, nor a set of them")
    return value
