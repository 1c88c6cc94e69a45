"""The client's commands: what they share, and what they import."""

import subprocess
import sys

import pytest

from portofcall.cli import main

COMMANDS = ("connect", "ping", "banner")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "GATEWAY"),
        (["ws://gw", "db", "70000"], "port: expected 1 to 65535"),
        (["ws://gw", "db", "22", "--target", "x"], "--target: expected without HOST and PORT"),
        (["gw", "db", "22", "--config", "/missing"], "/missing: no such file"),
        (["ws://gw", "db", "22", "--unknown"], "--unknown"),
        (["ws://gw", "db", "22", "--user", "a", "--user", "b"], "expected once"),
        (["ws://gw", "db", "22", "--connect-timeout", "0"], "above 0"),
    ],
)
def test_an_invalid_command_line_is_status_1(
    command: str, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 would mean that the gateway is not reachable. Nothing is opened for it."""
    try:
        status: object = main([command, *arguments])
    except SystemExit as leaving:
        status = leaving.code
    assert status == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert why in shown.err


def test_counts_of_pings(capsys: pytest.CaptureFixture[str]) -> None:
    """At least one."""
    with pytest.raises(SystemExit) as caught:
        main(["ping", "ws://gw", "db", "22", "-c", "0"])
    assert caught.value.code == 1
    assert "at least 1" in capsys.readouterr().err


def test_other_commands_keep_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """And so does a command that there is not."""
    for arguments in (["check"], ["nothing"], []):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert capsys.readouterr().out == ""


def test_help_lists_all_commands_and_imports_none_of_their_work() -> None:
    """It is quick."""
    code = (
        "import sys; from portofcall.cli import main\n"
        "try: main(['connect', '--help'])\n"
        "except SystemExit:\n"
        "    print(sorted({'twisted', 'autobahn', 'portofcall.commands.check'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "--ticket-command" in shown
    assert shown.endswith("[]\n")
