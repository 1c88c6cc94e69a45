"""The site's protocol."""

from portofcall.testing import World


def test_tls_agrees_on_http_1_1_only() -> None:
    """HTTP/2 has no connection that a tunnel could take over."""
    assert World().site.acceptableProtocols() == [b"http/1.1"]
