"""TLS to a gateway: which files, and what is wrong with them."""

from pathlib import Path

import pytest
from OpenSSL import SSL
from twisted.internet.testing import MemoryReactorClock

from portofcall.client.connection import Gateway, Route
from portofcall.client.gateway_url import GatewayURL
from portofcall.client.problem import Problem, Status
from portofcall.client.tls import TLSOptions, make_context
from tests.certificates import Authority

ROOT = Authority()


def test_the_systems_authorities_are_the_default() -> None:
    """Certificates are verified."""
    assert make_context(TLSOptions()).get_verify_mode() == SSL.VERIFY_PEER


def test_without_verification() -> None:
    """Only if asked for."""
    assert make_context(TLSOptions(insecure=True)).get_verify_mode() == SSL.VERIFY_NONE


def test_files_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    """The message names the option and the file."""
    text = tmp_path / "text"
    text.write_text("no PEM")
    missing = tmp_path / "missing"
    for options, match in (
        (TLSOptions(cacert=missing), f"--cacert {missing}: No such file"),
        (TLSOptions(cacert=text), f"--cacert {text}: expected certificates in PEM"),
        (TLSOptions(cert=text), f"--cert {text}: expected certificates in PEM"),
        (TLSOptions(key=text), "--key: expected --cert with it"),
    ):
        with pytest.raises(ValueError, match=match):
            make_context(options)


def test_a_key_has_to_be_that_of_the_certificate(tmp_path: Path) -> None:
    """It may be in the same file."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    cert, key = ROOT.issue("client").write(tmp_path / "a")
    other_cert, other_key = ROOT.issue("other").write(tmp_path / "b")
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    make_context(TLSOptions(cert=cert, key=key))
    make_context(TLSOptions(cert=both))
    with pytest.raises(ValueError, match="--key: expected the key of the certificate"):
        make_context(TLSOptions(cert=cert, key=other_key))
    with pytest.raises(ValueError, match=f"--key {other_cert}: expected a private key"):
        make_context(TLSOptions(cert=cert, key=other_cert))


def test_files_are_checked_before_anything_is_opened(tmp_path: Path) -> None:
    """It is an invalid command line; without TLS they do not matter."""
    tls = TLSOptions(cacert=tmp_path / "missing")
    reactor = MemoryReactorClock()
    Gateway(reactor, Route(url=GatewayURL.parse("ws://gw"), tls=tls)).check()
    with pytest.raises(Problem, match="usage: --cacert") as caught:
        Gateway(reactor, Route(url=GatewayURL.parse("wss://gw"), tls=tls)).check()
    assert caught.value.status is Status.USAGE
