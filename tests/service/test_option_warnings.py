"""An option that is risky, or seldom meant, is a line in the log."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.internet.testing import MemoryReactorClock

from portofcall.relay import tls_records
from portofcall.service.maker import makeService
from portofcall.service.option_warnings import option_warnings
from tests.certificates import DAY, Authority
from tests.service.support import parse


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that is a ticket key and a password file, readable by its owner only."""
    path = tmp_path / "secret"
    path.write_text("ada:0123456789abcdef0123456789abcdef\n")
    path.chmod(0o640)
    return path


def warnings(*options: str) -> list[str]:
    """Return the lines about a command line."""
    return list(option_warnings(parse(*options)))


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_trusting_everybody_is_a_warning(network: str) -> None:
    """One that is named, whatever other networks are trusted."""
    (line,) = warnings("--trust-forwarded=10.0.0.0/8", f"--trust-forwarded={network}")
    assert line.startswith(f"--trust-forwarded {network}: every client is trusted as a proxy")


def test_mapped_spelling_of_everybody_is_a_warning() -> None:
    """It is the same network."""
    (line,) = warnings("--trust-forwarded=::ffff:0.0.0.0/96")
    assert line.startswith("--trust-forwarded 0.0.0.0/0: ")


@pytest.mark.parametrize("option", ["--ticket-key=", "--auth=file:"])
def test_secret_that_every_user_can_read_is_a_warning(option: str, secret: Path) -> None:
    """With the file's name and nothing of its content."""
    assert warnings(f"{option}{secret}") == []
    secret.chmod(0o644)
    shown = f"{option.replace('=', ' ')}{secret}"
    assert warnings(f"{option}{secret}") == [f"{shown}: readable by every user of this host; chmod o-r it"]


def test_tokens_that_every_user_can_read_or_write_are_a_warning(tmp_path: Path) -> None:
    """In a file, and in a file of a directory: to read them is to use them, to write them is to add some."""
    folder = tmp_path / "tokens"
    folder.mkdir(0o700)
    path = folder / "desks"
    path.write_text("secret: 10.0.0.5:5901\n")
    path.chmod(0o600)
    file, option = f"--target-file=websockify:{path}", f"--target-file=websockify:{folder}"
    assert warnings(file) == warnings(option) == []
    path.chmod(0o604)
    shown = "readable by every user of this host; chmod o-r it"
    assert warnings(file) == [f"--target-file websockify:{path}: {shown}"]
    assert warnings(option) == [f"--target-file websockify:{folder}: desks is {shown}"]
    folder.chmod(0o702)
    (line,) = warnings(option)
    assert line.endswith("tokens is writable by every user of this host, who may add targets; chmod o-w it")
    assert "secret" not in line
    folder.chmod(0o700)


def test_slow_tls_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is missing for the fast one."""
    certificate, key = Authority().issue("gateway.example").write(tmp_path)
    options = "--listen=tls+tcp:0", f"--tls-cert={certificate}", f"--tls-key={key}"
    assert warnings(*options) == []
    monkeypatch.setattr(tls_records, "UNAVAILABLE", "SSL_read")
    assert warnings(*options) == ["TLS is slower than it could be: this pyOpenSSL has no SSL_read"]
    assert warnings() == []


def test_public_key_may_be_read_by_everybody(tmp_path: Path) -> None:
    """It can only verify."""
    path = tmp_path / "public.pem"
    path.write_bytes(
        Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    path.chmod(0o644)
    assert warnings("--ticket-key", str(path)) == []


def test_tls_key_that_every_user_can_read_is_a_warning(tmp_path: Path) -> None:
    """In a file of its own, or with the certificate."""
    certificate, key = Authority().issue("a.example").write(tmp_path)
    certificate.chmod(0o644)
    tls = ["--listen=tls+tcp:443", f"--tls-cert={certificate}"]
    assert warnings(*tls, f"--tls-key={key}") == []
    key.chmod(0o644)
    end = "readable by every user of this host; chmod o-r it"
    assert warnings(*tls, f"--tls-key={key}") == [f"--tls-key {key}: {end}"]
    certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    assert warnings(*tls) == [f"--tls-cert {certificate}: {end}"]


def test_certificate_that_ends_soon_is_a_warning(tmp_path: Path) -> None:
    """Within 14 days."""
    certificate, key = Authority().issue("a.example", ends=5.5 * DAY).write(tmp_path)
    (line,) = warnings("--listen=tls+tcp:443", f"--tls-cert={certificate}", f"--tls-key={key}")
    assert line.startswith(f"--tls-cert {certificate}: the certificate ends on ")
    assert line.endswith(", in 5 days")


def test_usual_command_line_has_no_warning() -> None:
    """Users in memory have no file."""
    assert warnings("--auth=memory:ada:lovelace", "--trust-forwarded=10.0.0.0/8") == []


def test_password_file_that_is_gone_is_no_warning(secret: Path) -> None:
    """The checker reports that at the next login."""
    secret.chmod(0o644)
    options = parse("--auth", f"file:{secret}")
    secret.unlink()
    assert list(option_warnings(options)) == []


def test_warnings_are_logged_at_the_start(logged: list[str]) -> None:
    """Not while the service is made: twistd has no log by then."""
    service = makeService(parse("--trust-forwarded=0.0.0.0/0", "--no-auth"), MemoryReactorClock())
    assert logged == []
    service.privilegedStartService()
    assert [line for line in logged if line.startswith("--trust-forwarded 0.0.0.0/0: ")] != []
