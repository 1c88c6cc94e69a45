"""websockify's command line, with its option names."""

import re
from importlib.metadata import version
from inspect import getsource

import pytest
from websockify import websocketproxy

from portofcall.websockify.arguments import MISSING, make_parser, parse


def problem(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that a command line that is not valid ends in."""
    with pytest.raises(SystemExit) as exit:
        parse(arguments)
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line.partition(": ")[2]


def test_every_option_of_websockify_is_there() -> None:
    """By each of its names; websockify's own source says which these are."""
    assert version("websockify") >= "0.13"
    source = getsource(websocketproxy.websockify_init)
    theirs = {
        name
        for call in re.findall(
            r"parser\.add_option\((.*?)(?:action|dest|help|default|type|metavar)=", source, re.S
        )
        for name in re.findall(r'"(--?[a-z0-9D-]+)"', call)
    }
    assert len(theirs) > 38
    ours = {name for action in make_parser()._actions for name in action.option_strings}
    assert theirs - ours == set()


@pytest.mark.parametrize(
    "line",
    [
        "6080 --heartbeat=30 localhost:5901",
        "--heartbeat=30 6080 localhost:5901",
        "6080 localhost:5901 --heartbeat 30",
        "-D 6080 localhost:5901 --heart 30",
    ],
)
def test_options_stand_anywhere(line: str) -> None:
    """Open OnDemand puts one between the addresses, noVNC behind them; names may be cut."""
    args = parse(line.split())
    assert (args.addresses, args.heartbeat) == (["6080", "localhost:5901"], 30)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 a:1 --token-source x", "--token-source: needs --token-plugin"),
        ("1 a:1 --host-token", "--host-token: needs --token-plugin"),
        ("1 a:1 --auth-source x", "--auth-source: needs --auth-plugin"),
        ("1 a:1 --auth-plugin A --web-auth", "--web-auth: needs --web"),
        ("1 a:1 --web . --web-auth", "--web-auth: needs --auth-plugin"),
        ("1 a:1 --legacy-syslog", "--legacy-syslog: needs --syslog"),
        ("1 --target-config x --token-plugin A", "--target-config: give it, or --token-plugin"),
        ("1 a:1 --timeout -5", "argument --timeout: expected one argument"),
        ("1 a:1 --timeout=5s", "argument --timeout: expected whole seconds, or 0 for never, got '5s'"),
        ("--unix-listen x --unix-listen-mode 9 a:1", "expected an octal number such as 660, got '9'"),
        ("1 a:1 --nonsense", "unrecognized arguments: --nonsense"),
    ],
)
def test_a_mistake_ends_in_one_line(line: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the option."""
    assert expected in problem(capsys, *line.split())


@pytest.mark.parametrize("option", MISSING)
def test_what_is_not_there_says_so(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And what to do instead."""
    words = {"--wrap-mode": "--wrap-mode respawn", "-- COMMAND": "-- vncserver -fg"}.get(option, option)
    message = problem(capsys, "1", "a:1", *words.split())
    assert message.startswith(f"{option}: ")
    assert message.endswith(MISSING[option])


@pytest.mark.parametrize(
    ("line", "warning"),
    [
        ("1 a:1 --file-only", "--file-only has no effect without --web"),
        ("1 a:1 --unix-listen-mode 600", "--unix-listen-mode has no effect without --unix-listen"),
        ("1 a:1 --cafile x", "--cafile has no effect without --verify-client"),
    ],
)
def test_an_option_without_effect_is_a_warning(line: str, warning: str) -> None:
    """websockify takes it, so that launchers may give it always."""
    assert parse(line.split()).warnings == [warning]
    assert parse(["1", "a:1"]).warnings == []
