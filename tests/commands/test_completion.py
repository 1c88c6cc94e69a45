"""Completion of a command line, as argcomplete's shell function asks for it."""

import io
import sys
from pathlib import Path

import pytest

from portofcall.cli import main, make_parser
from portofcall.commands.completion import complete


@pytest.fixture(autouse=True)
def _debug_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """argcomplete takes file descriptor 9 for its own, which is another's here."""
    monkeypatch.setattr("argcomplete.finders.CompletionFinder._init_debug_stream", lambda _: None)


def completions(line: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what can follow a line."""
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setenv("_ARGCOMPLETE_IFS", "\n")
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    output, statuses = io.StringIO(), list[int]()
    monkeypatch.setattr(output, "close", lambda: None)
    complete(make_parser(line.split()[1:]), output=output, leave=statuses.append)
    assert statuses == [0]
    return [word.rstrip() for word in output.getvalue().split("\n")]


def test_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, and options only where one has begun."""
    assert set(completions("portofcall ", monkeypatch)) > {"connect", "forward", "check"}
    assert "--version" not in completions("portofcall ", monkeypatch)
    assert completions("portofcall --v", monkeypatch) == ["--version"]


def test_gateways_are_those_of_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the file that the command line names, or of the default one; a broken one has none."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "portofcall").mkdir()
    default, other = tmp_path / "portofcall" / "config.toml", tmp_path / "other.toml"
    default.write_text('[gateway.work]\nurl = "wss://gw"\n[gateway.home]\nurl = "wss://gw"\n')
    other.write_text('[gateway.elsewhere]\nurl = "wss://gw"\n')
    for command in ("connect", "forward", "ping", "banner", "ssh-config"):
        assert completions(f"portofcall {command} ", monkeypatch) == ["work", "home"]
    assert completions(f"portofcall connect --config {other} ", monkeypatch) == ["elsewhere"]
    other.write_text("[")
    assert completions(f"portofcall connect --config {other} ", monkeypatch) == [""]


def test_without_argcomplete_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell that asks for completions gets a sentence on standard error, and no command."""
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    assert main(["ticket"]) == 1
    shown = capsys.readouterr()
    assert (shown.out, "portofcall[completion]" in shown.err) == ("", True)
