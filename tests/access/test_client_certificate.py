"""The subject of a client's certificate is the tunnel's."""

import base64
from collections.abc import Sequence
from typing import Any, cast

import pytest
from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import WrappingFactory
from zope.interface import directlyProvides

from portofcall.access.authenticator import Credentials
from portofcall.access.client_certificate import certificate_subject, common_name
from portofcall.testing import FakeTransport, Response, upgrade_request
from tests.certificates import Authority
from tests.support import sentences
from tests.tls_client import ROOT, TLSClient, TLSWorld, material

ADA = ROOT.issue(subject="ada", client=True)
#: A user and a password, in addition to the certificate.
PASSWORDS = Credentials(checkers=[InMemoryUsernamePasswordDatabaseDontUse(bob=b"builder")])


def tunnel_line(client: TLSClient, logged: Sequence[str], **headers: str) -> str:
    """Ask for a tunnel; return its line in the log."""
    client.shake_hands().send(upgrade_request(**headers))
    client.world.accept()
    return sentences(logged, "tunnel ")[-1]


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_log_has_the_subject(version: int, logged: list[str]) -> None:
    """Also where the handshake resumed a session, and no certificate was sent."""
    world = TLSWorld(material(clients=(ROOT,)))
    first = TLSClient(world, own=ADA, version=version)
    assert tunnel_line(first, logged).startswith("tunnel CN=ada@192.0.2.1:40000 -> ")
    first.receive()
    logged.clear()
    second = TLSClient(world, own=ADA, version=version, resumes=first)
    assert tunnel_line(second, logged).startswith("tunnel CN=ada@192.0.2.1:40000 -> ")
    assert second.resumed


def test_client_without_a_certificate_has_no_subject(logged: list[str]) -> None:
    """Where none is asked for, one that it has is not sent."""
    for own in (None, ADA):
        line = tunnel_line(TLSClient(TLSWorld(), own=own), logged)
        assert line.startswith("tunnel 192.0.2.1:40000 -> ")


def test_password_is_required_in_addition(logged: list[str]) -> None:
    """A certificate alone is not enough then, and the subject is the user."""
    world = TLSWorld(material(clients=(ROOT,)), credentials=PASSWORDS)
    alone = TLSClient(world, own=ADA).shake_hands()
    alone.send(upgrade_request())
    assert Response(alone.receive()).status == 401
    basic = f"Basic {base64.b64encode(b'bob:builder').decode()}"
    line = tunnel_line(TLSClient(world, own=ADA), logged, Authorization=basic)
    assert line.startswith("tunnel bob@192.0.2.1:40000 -> ")


class TLSTransport(FakeTransport):
    """A connection whose client gave a certificate."""

    def __init__(self, certificate: x509.Certificate | None) -> None:
        super().__init__()
        self.certificate = certificate
        directlyProvides(self, ISSLTransport)

    def getPeerCertificate(self) -> X509 | None:
        return None if self.certificate is None else X509.from_cryptography(self.certificate)


def subject(distinguished: str, *alternatives: x509.GeneralName) -> str | None:
    """Return the subject of a certificate with this name and these alternatives."""
    issued = Authority().issue(client=True, distinguished=distinguished, alternatives=alternatives)
    return certificate_subject(TLSTransport(issued.chain[0]))


@pytest.mark.parametrize(
    ("distinguished", "shown"),
    [
        ("CN=ada", "CN=ada"),
        ("CN=ada,OU=Engines,O=Example", "CN=ada,OU=Engines,O=Example"),
        ("CN=a\\,b", "CN=a\\\\,b"),
        ("CN=a\\0ab", "CN=a\\nb"),
        ("CN=\u00e4da", "CN=\\xe4da"),
        (f"CN={'x' * 64}", f"CN={'x' * 58}..."),
    ],
)
def test_distinguished_name_is_the_subject(distinguished: str, shown: str) -> None:
    """As RFC 4514 writes it, bounded and escaped for the log."""
    assert subject(distinguished, x509.DNSName("a.example")) == shown


URI = x509.UniformResourceIdentifier("spiffe://example/ada")


@pytest.mark.parametrize(
    ("alternatives", "shown"),
    [
        ([x509.DNSName("a.example"), URI, x509.RFC822Name("ada@example")], "ada@example"),
        ([x509.DNSName("a.example"), URI], "spiffe://example/ada"),
        ([x509.DNSName("a.example")], "a.example"),
        ([x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))], "certificate"),
        ([], "certificate"),
    ],
)
def test_alternative_name_stands_for_an_empty_one(alternatives: list[x509.GeneralName], shown: str) -> None:
    """An email address, a URI or a DNS name."""
    assert subject("", *alternatives) == shown


def test_other_connections_have_no_subject() -> None:
    """Plain ones, and TLS without a client certificate."""
    assert certificate_subject(FakeTransport()) is None
    assert certificate_subject(TLSTransport(None)) is None
    assert certificate_subject(None) is None


def test_wrapper_around_tls_is_looked_through() -> None:
    """Twisted's ``haproxy:ssl:`` has the PROXY protocol inside TLS."""
    transport = TLSTransport(ADA.chain[0])
    wrapper = WrappingFactory(Factory.forProtocol(Protocol)).buildProtocol(transport.getPeer())
    wrapper.makeConnection(cast(Any, transport))
    assert certificate_subject(wrapper) == "CN=ada"


@pytest.mark.parametrize(
    ("distinguished", "name"),
    [("CN=ada,O=Example", "ada"), ("O=Example", ""), ("CN=" + "a" * 64, "a" * 64)],
)
def test_common_name_is_the_one_in_the_certificate(distinguished: str, name: str) -> None:
    """As it stands there; a client without a certificate has none."""
    issued = Authority().issue(distinguished=distinguished, client=True)
    assert common_name(TLSTransport(issued.chain[0])) == name
    assert common_name(TLSTransport(None)) is None
    assert common_name(FakeTransport()) is None
