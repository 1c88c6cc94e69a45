"""The files of ``--tls-cert``, ``--tls-key`` and ``--tls-client-ca``, read and checked."""

import datetime
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from portofcall.errors import printable
from portofcall.service.pem import line_of_broken_certificate

#: Larger files are refused.
MAX_FILE_BYTES: Final = 1 << 20
#: A certificate that ends in less than this is a warning.
ENDS_SOON: Final = datetime.timedelta(days=14)

#: What pyOpenSSL takes as a private key.
PrivateKey = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)


class TLSFileError(ValueError):
    """A file can't be used. The message is one line that names the option, the file and what was expected."""


class TLSVersion(StrEnum):
    """The lowest version of TLS that is accepted."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


def parse_tls_version(text: str) -> TLSVersion:
    """Parse the value of ``--tls-min-version``.

    Raises:
        ValueError: it is neither 1.2 nor 1.3.
    """
    try:
        return TLSVersion(text.strip())
    except ValueError:
        raise ValueError("expected 1.2 or 1.3") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server's certificate with its chain and its key.

    Attributes:
        path: of the certificate's file.
        chain: the server's own certificate, and the intermediate ones in the file's order.
        key: the private key of the first; the same key, not just any.
    """

    path: Path
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey

    @classmethod
    def read(cls, path: Path, key_path: Path | None) -> "Certificate":
        """Read a certificate and its key.

        Args:
            path: a PEM file with the full chain.
            key_path: a PEM file with the key, without a passphrase; None means that it is in the first file.

        Raises:
            TLSFileError: a file can't be read or is something else, or they don't belong together.
        """
        content = _read("--tls-cert", path)
        chain = _parse_certificates(
            "--tls-cert", path, content, "certificates in PEM, the server's own first"
        )
        if key_path is None:
            key = _parse_key("--tls-cert", path, content, "a private key in it, or --tls-key,")
        else:
            key = _parse_key("--tls-key", key_path, _read("--tls-key", key_path), "a private key")
        try:
            certified = chain[0].public_key()
        except (ValueError, UnsupportedAlgorithm):
            raise TLSFileError(f"--tls-cert {_show(path)}: the kind of its key is not supported") from None
        if key.public_key() != certified:
            option, place = ("--tls-cert", path) if key_path is None else ("--tls-key", key_path)
            raise TLSFileError(
                f"{option} {_show(place)}: expected the key of the first certificate in {_show(path)}, "
                "got the key of another one"
            )
        return cls(path=path, chain=chain, key=key)

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names that it is for, in lower case, such as ``gateway.example`` or ``*.example.com``."""
        try:
            extension = self.chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (x509.ExtensionNotFound, ValueError):
            return ()
        return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))

    @property
    def summary(self) -> str:
        """Its names and its end, for the log."""
        names = [printable(name) for name in self.names[:4]] or ["a certificate without DNS names"]
        more = f" and {len(self.names) - 4} more names" if len(self.names) > 4 else ""
        return f"{', '.join(names)}{more} until {self.chain[0].not_valid_after_utc:%Y-%m-%d}"

    def warnings(self, now: datetime.datetime) -> Iterator[str]:
        """Yield a line if it is not valid, or not for much longer.

        Args:
            now: the time, with its zone.
        """
        begin, end = self.chain[0].not_valid_before_utc, self.chain[0].not_valid_after_utc
        where = f"--tls-cert {_show(self.path)}"
        if now > end:
            yield f"{where}: the certificate ended on {end:%Y-%m-%d}; clients will refuse it"
        elif now < begin:
            yield f"{where}: the certificate begins on {begin:%Y-%m-%d}; clients will refuse it until then"
        elif end - now < ENDS_SOON:
            yield f"{where}: the certificate ends on {end:%Y-%m-%d}, in {_days(end - now)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSMaterial:
    """What the files hold.

    Attributes:
        certificates: at least one; the first is for clients that name no server, or an unknown one.
        client_authorities: a client needs a certificate of one of these; empty means that it needs none.
        min_version: the lowest accepted version of TLS.
    """

    certificates: tuple[Certificate, ...]
    client_authorities: tuple[x509.Certificate, ...] = ()
    min_version: TLSVersion = TLSVersion.TLS_1_2

    @property
    def summary(self) -> str:
        """All certificates, for the log."""
        return "; ".join(certificate.summary for certificate in self.certificates)

    def warnings(self, now: datetime.datetime) -> Iterator[str]:
        """Yield a line about each certificate that is not valid, or not for much longer.

        Args:
            now: the time, with its zone.
        """
        for certificate in self.certificates:
            yield from certificate.warnings(now)


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSFiles:
    """Where the files are.

    Attributes:
        certificates: the values of ``--tls-cert``.
        keys: the values of ``--tls-key``, in the same order; empty if each key is with its certificate.
        client_ca: the value of ``--tls-client-ca``, if there is one.
        min_version: the lowest accepted version of TLS.

    Raises:
        TLSFileError: the numbers of certificates and keys differ, or there is nothing to read.
    """

    certificates: Sequence[Path]
    keys: Sequence[Path] = ()
    client_ca: Path | None = None
    min_version: TLSVersion = TLSVersion.TLS_1_2

    def __post_init__(self) -> None:
        if not self.certificates:
            raise TLSFileError("--tls-cert: expected at least one")
        if self.keys and len(self.keys) != len(self.certificates):
            raise TLSFileError(
                f"--tls-key: expected one for each --tls-cert, in the same order, or none; "
                f"got {len(self.keys)} for {len(self.certificates)}"
            )

    @property
    def secret(self) -> Iterator[tuple[str, Path]]:
        """The files with private keys, each with its option."""
        option = "--tls-key" if self.keys else "--tls-cert"
        return ((option, path) for path in self.keys or self.certificates)

    def read(self) -> TLSMaterial:
        """Read all files.

        Raises:
            TLSFileError: one of them can't be used.
        """
        keys: Sequence[Path | None] = self.keys or [None] * len(self.certificates)
        certificates = [
            Certificate.read(path, key) for path, key in zip(self.certificates, keys, strict=True)
        ]
        authorities: tuple[x509.Certificate, ...] = ()
        if self.client_ca is not None:
            content = _read("--tls-client-ca", self.client_ca)
            authorities = _parse_certificates(
                "--tls-client-ca", self.client_ca, content, "certificates of authorities in PEM"
            )
        return TLSMaterial(
            certificates=tuple(certificates),
            client_authorities=authorities,
            min_version=self.min_version,
        )


def _read(option: str, path: Path) -> bytes:
    try:
        # Reading a pipe again at a reload would block for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise TLSFileError(f"{option} {_show(path)}: expected a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise TLSFileError(f"{option} {_show(path)}: expected a readable file ({problem.strerror})") from None
    if len(content) > MAX_FILE_BYTES:
        raise TLSFileError(f"{option} {_show(path)}: expected at most {MAX_FILE_BYTES} bytes")
    return content


def _parse_certificates(option: str, path: Path, content: bytes, what: str) -> tuple[x509.Certificate, ...]:
    # First, because cryptography skips a certificate at the end of the file that lacks its own end.
    line = line_of_broken_certificate(content)
    if line is not None:
        raise TLSFileError(f"{option} {_show(path)}: line {line}: expected {what}")
    try:
        return tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        raise TLSFileError(f"{option} {_show(path)}: expected {what}") from None


def _parse_key(option: str, path: Path, content: bytes, what: str) -> PrivateKey:
    try:
        # Of another kind, such as X25519, it can't be the key of a certificate, which is checked next.
        return cast(PrivateKey, serialization.load_pem_private_key(content, None))
    except TypeError:
        raise TLSFileError(f"{option} {_show(path)}: expected a key without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise TLSFileError(f"{option} {_show(path)}: expected {what} in PEM") from None


def _show(path: Path) -> str:
    return printable(str(path), 200)


def _days(time: datetime.timedelta) -> str:
    return f"{time.days} day{'' if time.days == 1 else 's'}"
