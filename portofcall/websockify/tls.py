"""TLS towards clients: the certificate options, and renewal."""

import argparse
import os
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.logger import Logger

from portofcall.errors import printable
from portofcall.service.tls import CIPHERS, Contexts, ServerTLS
from portofcall.service.tls_files import MAX_FILE_BYTES, Certificate, TLSFileError, TLSMaterial, TLSVersion
from portofcall.websockify.settings import SettingsError

#: How often the files are looked at, while clients connect.
_LOOK_SECONDS: Final = 1.0
_VERSIONS: Final = {"tlsv1_3": TLSVersion.TLS_1_3}


def read_contexts(args: argparse.Namespace) -> Contexts | None:
    """Read the certificate, its key, and the authorities for those of clients.

    Args:
        args: of the command line.

    Returns:
        None if there is no certificate's file, which with websockify is no mistake without ``--ssl-only``.

    Raises:
        SettingsError: there is one, and it can't be used; or there has to be one.
    """
    path = Path(args.cert)
    if not path.exists():
        if args.ssl_only or args.verify_client:
            option = "--ssl-only" if args.ssl_only else "--verify-client"
            raise SettingsError(f"{option}: there is no certificate {printable(str(path), 200)}")
        return None
    material = TLSMaterial(
        certificates=(_read_certificate(args, path),),
        client_authorities=_read_authorities(args.cafile) if args.verify_client else (),
        min_version=_VERSIONS.get(args.ssl_version, TLSVersion.TLS_1_2),
    )
    try:
        return Contexts(material, ciphers=args.ssl_ciphers or CIPHERS)
    except TLSFileError as problem:
        raise SettingsError(str(problem).replace("--tls-cert", "--cert")) from None
    except SSL.Error:
        shown = printable(args.ssl_ciphers, 60)
        raise SettingsError(f"--ssl-ciphers: expected a list as OpenSSL writes it, got '{shown}'") from None


def _read_certificate(args: argparse.Namespace, path: Path) -> Certificate:
    content = _read("--cert", path)
    try:
        chain = tuple(x509.load_pem_x509_certificates(content))
    except ValueError:
        raise _problem("--cert", path, "expected certificates in PEM, the server's own first") from None
    option, key_path = ("--cert", path) if args.key is None else ("--key", Path(args.key))
    if args.key is not None:
        content = _read("--key", key_path)
    password = None if args.key_password is None else args.key_password.encode()
    try:
        key: Any = load_pem_private_key(content, password)
        fits = key.public_key() == chain[0].public_key()
    except TypeError:
        # A password without an encrypted key is no problem for OpenSSL, and so for websockify.
        if password is not None:
            args = argparse.Namespace(**{**vars(args), "key_password": None})
            return _read_certificate(args, path)
        raise _problem(option, key_path, "the key is encrypted; add --key-password") from None
    except (ValueError, UnsupportedAlgorithm):
        wrong = "a private key in PEM" if password is None else "a private key in PEM and its --key-password"
        raise _problem(option, key_path, f"expected {wrong}") from None
    if not fits:
        raise _problem(option, key_path, f"expected the key of the certificate {printable(str(path), 200)}")
    return Certificate(path=path, chain=chain, key=key)


def _read_authorities(cafile: str | None) -> tuple[x509.Certificate, ...]:
    path = cafile or ssl.get_default_verify_paths().cafile
    if path is None:
        raise SettingsError("--verify-client: the system has no list of authorities; add --cafile")
    try:
        return tuple(x509.load_pem_x509_certificates(_read("--cafile", Path(path))))
    except ValueError:
        raise _problem("--cafile", Path(path), "expected certificates of authorities in PEM") from None


def _read(option: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        raise _problem(option, path, f"expected a readable file ({problem.strerror})") from None
    if len(content) > MAX_FILE_BYTES:
        raise _problem(option, path, f"expected at most {MAX_FILE_BYTES} bytes")
    return content


def _problem(option: str, path: Path, expected: str) -> SettingsError:
    return SettingsError(f"{option} {printable(str(path), 200)}: {expected}")


class RenewedTLS(ServerTLS):
    """Reads the files again when they have changed, as websockify does at each connection.

    Args:
        contexts: as read at the start.
        args: of the command line.
        reactor: keeps the time.
    """

    _log = Logger()

    def __init__(self, contexts: Contexts, args: argparse.Namespace, reactor: Any) -> None:
        super().__init__(contexts, monotonic=reactor.seconds)
        self._args = args
        self._seconds = reactor.seconds
        self._looked_at = self._seconds()
        self._files = self._state()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """Make a connection (`IOpenSSLServerConnectionCreator`)."""
        if self._seconds() - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = self._seconds()
            state = self._state()
            if state != self._files:
                self._files = state
                self._read_again()
        return super().serverConnectionForTLS(protocol)

    def _read_again(self) -> None:
        try:
            contexts = read_contexts(self._args)
        except SettingsError as problem:
            self._log.error("the certificate stays as it was: {problem}", problem=problem)
            return
        if contexts is None:
            self._log.error("the certificate stays as it was: its file is gone")
            return
        self.use(contexts)
        self._log.info("new certificate: {summary}", summary=contexts.material.summary)

    def _state(self) -> Sequence[tuple[int, ...] | None]:
        return [_stat(path) for path in (self._args.cert, self._args.key, self._args.cafile) if path]


def _stat(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
