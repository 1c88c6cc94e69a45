"""``portofcall ticket`` prints a ticket, or one line that says what is wrong."""

import argparse
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portofcall.access.ticket import Ticket
from portofcall.access.ticket_key import TicketKey
from portofcall.commands.ticket import add_arguments, run
from portofcall.target import TargetName

SECRET = b"0123456789abcdef0123456789abcdef\n"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file with a secret."""
    path = tmp_path / "key"
    path.write_bytes(SECRET)
    return path


def call(*arguments: str) -> int:
    """Parse and run a command line."""
    parser = argparse.ArgumentParser("portofcall")
    add_arguments(parser.add_subparsers())
    args = parser.parse_args(["ticket", *arguments])
    assert args.run is run
    status: int = run(args)
    return status


def verify(token: str, data: bytes = SECRET) -> Ticket:
    """Verify a token now."""
    return TicketKey.load(data).verify(token.removesuffix("\n"), time.time())


def test_ticket_is_printed_on_a_line_of_its_own(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A shell can assign it to a variable."""
    assert call("--key", str(key_file)) == 0
    printed = capsys.readouterr()
    assert printed.out.count("\n") == 1
    assert printed.err == ""
    ticket = verify(printed.out)
    assert (ticket.subject, ticket.host, ticket.port, ticket.once) == (None, None, None, False)
    assert 55 < ticket.expires_at - time.time() < 62


def test_ticket_for_a_named_target(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no host and no port; with them it would be an error."""
    assert call("--key", str(key_file), "--target", "db") == 0
    ticket = verify(capsys.readouterr().out)
    assert (ticket.target, ticket.host, ticket.port) == (TargetName("db"), None, None)
    for more in (["--host", "db.example"], ["--port", "5432"]):
        assert call("--key", str(key_file), "--target", "db", *more) == 2
        assert capsys.readouterr().err == ("portofcall ticket: target must be given without host and port\n")


def test_ticket_has_the_claims_of_the_options(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pins, subject, lifetime and single use."""
    options = ["--host", "DB.example", "--port", "5432", "--subject", "alice", "--ttl", "3600", "--once"]
    assert call("--key", str(key_file), *options) == 0
    ticket = verify(capsys.readouterr().out)
    assert (ticket.subject, ticket.host, ticket.port, ticket.once) == ("alice", "db.example", 5432, True)
    assert ticket.expires_at - time.time() > 3590


def test_private_key_signs_and_the_public_one_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gateway needs only the public one, which can't issue tickets."""
    key = Ed25519PrivateKey.generate()
    pem = serialization.Encoding.PEM
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    private.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    assert call("--key", str(private)) == 0
    assert verify(capsys.readouterr().out, public.read_bytes())
    assert call("--key", str(public)) == 2
    assert "a public key can't sign tickets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "127.1"], "host must be a host name or an address"),
        (["--port", "0"], "port must be a whole number from 1 to 65535"),
        (["--subject", ""], "sub must be a text of 1 to 128 characters"),
        (["--ttl", "0"], "expected a lifetime of 1 to 86400 whole seconds"),
        (["--ttl", "86401"], "expected a lifetime of 1 to 86400 whole seconds"),
    ],
)
def test_invalid_option_is_one_line(
    options: list[str], message: str, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output stays empty, so that nothing is taken for a ticket."""
    assert call("--key", str(key_file), *options) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"portofcall ticket: {message}\n"


@pytest.mark.parametrize("option", ["--ttl", "--port"])
@pytest.mark.parametrize("text", ["1.5", "-1", "soon", "\u0661", "9" * 5000, ""])
def test_numbers_are_whole(
    option: str, text: str, key_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In ASCII digits."""
    with pytest.raises(SystemExit) as caught:
        call("--key", str(key_file), f"{option}={text}")
    assert caught.value.code == 2
    assert "expected a whole number" in capsys.readouterr().err


def test_unusable_key_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the file's name and nothing of its content."""
    short = tmp_path / "short"
    short.write_bytes(b"Swordfish")
    for path, message in (
        (short, "expected a secret of at least 32 bytes, or an Ed25519 key in PEM"),
        (tmp_path / "missing", "expected a readable file (No such file or directory)"),
        (tmp_path, "expected a readable file (Is a directory)"),
    ):
        assert call("--key", str(path)) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err == f"portofcall ticket: --key {path}: {message}\n"


def test_key_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no default for a secret."""
    with pytest.raises(SystemExit):
        call()
    assert "--key" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--key=x", "--host=a.example", "--port=22", "--subject=me", "--ttl=60"])
def test_option_is_expected_once(option: str, key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two values would leave open which of them counts, also if the first is the default."""
    with pytest.raises(SystemExit) as caught:
        call("--key", str(key_file), option, option)
    assert caught.value.code == 2
    assert f"argument {option.partition('=')[0]}: expected once" in capsys.readouterr().err


def test_ticket_with_a_session(key_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its tunnel ends then; a session of no time is an error."""
    assert call("--key", str(key_file), "--session", "3600") == 0
    ends_at = verify(capsys.readouterr().out).session_ends_at
    assert ends_at is not None
    assert 3595 < ends_at - time.time() < 3602
    assert call("--key", str(key_file), "--session", "0") == 2
    assert capsys.readouterr().err == "portofcall ticket: expected a session of at least 1 whole second\n"
