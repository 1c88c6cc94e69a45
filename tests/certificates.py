"""A certificate authority for tests."""

import datetime
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
PEM = serialization.Encoding.PEM


def pem_key(key: Any, passphrase: bytes | None = None) -> bytes:
    """Return a private key in PEM."""
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    return bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))


@dataclass(frozen=True)
class Issued:
    """A certificate with its chain, the root left out, and its key."""

    chain: tuple[x509.Certificate, ...]
    key: Any

    @property
    def pem(self) -> bytes:
        """The chain, as in certbot's ``fullchain.pem``."""
        return b"".join(certificate.public_bytes(PEM) for certificate in self.chain)

    def write(self, folder: Path, name: str = "server") -> tuple[Path, Path]:
        """Write ``NAME.pem`` and ``NAME.key``, the key for its owner only; return both."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(self.pem)
        key.touch(mode=0o600)
        key.write_bytes(pem_key(self.key))
        return chain, key


class Authority:
    """Issues certificates.

    Args:
        name: its common name.
        above: the authority that issued its certificate; None for a root.

    Attributes:
        certificate: its own.
    """

    def __init__(self, name: str = "Test Root", above: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._above = above
        self.certificate = (above or self)._sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            self.key,
            issuer=None if above else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            extensions=[x509.BasicConstraints(ca=True, path_length=None)],
        )

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.certificate.public_bytes(PEM)

    def write(self, folder: Path, name: str = "ca") -> Path:
        """Write its own certificate as ``NAME.pem``."""
        path = folder / f"{name}.pem"
        path.write_bytes(self.pem)
        return path

    def issue(
        self,
        *names: str,
        subject: str = "",
        distinguished: str = "",
        alternatives: Sequence[x509.GeneralName] = (),
        client: bool = False,
        key: Any = None,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 90 * DAY,
    ) -> Issued:
        """Issue a certificate.

        Args:
            names: the DNS names and the addresses of a server.
            subject: the common name; empty means that there is none.
            distinguished: the whole subject (RFC 4514), instead.
            alternatives: more of its names.
            client: for a client, not for a server.
            key: the private key; None means a new one.
            begins: when it begins to be valid, from now.
            ends: when it ends.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        extensions: list[x509.ExtensionType] = [x509.ExtendedKeyUsage([usage])]
        alternatives = [*map(_general_name, names), *alternatives]
        if alternatives:
            extensions.append(x509.SubjectAlternativeName(alternatives))
        name = x509.Name.from_rfc4514_string(distinguished or (f"CN={subject}" if subject else ""))
        leaf = self._sign(name, key, extensions=extensions, begins=begins, ends=ends)
        chain = [leaf]
        authority = self
        while authority._above is not None:
            chain.append(authority.certificate)
            authority = authority._above
        return Issued(tuple(chain), key)

    def _sign(
        self,
        subject: x509.Name,
        key: Any,
        *,
        extensions: list[x509.ExtensionType],
        issuer: x509.Name | None = None,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 3650 * DAY,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ip_address(name))
    return x509.DNSName(name)
