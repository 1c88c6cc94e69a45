"""websockify's token plugins that ask others."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from jwcrypto import jwk, jwt

from portofcall.websockify.plugin_errors import PluginError
from portofcall.websockify.token_services import BaseTokenAPI, JSONTokenApi, JWTTokenApi, TokenRedis


class Service(BaseHTTPRequestHandler):
    """Answers by what the path ends in."""

    asked: list[str] = []  # noqa: RUF012
    answers = {  # noqa: RUF012
        "text": (200, b"10.0.0.1:5901\n"),
        "json": (200, b'{"host": "10.0.0.1", "port": 5901}'),
        "broken": (200, b"nothing"),
        "large": (200, b"x" * 100_000),
        "fails": (503, b""),
        "forbidden": (403, b""),
        "invalid": (400, b""),
    }

    def do_GET(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        status, body = self.answers.get(self.path.rpartition("/")[2], (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a token service."""
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/%s"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_token_service(url: str) -> None:
    """Its answer is text or JSON; 404 and its like mean that there is no such token; the rest is an error."""
    assert BaseTokenAPI(url).lookup("text") == ("10.0.0.1", "5901")
    assert JSONTokenApi(url).lookup("json") == ("10.0.0.1", "5901")
    assert BaseTokenAPI(url).lookup("unknown") is None
    assert BaseTokenAPI(url).lookup("invalid") is None
    for token in ("broken", "large", "fails", "forbidden"):
        with pytest.raises(PluginError):
            JSONTokenApi(url).lookup(token)


def test_a_token_leads_to_no_other_path(url: str) -> None:
    """It is quoted."""
    assert BaseTokenAPI(url).lookup("../admin?x=1#y") is None
    assert Service.asked[-1] == "/..%2Fadmin%3Fx%3D1%23y"


@pytest.mark.parametrize("source", [None, "", "http://h/", "file:///%s", "http://h/%s/%s"])
def test_a_url_has_one_place_for_the_token(source: str | None) -> None:
    """Over HTTP."""
    with pytest.raises(PluginError, match="URL with %s"):
        BaseTokenAPI(source)


def signed(key: jwk.JWK, **claims: object) -> str:
    """Sign claims."""
    token = jwt.JWT(header={"alg": "HS256"}, claims={"host": "h", "port": 1, **claims})
    token.make_signed_token(key)
    return str(token.serialize())


def test_signed_tokens(tmp_path: Path) -> None:
    """With a secret of octets: valid, too early, too late, changed, and without a target."""
    path = tmp_path / "key"
    key = jwk.JWK.generate(kty="oct", size=256)
    path.write_text(str(key.get_op_key("sign")) + "\n")
    made, now = JWTTokenApi(str(path)), int(time.time())
    assert made.lookup(signed(key)) == ("h", "1")
    assert made.lookup(signed(key, nbf=now - 5, exp=now + 5)) == ("h", "1")
    for token in (
        signed(key, nbf=now + 5),
        signed(key, exp=now - 5),
        signed(key)[:-4] + "AAAA",
        "",
        "a.b.c.d.e",
    ):
        assert made.lookup(token) is None
    with pytest.raises(PluginError, match="expected text or a number"):
        made.lookup(signed(key, host=None))
    path.unlink()
    with pytest.raises(PluginError, match="expected a readable file"):
        made.lookup("")


def test_a_key_has_to_be_one(tmp_path: Path) -> None:
    """At the start, not at the first client."""
    path = tmp_path / "key"
    path.write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(PluginError, match="expected a key in PEM"):
        JWTTokenApi(str(path))


@pytest.mark.parametrize("source", [None, "", ":1", "h:port", "h:1:x", "h:1:2:p:n:more"])
def test_redis_is_named(source: str | None) -> None:
    """The form is websockify's."""
    with pytest.raises(PluginError, match="expected HOST"):
        TokenRedis(source)


def test_the_source_of_redis_has_quotes() -> None:
    """They keep colons together."""
    made = TokenRedis('r.example:6380:1:"p:w":"a:b"')
    settings = made._settings
    assert (settings["host"], settings["port"], settings["db"]) == ("r.example", 6380, 1)
    assert (settings["password"], made._prefix) == ("p:w", "a:b:")
    assert TokenRedis("h")._settings["port"] == 6379


def test_redis_that_is_away_is_an_error() -> None:
    """Not a token that is unknown."""
    with pytest.raises(PluginError, match="Redis can't be asked"):
        TokenRedis("127.0.0.1:1").lookup("a")
