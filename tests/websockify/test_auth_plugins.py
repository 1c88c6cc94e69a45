"""websockify's authentication plugins."""

import base64
from http.client import HTTPMessage

import pytest

from portofcall.websockify.auth_plugins import BasicHTTPAuth, ClientCertCNAuth, ExpectOrigin
from portofcall.websockify.plugin_errors import PluginError, PluginRefusal


def headers(**values: str) -> HTTPMessage:
    """Make headers as plugins get them."""
    made = HTTPMessage()
    for name, value in values.items():
        made[name] = value
    return made


def basic(text: bytes) -> str:
    """Write credentials."""
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_a_password_in_either_coding(coding: str) -> None:
    """Browsers send UTF-8, and websockify expects ISO 8859-1."""
    plugin = BasicHTTPAuth("ada:pässword:x")
    plugin.authenticate(headers(authorization=basic("ada:pässword:x".encode(coding))), "h", 1)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({}, 401),
        ({"Authorization": basic(b"ada:guess")}, 401),
        ({"Authorization": basic(b"adapass")}, 401),
        ({"Authorization": "Digest x"}, 403),
        ({"Authorization": "Basic ???"}, 403),
    ],
)
def test_anything_else_is_refused(given: dict[str, str], code: int) -> None:
    """With a challenge where a password would help."""
    with pytest.raises(PluginRefusal) as caught:
        BasicHTTPAuth("ada:pass").authenticate(headers(**given), "h", 1)
    assert caught.value.code == code
    assert ("WWW-Authenticate" in caught.value.headers) == (code == 401)


@pytest.mark.parametrize("source", [None, "", "ada"])
def test_a_password_has_to_be_given(source: str | None) -> None:
    """Without one nobody, or everybody, could sign in."""
    with pytest.raises(PluginError, match="expected USER:PASSWORD"):
        BasicHTTPAuth(source)


def test_origins() -> None:
    """One of the list; none is none of them."""
    plugin = ExpectOrigin("http://a.example https://b.example")
    plugin.authenticate(headers(Origin="https://b.example"), "h", 1)
    for given in ({"Origin": "http://b.example"}, {"Origin": ""}, {}):
        with pytest.raises(PluginRefusal, match="Invalid Origin"):
            plugin.authenticate(headers(**given), "h", 1)
    with pytest.raises(PluginRefusal):
        ExpectOrigin(None).authenticate(headers(), "h", 1)


def test_common_names() -> None:
    """Of the header that the server sets."""
    plugin = ClientCertCNAuth("ada bob")
    plugin.authenticate(headers(SSL_CLIENT_S_DN_CN="bob"), "h", 1)
    for given in ({"SSL_CLIENT_S_DN_CN": "eve"}, {}):
        with pytest.raises(PluginRefusal):
            plugin.authenticate(headers(**given), None, None)
    with pytest.raises(PluginRefusal):
        ClientCertCNAuth(None).authenticate(headers(), "h", 1)
