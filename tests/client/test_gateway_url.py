"""The URL of a gateway, in all its forms."""

import pytest

from portofcall.client.gateway_url import GatewayURL
from portofcall.target import Target, TargetName


@pytest.mark.parametrize(
    ("text", "server", "secure", "path"),
    [
        ("ws://gw", "gw:80", False, "/api/connect"),
        ("wss://gw/", "gw:443", True, "/api/connect"),
        ("http://gw:8080", "gw:8080", False, "/api/connect"),
        ("https://gw.example/tunnel/x?a=1", "gw.example:443", True, "/tunnel/x?a=1"),
        ("wss://[::1]:9000", "[::1]:9000", True, "/api/connect"),
        ("WSS://GW.Example", "gw.example:443", True, "/api/connect"),
    ],
)
def test_urls(text: str, server: str, secure: bool, path: str) -> None:
    """The scheme decides on TLS and on the port; the path has a default."""
    url = GatewayURL.parse(text)
    assert (str(url.server), url.secure, url.path, url.unix_path) == (server, secure, path, "")


def test_unix_sockets() -> None:
    """They are asked for by their path."""
    url = GatewayURL.parse("unix:/run/gw.sock")
    assert (url.unix_path, url.host_header, str(url)) == ("/run/gw.sock", "localhost", "unix:/run/gw.sock")


@pytest.mark.parametrize(
    "text",
    [
        "gw.example", "ftp://gw", "ws://", "wss://gw:70000", "wss://gw:x", "unix:relative", "unix:/a\0b", "ws://g\nw",
        "wss://gw#part", "wss://-gw", "ws://gw/\\", "wss://[::1", "ws://gw/a b", "ws://gü",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """The message says what was expected, and quotes nothing that could be a password."""
    with pytest.raises(ValueError, match="GATEWAY: ") as caught:
        GatewayURL.parse(text)
    assert "\n" not in str(caught.value)


def test_user_and_password_are_not_shown() -> None:
    """They are decoded, and not part of what is printed."""
    url = GatewayURL.parse("wss://al%40ice:s%3Acret@gw.example")
    assert (url.user, url.password, str(url)) == ("al@ice", "s:cret", "wss://gw.example")


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("ws://gw", "/api/connect?host=db.internal&port=5432"),
        ("ws://gw/t?k=v", "/t?k=v&host=db.internal&port=5432"),
    ],
)
def test_the_target_is_in_the_query(text: str, resource: str) -> None:
    """In addition to the query of the URL."""
    assert GatewayURL.parse(text).resource(Target.parse("db.internal", 5432)) == resource


def test_targets_by_name_and_by_address() -> None:
    """A named target has a parameter of its own, and IPv6 addresses keep their colons."""
    url = GatewayURL.parse("ws://gw")
    assert url.resource(TargetName.parse("vault")) == "/api/connect?target=vault"
    assert url.resource(Target.parse("::1", 22)) == "/api/connect?host=::1&port=22"


def test_the_api_is_beside_the_tunnel() -> None:
    """A prefix that a proxy adds, and the query, are kept."""
    assert GatewayURL.parse("ws://gw").api("ping") == "/api/ping"
    assert GatewayURL.parse("ws://gw/base/api/connect?k=v").api("ssh/connect") == "/base/api/ssh/connect?k=v"


def test_the_host_header_has_the_port_unless_it_is_the_default() -> None:
    """RFC 9110 §7.2."""
    hosts = ["ws://gw:80", "wss://gw:80", "wss://gw:443", "ws://[::1]:80"]
    assert [GatewayURL.parse(text).host_header for text in hosts] == ["gw", "gw:80", "gw", "[::1]"]
