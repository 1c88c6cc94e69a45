"""The value of --listen: Twisted's endpoints, with tls+ in front for TLS of our own."""

from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL.crypto import X509
from twisted.internet.error import VerifyError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from portofcall.service.endpoint import (
    endpoint_fields,
    has_own_tls,
    is_encrypted,
    make_endpoint,
    takes_proxy_header,
)
from tests.certificates import Authority, pem_key

ROOT = Authority()
SERVER = Authority("Test Intermediate", above=ROOT).issue("gateway.example")


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("tcp:80", ["tcp", "80"]),
        ("tls+haproxy:tcp:443:interface=\\:\\:1", ["haproxy", "tcp", "443", "interface=::1"]),
        ("unix:/run/a\\\\b\\:c", ["unix", "/run/a\\b:c"]),
        ("unix:/run/tls+x", ["unix", "/run/tls+x"]),
        ("", []),
    ],
)
def test_fields_are_split_at_colons(text: str, fields: list[str]) -> None:
    """Without escapes, and without the prefix."""
    assert endpoint_fields(text) == fields


@pytest.mark.parametrize(
    ("text", "own", "encrypted"),
    [
        ("tcp:80", False, False),
        ("tls+tcp:443", True, True),
        ("tls+haproxy:tcp:443", True, True),
        ("tls+unix:/run/x", True, True),
        ("ssl:443:privateKey=x", False, True),
        ("haproxy:ssl:443", False, True),
        ("tls:/etc/tls:tcp:443", False, True),
        ("unix:/run/ssl:mode=660", False, False),
        ("unix:ssl", False, False),
        ("haproxy:unix:tls", False, False),
    ],
)
def test_which_listeners_speak_tls(text: str, own: bool, encrypted: bool) -> None:
    """A path is no endpoint."""
    assert (has_own_tls(text), is_encrypted(text)) == (own, encrypted)


@pytest.mark.parametrize(
    "text", ["tls+ssl:443:privateKey=x", "tls+haproxy:ssl:443", "tls+tls:/etc/tls:tcp:443"]
)
def test_tls_inside_tls_is_refused(text: str) -> None:
    """The line says what is meant."""
    with pytest.raises(ValueError, match=r"^tls\+ adds TLS to an endpoint without it, such as tls\+tcp:443$"):
        make_endpoint(None, text)


def sent_chain(reactor: Any, text: str) -> list[x509.Certificate]:
    """Return what an endpoint would send after the server's own certificate."""
    make_endpoint(reactor, text).listen(cast(IProtocolFactory, Factory()))
    options = reactor.sslServers[-1][2]
    return [
        certificate.to_cryptography() if isinstance(certificate, X509) else certificate
        for certificate in options.extraCertChain
    ]


@pytest.mark.parametrize("before", ["", "haproxy:"])
def test_ssl_endpoint_sends_its_whole_chain(before: str, tmp_path: Path) -> None:
    """From certKey, or from a privateKey that holds everything; an extraCertChain replaces the rest of it."""
    certificate, key = SERVER.write(tmp_path)
    both, chain = tmp_path / "both.pem", tmp_path / "chain.pem"
    both.write_bytes(pem_key(SERVER.key) + SERVER.pem)
    chain.write_bytes(ROOT.pem)
    reactor, ssl = MemoryReactorClock(), f"{before}ssl:443"
    assert sent_chain(reactor, f"{ssl}:privateKey={key}:certKey={certificate}") == [*SERVER.chain[1:]]
    assert sent_chain(reactor, f"{ssl}:certKey={certificate}:privateKey={key}") == [*SERVER.chain[1:]]
    assert sent_chain(reactor, f"{ssl}:privateKey={both}") == [*SERVER.chain[1:]]
    extra = f"privateKey={key}:certKey={certificate}:extraCertChain={chain}"
    assert sent_chain(reactor, f"{ssl}:{extra}") == [ROOT.certificate]


def test_ssl_endpoint_with_another_key_is_refused(tmp_path: Path) -> None:
    """At the start, not at the first connection."""
    certificate, _ = SERVER.write(tmp_path)
    _, other = ROOT.issue("gateway.example").write(tmp_path, "other")
    with pytest.raises(VerifyError, match="do not match"):
        make_endpoint(None, f"ssl:443:privateKey={other}:certKey={certificate}")


def test_ssl_endpoint_with_a_weak_key_is_refused(tmp_path: Path) -> None:
    """That too would otherwise fail at each connection."""
    certificate, key = ROOT.issue("a.example", key=rsa.generate_private_key(65537, 1024)).write(tmp_path)
    with pytest.raises(ValueError, match=r"^OpenSSL refuses privateKey or certKey: .*ee key too small"):
        make_endpoint(None, f"ssl:443:privateKey={key}:certKey={certificate}")


@pytest.mark.parametrize(
    ("text", "takes"),
    [("haproxy:tcp:1", True), ("tls+haproxy:tcp:1", True), ("unix:haproxy", False), ("tcp:1", False)],
)
def test_endpoints_behind_a_proxy_are_known_by_their_first_field(text: str, takes: bool) -> None:
    """A socket may have any name."""
    assert takes_proxy_header(text) is takes
    make_endpoint(None, text)
