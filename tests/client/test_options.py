"""From a command line, the environment and the configuration to a route."""

import argparse
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from portofcall.client.credentials import Login
from portofcall.client.options import make_report, make_route, make_target
from portofcall.client.problem import Problem, Status
from portofcall.client.report import Report
from portofcall.commands.client_arguments import add_gateway_arguments, seconds, seconds_or_0
from portofcall.target import Target, TargetName
from tests.client.support import result

PROXIES = ("https_proxy", "http_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own environment and home."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def parse(*arguments: str) -> argparse.Namespace:
    """Parse the arguments that all commands have."""
    parser = argparse.ArgumentParser()
    add_gateway_arguments(parser)
    return parser.parse_args(arguments)


def route(*arguments: str, environ: dict[str, str] | None = None) -> tuple[Any, list[str]]:
    """Return the route, and the warnings."""
    warnings: list[str] = []
    return make_route(parse(*arguments), Report("p", write=warnings.append), environ=environ or {}), warnings


def login(*arguments: str, environ: dict[str, str] | None = None) -> Login:
    """Return the credentials."""
    made, _ = route(*arguments, environ=environ)
    found = result(Deferred.fromCoroutine(made.login()))
    assert isinstance(found, Login)
    return found


def test_targets() -> None:
    """HOST and PORT, or ``--target`` alone."""
    assert make_target("db", "5432", None) == Target("db", 5432)
    assert make_target(None, None, "vault") == TargetName("vault")


@pytest.mark.parametrize(
    "arguments",
    [
        ("db", None, None),
        (None, None, None),
        ("db", "1", "vault"),
        ("db", "0", None),
        ("127.1", "1", None),
        (None, None, "-"),
    ],
)
def test_invalid_targets(arguments: tuple[str | None, str | None, str | None]) -> None:
    """They are invalid command lines, before anything is sent."""
    with pytest.raises(Problem) as caught:
        make_target(*arguments)
    assert caught.value.status is Status.USAGE


def test_everything_has_a_default() -> None:
    """A URL is enough."""
    made, warnings = route("wss://gw.example")
    assert (str(made.url), made.proxy, made.tls.insecure, warnings) == ("wss://gw.example", None, False, [])
    assert login("wss://gw.example") == Login()


def test_options_reach_the_route() -> None:
    """Each of them."""
    made, warnings = route(
        *("wss://gw", "--cacert", "ca", "--cert", "c", "--key", "k", "--insecure", "--proxy", "http://p:1"),
        *("--connect-timeout", "3", "--ping-interval", "0", "--ping-timeout", "4"),
    )
    assert (made.tls.cacert, made.tls.cert, made.tls.key) == (Path("ca"), Path("c"), Path("k"))
    assert (str(made.proxy), made.connect_timeout_seconds) == ("http://p:1", 3.0)
    assert (made.limits.ping_interval_seconds, made.limits.ping_timeout_seconds) == (0.0, 4.0)
    assert len(warnings) == 1
    assert "NOT verified" in warnings[0]


def test_tickets_and_passwords(tmp_path: Path) -> None:
    """From files, commands, the environment, the URL and netrc."""
    ticket, password = tmp_path / "ticket", tmp_path / "password"
    ticket.write_text("a.b.c")
    password.write_text("secret")
    (tmp_path / ".netrc").write_text("machine gw login net password rc\n")
    assert login("ws://gw", "--ticket-file", str(ticket)) == Login(ticket="a.b.c")
    assert login("ws://gw", environ={"PORTOFCALL_TICKET": "d.e.f"}) == Login(ticket="d.e.f")
    assert login("ws://gw", "--user", "me", "--password-file", str(password)) == Login(
        user="me", password="secret"
    )
    assert login("ws://me:pw@gw") == Login(user="me", password="pw")
    assert login("ws://me@gw", "--password-file", str(password)).password == "secret"
    assert login("ws://gw") == Login(user="net", password="rc")


def test_the_terminal_is_asked_for_a_missing_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the gateway's name."""
    monkeypatch.setattr("portofcall.client.credentials.ask_password", lambda prompt: prompt)
    assert login("ws://gw", "--user", "me").password == "Password of me at ws://gw: "


def test_a_ticket_command_is_run_for_each_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before it is needed, and in a thread."""
    made, _ = route("ws://gw", "--ticket-command", "login")
    ran: list[Any] = []

    async def twice() -> list[Login]:
        return [await made.login(), await made.login()]

    monkeypatch.setattr("portofcall.client.options.deferToThread", lambda *call: _fired(ran, call))
    assert result(Deferred.fromCoroutine(twice())) == [Login(ticket="a.b.c")] * 2
    assert [call[1] for call in ran] == ["login", "login"]


def _fired(ran: list[Any], call: Any) -> Deferred[str]:
    ran.append(call)
    done: Deferred[str] = Deferred()
    done.callback("a.b.c")
    return done


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("gw.example",), "GATEWAY: expected a URL, or a gateway of the configuration, which has none"),
        (("ws://gw", "--ticket-file", "x", "--user", "y"), "--ticket-file and --user: expected one"),
        (("ws://gw", "--ticket-file", "/missing"), "--ticket-file: expected a readable file"),
        (("ws://gw", "--password-file", "x"), "--password-file: expected --user"),
        (
            ("ws://gw", "--user", "y", "--password-file", "/missing"),
            "--password-file: expected a readable file",
        ),
        (("ws://gw", "--user", "a:b"), "--user: expected no colon"),
        (("ws://gw", "--proxy", "ftp://x"), "--proxy: expected"),
        (("name", "--config", "/missing"), "/missing: no such file"),
    ],
)
def test_invalid_options_are_named(arguments: tuple[str, ...], match: str) -> None:
    """With the exit status of an invalid command line."""
    with pytest.raises(Problem, match=match) as caught:
        route(*arguments)
    assert caught.value.status is Status.USAGE


def test_an_invalid_ticket_of_the_environment_is_named() -> None:
    """And not quoted."""
    with pytest.raises(Problem, match="PORTOFCALL_TICKET: expected a ticket"):
        route("ws://gw", environ={"PORTOFCALL_TICKET": "not one"})


def test_passwords_on_the_command_line_are_warned_about() -> None:
    """Other users of the machine see them."""
    _, url = route("ws://me:pw@gw")
    _, proxy = route("ws://gw", "--proxy", "http://me:pw@p")
    for (line,) in (url, proxy):
        assert "visible" in line
        assert "pw" not in line


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the environment, unless the command line says otherwise; never for UNIX sockets."""
    monkeypatch.setenv("HTTPS_PROXY", "http://env:1")
    assert str(route("wss://gw")[0].proxy) == "http://env:1"
    assert route("wss://gw", "--proxy", "none")[0].proxy is None
    assert route("unix:/run/gw")[0].proxy is None
    monkeypatch.setenv("HTTPS_PROXY", "ftp://x")
    with pytest.raises(Problem, match="HTTPS_PROXY"):
        route("wss://gw")


def test_named_gateways(tmp_path: Path) -> None:
    """Their options are defaults: the command line comes first, and its credentials replace theirs."""
    (tmp_path / "portofcall").mkdir()
    (tmp_path / "portofcall" / "config.toml").write_text(
        '[gateway.work]\nurl = "wss://me:pw@gw.example"\ncacert = "ca"\n'
        'ticket_command = "x"\nconnect_timeout = 7\n'
    )
    made, warnings = route("work", "--connect-timeout", "9")
    assert (str(made.url), made.connect_timeout_seconds, warnings) == ("wss://gw.example", 9.0, [])
    assert made.tls.cacert == tmp_path / "portofcall" / "ca"
    ticket = tmp_path / "ticket"
    ticket.write_text("a.b.c")
    assert login("work", "--ticket-file", str(ticket)) == Login(ticket="a.b.c")
    with pytest.raises(Problem, match="which has work"):
        route("other")


def test_reports_are_as_asked_for() -> None:
    """More detail, or JSON."""
    assert make_report("p", parse("ws://gw", "-vv", "--log-format", "json")) is not None


@pytest.mark.parametrize("text", ["", "x", "-1", "nan", "inf", "1e9"])
def test_invalid_times(text: str) -> None:
    """Numbers of seconds only."""
    with pytest.raises(argparse.ArgumentTypeError):
        seconds_or_0(text)
    with pytest.raises(argparse.ArgumentTypeError):
        seconds("0")
