"""TLS towards clients, on the port of plain HTTP or alone."""

import ssl
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from portofcall.testing import Response
from portofcall.websockify.arguments import parse
from portofcall.websockify.settings import SettingsError
from portofcall.websockify.tls import RenewedTLS, read_contexts
from tests.certificates import Authority, pem_key
from tests.websockify.support import upgrade, websockify_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates."""
    made: Path = tmp_path_factory.mktemp("tls")
    authority = Authority()
    authority.write(made)
    server = authority.issue("localhost")
    server.write(made)
    authority.issue("other").write(made, "other")
    (made / "locked.key").write_bytes(pem_key(server.key, b"pass"))
    (made / "both.pem").write_bytes(server.pem + pem_key(server.key))
    (made / "junk.pem").write_text("junk")
    return made


def hello() -> bytes:
    """The first bytes of a TLS client."""
    out, inward = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(inward, out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def test_the_first_byte_decides(folder: Path) -> None:
    """TLS is answered with TLS, and plain HTTP in plain."""
    with websockify_world(f"6080 192.0.2.7:1 --cert {folder}/both.pem") as world:
        plain, secure = world.connect(), world.connect()
        plain.send(upgrade())
        assert plain.take().startswith(b"HTTP/1.1 101 ")
        secure.send(hello()[:1])
        assert secure.take() == b""
        secure.send(hello()[1:])
        assert secure.take().startswith(b"\x16\x03")


def test_without_a_certificate_tls_is_a_bad_request() -> None:
    """As plain text."""
    with websockify_world("6080 192.0.2.7:1 --cert /nowhere/self.pem") as world:
        client = world.connect()
        client.send(hello() + b"\r\n")
        assert Response(client.take()).status == 400


def test_half_a_hello_has_a_deadline(folder: Path) -> None:
    """Like any other connection that waits for its client; and so has one that sends nothing."""
    with websockify_world(f"6080 192.0.2.7:1 --cert {folder}/both.pem") as world:
        silent, half = world.connect(), world.connect()
        half.send(hello()[:100])
        world.reactor.pump([1] * 60)
        assert silent.log[-1] in ("close", "reset")
        assert half.log[-1] in ("close", "reset")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--cert {0}/junk.pem", "--cert {0}/junk.pem: expected certificates in PEM"),
        ("--cert {0}/server.pem", "--cert {0}/server.pem: expected a private key in PEM"),
        ("--cert {0}/server.pem --key {0}/none.key", "--key {0}/none.key: expected a readable file"),
        ("--cert {0}/server.pem --key {0}/other.key", "--key {0}/other.key: expected the key of the cert"),
        ("--cert {0}/server.pem --key {0}/locked.key", "--key {0}/locked.key: the key is encrypted"),
        ("--cert {0}/server.pem --key {0}/locked.key --key-password x", "--key {0}/locked.key: expected a"),
        ("--cert {0}/both.pem --ssl-ciphers nonsense", "--ssl-ciphers: expected a list"),
        ("--cert {0}/both.pem --verify-client --cafile {0}/junk.pem", "--cafile {0}/junk.pem: expected cert"),
        ("--cert /nowhere --ssl-only", "--ssl-only: there is no certificate /nowhere"),
        ("--cert /nowhere --verify-client", "--verify-client: there is no certificate /nowhere"),
    ],
)
def test_files_that_do_not_fit(folder: Path, options: str, expected: str) -> None:
    """One line, with the option and the file."""
    with pytest.raises(SettingsError) as caught:
        read_contexts(parse(["1", "h:1", *options.format(folder).split()]))
    assert str(caught.value).startswith(expected.format(folder))


@pytest.mark.parametrize(
    "options",
    [
        "--cert {0}/server.pem --key {0}/server.key",
        "--cert {0}/both.pem --key-password needless",
        "--cert {0}/server.pem --key {0}/locked.key --key-password pass",
        "--cert {0}/both.pem --ssl-ciphers ECDHE+AESGCM --ssl-version tlsv1_3",
        "--cert {0}/both.pem --verify-client --cafile {0}/ca.pem",
    ],
)
def test_files_that_fit(folder: Path, options: str) -> None:
    """In one file or two, with a password or without."""
    assert read_contexts(parse(["1", "h:1", *options.format(folder).split()])) is not None


def test_a_renewed_certificate_is_used(folder: Path, tmp_path: Path, logged: list[str]) -> None:
    """For new connections; one that is broken, or gone, leaves the old one."""
    path = tmp_path / "self.pem"
    path.write_bytes((folder / "both.pem").read_bytes())
    args = parse(["1", "h:1", "--cert", str(path)])
    contexts, clock = read_contexts(args), Clock()
    assert contexts is not None
    tls = RenewedTLS(contexts, args, clock)
    renewed = Authority().issue("renewed.example")
    for content, names in (
        (renewed.pem + pem_key(renewed.key), ("renewed.example",)),
        (b"junk", ("renewed.example",)),
        (None, ("renewed.example",)),
    ):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        clock.advance(1)
        tls.serverConnectionForTLS(None)
        assert tls.names == names
    assert "new certificate: renewed.example" in logged[0]
    assert "stays as it was" in logged[1]
    assert logged[2].endswith("its file is gone")
