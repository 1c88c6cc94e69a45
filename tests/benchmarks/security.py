"""TLS between the load's client and the contestants: whether, and with which certificate."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from tests.certificates import Authority

#: Of the archive, which needs one.
PASSPHRASE = "benchmark"


class Security(Enum):
    """How clients connect; the values are those of ``client.c``."""

    PLAIN = "plain"
    TLS = "tls"
    #: TLS with an abbreviated handshake, if the contestant resumes sessions.
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate and its key, in the forms that the contestants read.

    Attributes:
        chain: the certificate, in PEM.
        key: its key, in PEM.
        both: certificate and key in one file, in PEM, as HAProxy reads them.
        archive: both in PKCS #12, encrypted with `PASSPHRASE`, as websocat reads them.
    """

    chain: Path
    key: Path
    both: Path
    archive: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Issue one for 127.0.0.1, with an ECDSA key (P-256), and write it to a folder."""
        issued = Authority("benchmark").issue("127.0.0.1")
        chain, key = issued.write(folder, "benchmark")
        both, archive = folder / "benchmark-both.pem", folder / "benchmark.p12"
        both.write_bytes(chain.read_bytes() + key.read_bytes())
        encryption = (  # which every version of OpenSSL reads
            PrivateFormat.PKCS12.encryption_builder()
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())
            .build(PASSPHRASE.encode())
        )
        archive.write_bytes(
            pkcs12.serialize_key_and_certificates(
                b"benchmark", issued.key, issued.chain[0], issued.chain[1:], encryption
            )
        )
        return cls(chain=chain, key=key, both=both, archive=archive)
