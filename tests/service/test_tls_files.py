"""The files of the TLS options are read and checked against each other; what is wrong is one line."""

import datetime
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from portofcall.service.tls_files import (
    MAX_FILE_BYTES,
    Certificate,
    TLSFileError,
    TLSFiles,
    TLSMaterial,
    TLSVersion,
    parse_tls_version,
)
from tests.certificates import DAY, Authority, pem_key

ROOT = Authority()
MIDDLE = Authority("Test Intermediate", above=ROOT)
SERVER = MIDDLE.issue("gateway.example", "*.gateway.example")

#: A certificate whose key is on the curve prime239v1.
ODD_CURVE = b"""\
-----BEGIN CERTIFICATE-----
MIIBZjCCARGgAwIBAgIUWsGjr7uquZPqaToslEnbpPO5kakwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjQxMzI0MzBaGA8yMTI2MTAzMTEzMjQzMFow
DDEKMAgGA1UEAwwBeDBVMBMGByqGSM49AgEGCCqGSM49AwEEAz4ABGVuWzEQSBoG
hf8AFj2BIOrgOHaNRVjzURr1Jd1KNhtHawfjBNyVIr2JiyTQhsvreXXPEwd4NS95
LPcyNKNTMFEwHQYDVR0OBBYEFC6dfJx+nSnZzYaRbYCw3EAPDqZjMB8GA1UdIwQY
MBaAFC6dfJx+nSnZzYaRbYCw3EAPDqZjMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDQwAwQAIeb09PAju8I8g1zSPILqHxGo7dWyXQ4xl3+VJGZBn8Ah5wVm5R
G4Je2wCJEPUJWZQpMZzueFJVbOD17TC4TXw=
-----END CERTIFICATE-----
"""


def problem(certificate: Path, key: Path | None = None, client_ca: Path | None = None) -> str:
    """Return why files can't be used: one line."""
    files = TLSFiles(certificates=[certificate], keys=[key] if key else [], client_ca=client_ca)
    with pytest.raises(TLSFileError) as caught:
        files.read()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate(), None]
)
def test_chain_and_key_are_read(key: object, tmp_path: Path) -> None:
    """In the order of the file."""
    issued = MIDDLE.issue("gateway.example", key=key or rsa.generate_private_key(65537, 2048))
    material = TLSFiles(certificates=[issued.write(tmp_path)[0]], keys=[tmp_path / "server.key"]).read()
    (certificate,) = material.certificates
    assert certificate.chain == (issued.chain[0], MIDDLE.certificate)
    assert certificate.key.public_key() == issued.key.public_key()
    assert (material.client_authorities, material.min_version) == ((), TLSVersion.TLS_1_2)


@pytest.mark.parametrize("key_first", [True, False])
def test_one_file_may_hold_both(key_first: bool, tmp_path: Path) -> None:
    """In any order."""
    path = tmp_path / "both.pem"
    parts = [pem_key(SERVER.key), SERVER.pem]
    path.write_bytes(b"".join(parts if key_first else reversed(parts)))
    files = TLSFiles(certificates=[path])
    assert files.read().certificates[0].chain == SERVER.chain
    assert list(files.secret) == [("--tls-cert", path)]


def test_keys_belong_to_the_certificates_in_their_order(tmp_path: Path) -> None:
    """The first to the first."""
    issued = [MIDDLE.issue(f"{name}.example") for name in ("a", "b")]
    written = [one.write(tmp_path, str(number)) for number, one in enumerate(issued)]
    certificates, keys = zip(*written, strict=True)
    files = TLSFiles(certificates=certificates, keys=keys)
    assert [certificate.chain for certificate in files.read().certificates] == [one.chain for one in issued]
    assert list(files.secret) == [("--tls-key", key) for key in keys]
    with pytest.raises(
        TLSFileError, match=r"^--tls-key \S+1\.key: expected the key of the first certificate"
    ):
        TLSFiles(certificates=certificates, keys=keys[::-1]).read()


def test_authorities_of_clients_are_read(tmp_path: Path) -> None:
    """All in the file."""
    path = tmp_path / "ca.pem"
    path.write_bytes(ROOT.pem + MIDDLE.pem)
    certificate, key = SERVER.write(tmp_path)
    material = TLSFiles(certificates=[certificate], keys=[key], client_ca=path).read()
    assert material.client_authorities == (ROOT.certificate, MIDDLE.certificate)


def test_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    """The line names both files."""
    certificate, _ = SERVER.write(tmp_path)
    _, key = MIDDLE.issue("gateway.example").write(tmp_path, "other")
    expected = f"expected the key of the first certificate in {certificate}, got the key of another one"
    assert problem(certificate, key) == f"--tls-key {key}: {expected}"


def test_chain_that_begins_with_an_intermediate_is_refused(tmp_path: Path) -> None:
    """The key is the server's."""
    certificate, key = SERVER.write(tmp_path)
    certificate.write_bytes(MIDDLE.pem + SERVER.pem)
    assert problem(certificate, key).startswith(f"--tls-key {key}: expected the key of the first certificate")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\0" * 100, pem_key(SERVER.key)])
def test_file_without_a_certificate_is_refused(content: bytes, tmp_path: Path) -> None:
    """Whatever else it holds."""
    certificate, key = SERVER.write(tmp_path)
    certificate.write_bytes(content)
    assert problem(certificate, key) == (
        f"--tls-cert {certificate}: expected certificates in PEM, the server's own first"
    )


def test_broken_certificate_of_a_chain_is_named_by_its_line(tmp_path: Path) -> None:
    """An operator who appends one to a file finds it again."""
    certificate, key = SERVER.write(tmp_path)
    certificate.write_bytes(SERVER.pem + MIDDLE.pem[:300])
    line = SERVER.pem.count(b"\n") + 1
    assert problem(certificate, key) == (
        f"--tls-cert {certificate}: line {line}: expected certificates in PEM, the server's own first"
    )


@pytest.mark.parametrize("content", [b"", b"nonsense", SERVER.pem, pem_key(SERVER.key)[:100]])
def test_file_without_a_key_is_refused(content: bytes, tmp_path: Path) -> None:
    """Nothing of its content is quoted."""
    certificate, key = SERVER.write(tmp_path)
    key.write_bytes(content)
    assert problem(certificate, key) == f"--tls-key {key}: expected a private key in PEM"


def test_key_that_no_certificate_can_have_is_refused(tmp_path: Path) -> None:
    """X25519 can't sign."""
    certificate, key = SERVER.write(tmp_path)
    key.write_bytes(pem_key(x25519.X25519PrivateKey.generate()))
    assert problem(certificate, key).startswith(f"--tls-key {key}: expected the key of the first certificate")


def test_certificate_with_a_key_of_an_unsupported_kind_is_refused(tmp_path: Path) -> None:
    """The cryptography library raises no ValueError for it."""
    certificate, key = SERVER.write(tmp_path)
    certificate.write_bytes(ODD_CURVE)
    assert problem(certificate, key) == f"--tls-cert {certificate}: the kind of its key is not supported"


def test_certificate_without_a_key_is_refused(tmp_path: Path) -> None:
    """The line says where a key may be."""
    certificate, _ = SERVER.write(tmp_path)
    assert problem(certificate) == (
        f"--tls-cert {certificate}: expected a private key in it, or --tls-key, in PEM"
    )


def test_key_with_a_passphrase_is_refused(tmp_path: Path) -> None:
    """Nobody is asked for one."""
    certificate, key = SERVER.write(tmp_path)
    key.write_bytes(pem_key(SERVER.key, b"secret"))
    assert problem(certificate, key) == f"--tls-key {key}: expected a key without a passphrase"


def test_file_of_authorities_without_one_is_refused(tmp_path: Path) -> None:
    """An empty one would let in nobody, or everybody."""
    certificate, key = SERVER.write(tmp_path)
    authorities = tmp_path / "ca.pem"
    authorities.write_text("# none\n")
    assert problem(certificate, key, authorities) == (
        f"--tls-client-ca {authorities}: expected certificates of authorities in PEM"
    )


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """Missing, too large, no regular file: a pipe would block at the next reload."""
    certificate, key = SERVER.write(tmp_path)
    key.unlink()
    assert problem(certificate, key).startswith(f"--tls-key {key}: expected a readable file (No such file")
    os.mkfifo(key)
    assert problem(certificate, key) == f"--tls-key {key}: expected a regular file"
    assert problem(tmp_path) == f"--tls-cert {tmp_path}: expected a regular file"
    certificate.write_bytes(SERVER.pem + b"\n" * MAX_FILE_BYTES)
    assert problem(certificate) == f"--tls-cert {certificate}: expected at most {MAX_FILE_BYTES} bytes"


@pytest.mark.parametrize(("certificates", "keys"), [(0, 0), (0, 1), (1, 2), (3, 1)])
def test_number_of_keys_is_that_of_certificates(certificates: int, keys: int) -> None:
    """Or none at all."""
    with pytest.raises(TLSFileError, match=r"^--tls-(cert|key): expected (at least )?one"):
        TLSFiles(certificates=[Path("c")] * certificates, keys=[Path("k")] * keys)


@pytest.mark.parametrize(
    ("begins", "ends", "line"),
    [
        (-90 * DAY, 15 * DAY, ""),
        (-90 * DAY, 13.9 * DAY, ", in 13 days"),
        (-90 * DAY, 1.5 * DAY, ", in 1 day"),
        (-90 * DAY, -DAY, "the certificate ended on "),
        (DAY, 90 * DAY, "the certificate begins on "),
    ],
)
def test_certificate_near_its_end_is_a_warning(
    begins: datetime.timedelta, ends: datetime.timedelta, line: str
) -> None:
    """14 days before, or when clients would refuse it; with the file and the day."""
    issued = MIDDLE.issue("gateway.example", begins=begins, ends=ends)
    certificate = Certificate(path=Path("server.pem"), chain=issued.chain, key=issued.key)
    now = datetime.datetime.now(datetime.UTC)
    lines = list(TLSMaterial(certificates=(certificate,)).warnings(now))
    if not line:
        assert lines == []
    else:
        (found,) = lines
        assert found.startswith("--tls-cert server.pem: the certificate ")
        assert line in found
        assert f"{now + (begins if begins > 0 * DAY else ends):%Y-%m-%d}" in found


def test_summary_has_names_and_the_end() -> None:
    """The log shows at most four names of each certificate."""
    end = f"{datetime.datetime.now(datetime.UTC) + 90 * DAY:%Y-%m-%d}"
    many, none = MIDDLE.issue(*(f"{letter}.example" for letter in "abcdef")), MIDDLE.issue(subject="old")
    certificates = tuple(
        Certificate(path=Path("c"), chain=issued.chain, key=issued.key) for issued in (SERVER, many, none)
    )
    assert TLSMaterial(certificates=certificates).summary == (
        f"gateway.example, *.gateway.example until {end}; "
        f"a.example, b.example, c.example, d.example and 2 more names until {end}; "
        f"a certificate without DNS names until {end}"
    )


def test_versions_are_1_2_and_1_3() -> None:
    """Older ones are not offered."""
    assert [parse_tls_version(text) for text in ("1.2", " 1.3 ")] == ["1.2", "1.3"]
    for text in ("1.1", "1.4", "TLS1.2", "", "1"):
        with pytest.raises(ValueError, match=r"^expected 1\.2 or 1\.3$"):
            parse_tls_version(text)
