"""The site's protocol and its lines in the log."""

from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address

from portofcall.testing import World
from portofcall.web.server import access_line


def test_tls_agrees_on_http_1_1_only() -> None:
    """HTTP/2 has no connection that a tunnel could take over."""
    assert World().site.acceptableProtocols() == [b"http/1.1"]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (b"/api/ping", "/api/ping"),
        (b"/api/connect?host=a&port=1", "/api/connect?host=a&port=1"),
        (b"/api/ping?ticket=secret", "/api/ping?..."),
        (b"/api/connect?host=a&%74icket=secret", "/api/connect?..."),
        (b"/api/connect?host=a;TICKET=secret", "/api/connect?..."),
        (b"/api/connect%3fticket=secret", "/..."),
        (b"/api/connect%253f%2574icket=secret", "/..."),
        (b"/x#ticket=secret", "/..."),
        (b"/\x1b[31m\xff", "/\\x1b[31m\\xff"),
    ],
)
def test_access_line_is_plain_and_keeps_tickets_secret(uri: bytes, shown: str) -> None:
    """A log is read in a terminal, and by more people than a ticket is for."""
    request: Any = SimpleNamespace(
        uri=uri,
        method=b"POST",
        code=200,
        sentLength=5,
        getClientAddress=lambda: IPv4Address("TCP", "192.0.2.1", 4000),
    )
    assert access_line("now", request) == f'192.0.2.1 [now] "POST {shown}" 200 5'
