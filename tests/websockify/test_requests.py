"""Tokens and authentication, from a request to its response."""

import base64
from pathlib import Path
from typing import Any

import pytest

from portofcall.testing import Response, WebSocketClient, pack_frame, request
from portofcall.websockify import plugin_calls
from portofcall.websockify.plugins import load_plugin
from portofcall.websockify.settings import SettingsError
from tests.websockify.plugins_for_tests import Auth
from tests.websockify.support import WebsockifyWorld, upgrade, websockify_world

PLUGINS = "tests.websockify.plugins_for_tests"


@pytest.fixture(autouse=True)
def calls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are the subject of other tests."""

    def start(function: Any) -> None:
        function()

    monkeypatch.setattr(plugin_calls, "_start_daemon", start)


def tokens(tmp_path: Path, more: str = "") -> Any:
    """Make a world with a file of tokens."""
    path = tmp_path / "tokens"
    path.write_text("s3cret-token: 10.0.0.7:5901\nvm.example: 10.0.0.8:5901\nu: unix_socket:/run/u\n")
    return websockify_world(f"6080 --token-plugin TokenFile --token-source {path} {more}")


def asks(world: WebsockifyWorld, path: str = "/websockify", **headers: Any) -> Response:
    """Ask for a tunnel; return the response."""
    return WebSocketClient(world, upgrade(path, **headers)).response


def test_a_token_leads_to_its_target(tmp_path: Path, logged: list[str]) -> None:
    """Escaped or not; and the log never has it."""
    with tokens(tmp_path) as world:
        client = WebSocketClient(world, upgrade("/websockify?token=s3cret%2Dtoken"))
        assert world.dialed == [("10.0.0.7", 5901)]
        client.send(pack_frame(2, b"up"))
        assert client.backend.take() == b"up"
        asks(world, "/?token=u")
        assert world.dialed[1:] == [("/run/u", 0)]
        assert any("10.0.0.7" in line for line in logged)
        assert not any("s3cret" in line for line in logged)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/websockify?token=other", 404),
        ("/websockify", 400),
        ("/websockify?token=", 400),
        ("/websockify?token=%ff", 400),
        ("/websockify?token=" + "x" * 10_000, 404),
        ("/websockify?token=" + "x" * 100_000, 431),
    ],
)
def test_without_a_known_token_there_is_a_response(path: str, status: int, tmp_path: Path) -> None:
    """Where websockify drops the connection."""
    with tokens(tmp_path) as world:
        assert asks(world, path).status == status
        assert world.dialed == []
        assert world.gateway.admission.used == 0


def test_guesses_are_slowed_down(tmp_path: Path) -> None:
    """After some that were wrong the client has to wait, also with the right one."""
    with tokens(tmp_path) as world:
        statuses = [asks(world, f"/?token=guess{number}").status for number in range(10)]
        assert statuses == [404] * 5 + [429] * 5
        assert asks(world, "/?token=u").status == 429
        world.reactor.advance(1)
        assert asks(world, "/?token=u").status == 101


def parallel(world: WebsockifyWorld, begun: list[Any], *requests: bytes) -> list[int]:
    """Send requests before a plugin has returned from the first; return the statuses."""
    transports = [world.connect() for _ in requests]
    for transport, data in zip(transports, requests, strict=True):
        transport.send(data)
    while begun:
        begun.pop(0)()
    # The last ones were sent in one turn of the reactor, and get their responses in the next.
    world.reactor.advance(0)
    return [int(transport.take().split()[1]) for transport in transports]


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The functions of threads that have not run yet."""
    functions: list[Any] = []
    monkeypatch.setattr(plugin_calls, "_start_daemon", functions.append)
    return functions


def test_guesses_at_the_same_time_are_slowed_down_as_well(tmp_path: Path, begun: list[Any]) -> None:
    """Those that were looked up before the first was known to be wrong: the client learns nothing of them."""
    with tokens(tmp_path) as world:
        guesses = [upgrade(f"/?token=guess{number}") for number in range(9)]
        assert parallel(world, begun, *guesses, upgrade("/?token=u")) == [404] * 5 + [429] * 5
        assert world.dialed == []


def test_passwords_at_the_same_time_are_slowed_down_as_well(begun: list[Any]) -> None:
    """In the same way."""
    with websockify_world("6080 192.0.2.7:5901 --auth-plugin BasicHTTPAuth --auth-source ada:pass") as world:
        guesses = [upgrade(**WRONG)] * 9
        assert parallel(world, begun, *guesses, upgrade(**BASIC)) == [401] * 5 + [429] * 5
        assert world.dialed == []


def test_run_once_is_one_tunnel_also_with_a_slow_plugin(tmp_path: Path, begun: list[Any]) -> None:
    """Of two requests whose tokens are looked up at the same time, the second is refused."""
    with tokens(tmp_path, "--run-once") as world:
        assert parallel(world, begun, upgrade("/?token=u"), upgrade("/?token=u")) == [101, 503]
        assert len(world.gateway.sessions) == 1
        assert world.gateway.admission.used == 1


@pytest.mark.parametrize(
    ("host", "expected"),
    [("vm.example", 101), ("vm.example:6080", 101), ("other", 404), ("[::1]:80", 404), (":80", 400)],
)
def test_a_token_in_the_host_header(host: str, expected: int, tmp_path: Path) -> None:
    """With or without its port."""
    with tokens(tmp_path, "--host-token") as world:
        assert asks(world, "/?token=u", Host=host).status == expected


@pytest.mark.parametrize(
    ("found", "dialed"),
    [
        ("['10.0.0.7',5901]", ("10.0.0.7", 5901)),
        ("('10.0.0.7','5901')", ("10.0.0.7", 5901)),
        ("['[::1]',b'5901']", ("::1", 5901)),
        ("['unix_socket','/run/x']", ("/run/x", 0)),
    ],
)
def test_a_plugin_of_somebody_else_s(found: str, dialed: tuple[str, int]) -> None:
    """It may return what websockify takes."""
    with websockify_world(f"6080 --token-plugin {PLUGINS}.Tokens --token-source {found}") as world:
        assert asks(world, "/?token=x").status == 101
        assert world.dialed == [dialed]


@pytest.mark.parametrize(
    "found",
    [
        "1/0",
        "'10.0.0.7:1'",
        "['h']",
        "['h',None]",
        "['h','http']",
        "[None,1]",
        "['unix_socket','x']",
        "{1:2,3:4}",
    ],
)
def test_a_plugin_that_fails_refuses_one_client(found: str, logged: list[str]) -> None:
    """Its error and its nonsense are logged; the next request is served."""
    with websockify_world(f"6080 --token-plugin {PLUGINS}.Tokens --token-source {found}") as world:
        assert asks(world, "/?token=s3cret").status == 500
        assert asks(world, "/?token=s3cret").status == 500
        assert any("Tokens failed" in line for line in logged)
        assert not any("s3cret" in line for line in logged)


def test_ssl_target_holds_for_the_targets_of_tokens(tmp_path: Path) -> None:
    """The gateway begins a TLS handshake with each of them."""
    with tokens(tmp_path, "--ssl-target") as world:
        client = WebSocketClient(world, upgrade("/?token=s3cret-token"))
        assert client.backend.take().startswith(b"\x16\x03")


BASIC: Any = {"Authorization": "Basic " + base64.b64encode(b"ada:pass").decode()}
WRONG: Any = {"Authorization": "Basic " + base64.b64encode(b"ada:guess").decode()}


def test_a_password_is_asked_for() -> None:
    """websockify's challenge; wrong ones are slowed down, and missing ones are not."""
    with websockify_world("6080 h:1 --auth-plugin BasicHTTPAuth --auth-source ada:pass") as world:
        world.resolver.default = ["192.0.2.1"]
        for _ in range(10):
            response = asks(world)
            assert (response.status, response.headers["www-authenticate"]) == (
                401,
                'Basic realm="Websockify"',
            )
        assert asks(world, **BASIC).status == 101
        assert [asks(world, **WRONG).status for _ in range(7)] == [401] * 5 + [429] * 2


@pytest.mark.parametrize(("code", "status"), [(302, 302), (403, 403), (999, 403), (200, 403), (470, 403)])
def test_a_plugin_chooses_status_and_headers(code: int, status: int) -> None:
    """But no header of its own ends early, or is about the body or the connection."""
    with websockify_world(f"6080 h:1 --auth-plugin {PLUGINS}.Auth --auth-source {code}") as world:
        response = asks(world)
        assert (response.status, response.headers["location"]) == (status, "/sign-in")
        assert "set-cookie" not in response.headers
        assert not {"content-encoding", "transfer-encoding", "connection"} & set(response.headers)
        assert response.headers["content-length"] == str(len(response.body))


def test_what_a_plugin_sees() -> None:
    """Headers in any case, the target, and nothing that only the server may say."""
    with websockify_world(f"6080 192.0.2.7:5901 --auth-plugin {PLUGINS}.Auth --auth-source 0") as world:
        forged = {"ssl_client_s_dn_cn": "ada", "SSL_Client-Verify": "ok", "X_Custom": "x"}
        raw = upgrade(Cookie="a=b").replace(
            b"\r\n\r\n",
            "".join(f"\r\n{name}: {value}" for name, value in forged.items()).encode() + b"\r\n\r\n",
        )
        assert WebSocketClient(world, raw).response.status == 101
        headers, host, port = Auth.asked[-1]
        assert (host, port) == ("192.0.2.7", 5901)
        assert (headers.get("COOKIE"), headers["cookie"], headers.get("X_custom")) == ("a=b", "a=b", "x")
        assert headers.get("SSL_CLIENT_S_DN_CN", "none") == "none"
        assert not [name for name in headers if name.upper().startswith("SSL")]


def test_files_need_a_password_with_web_auth(tmp_path: Path) -> None:
    """All of them, and no other method is there."""
    (tmp_path / "x.txt").write_text("text")
    line = f"6080 h:1 --web {tmp_path} --web-auth --auth-plugin BasicHTTPAuth --auth-source ada:pass"
    with websockify_world(line) as world:
        assert request(world, "GET", "/x.txt").status == 401
        assert request(world, "GET", "/nothing").status == 401
        assert request(world, "POST", "/x.txt", **BASIC).status == 405
        assert request(world, "GET", "/nothing", **BASIC).status == 404
        response = request(world, "GET", "/x.txt", **BASIC)
        assert (response.status, response.body) == (200, b"text")
        assert request(world, "HEAD", "/x.txt", **BASIC).headers["content-length"] == "4"


def test_files_without_and_with_a_listing(tmp_path: Path) -> None:
    """--file-only takes it away."""
    (tmp_path / "x.txt").write_text("text")
    with websockify_world(f"6080 h:1 --web {tmp_path}") as world:
        assert b"x.txt" in request(world, "GET", "/").body
        assert request(world, "GET", "/x.txt").body == b"text"
    with websockify_world(f"6080 h:1 --web {tmp_path} --file-only") as world:
        assert request(world, "GET", "/").status == 404


@pytest.mark.parametrize(
    ("kind", "name", "source", "expected"),
    [
        ("token", "Nothing", "x", "expected TokenFile, ReadOnlyTokenFile, "),
        ("auth", "TokenFile", "x", "expected BasicHTTPAuth, ExpectOrigin, "),
        ("token", "TokenFile", None, "expected a file or a directory"),
        ("auth", "BasicHTTPAuth", "x", "expected USER:PASSWORD"),
        ("token", "no.such.module.X", "x", "No module named 'no'"),
        ("token", f"{PLUGINS}.Nothing", "x", "has no attribute 'Nothing'"),
        ("token", f"{PLUGINS}.Broken", "x", "SystemExit at "),
        ("auth", f"{PLUGINS}.Tokens", "x", "has no attribute 'authenticate'"),
    ],
)
def test_a_plugin_that_can_not_be_made(kind: str, name: str, source: str | None, expected: str) -> None:
    """The problem is one line, with the option and the name."""
    with pytest.raises(SettingsError) as caught:
        load_plugin(kind, name, source)
    assert str(caught.value).startswith(f"--{kind}-plugin {name}: ")
    assert expected in str(caught.value)


def test_websockify_s_names_need_no_websockify(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its module in front they are its own classes where it is installed, and ours elsewhere."""
    dotted = "websockify.auth_plugins.ExpectOrigin"
    assert load_plugin("auth", dotted, "x").method.__self__.__module__ == "websockify.auth_plugins"
    monkeypatch.setitem(__import__("sys").modules, "websockify.auth_plugins", None)
    assert load_plugin("auth", dotted, "x").method.__self__.__module__ == "portofcall.websockify.auth_plugins"
