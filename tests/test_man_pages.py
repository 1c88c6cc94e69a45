"""The man pages, made from the parsers."""

import argparse
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from docs.man_pages import main, pages
from portofcall.cli import make_parser
from portofcall.service.option_table import OPTIONS
from portofcall.websockify.arguments import make_parser as make_websockify_parser
from tests.e2e.gateway import need


@pytest.fixture(scope="module")
def found() -> Mapping[str, str]:
    """All pages."""
    return pages()


def test_every_command_has_a_page_with_every_option(found: Mapping[str, str]) -> None:
    """Commands and options are those of the parsers, whichever there are."""
    commands = next(a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    expected = {"portofcall", "portofcall-websockify", "twistd-portofcall", "twistd-portofcall-forward"}
    assert set(found) == expected | {f"portofcall-{name}" for name in commands}
    options = {f"portofcall-{name}": command._actions for name, command in commands.items()}
    options["portofcall-websockify"] = make_websockify_parser()._actions
    options["twistd-portofcall-forward"] = options["portofcall-forward"]
    for name, actions in options.items():
        for option in (option for action in actions for option in action.option_strings):
            assert option in ("-h", "--help") or f"\\fB{option}".replace("-", r"\-") in found[name]
    for gateway_option in OPTIONS:
        expected_line = f"\\fB--{gateway_option.name}".replace("-", r"\-")
        assert gateway_option.name == "help" or expected_line in found["twistd-portofcall"]


def test_the_client_s_pages_have_the_tables_of_its_documentation(found: Mapping[str, str]) -> None:
    """One source for the exit statuses, the environment and the files."""
    for name in ("connect", "forward", "ping", "banner"):
        page = found[f"portofcall-{name}"]
        assert ".SH EXIT STATUS\n.TP\n\\fB0\\fR\nboth sides ended well\n" in page
        assert ".SH ENVIRONMENT\n.TP\n\\fBPORTOFCALL_TICKET\\fR\n" in page
        assert ".SH FILES\n.TP\n\\fB~/.config/portofcall/config.toml\\fR\n" in page
    assert ".SH EXIT STATUS" not in found["portofcall-check"]


def test_they_are_valid_and_readable(
    found: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mandoc has nothing to say about them, and man shows one."""
    mandoc, man = need("mandoc"), need("man")
    monkeypatch.setattr("sys.argv", ["man_pages.py", str(tmp_path / "man1")])
    main()
    paths = sorted((tmp_path / "man1").iterdir())
    assert {path.name for path in paths} == {f"{name}.1" for name in found}
    lint = subprocess.run([mandoc, "-T", "lint", "-W", "warning", *paths], capture_output=True, check=False)
    assert (lint.returncode, lint.stdout) == (0, b"")
    environ = os.environ | {"MANPAGER": "cat", "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    path = tmp_path / "man1" / "portofcall-connect.1"
    shown = subprocess.run([man, "-l", path], capture_output=True, check=True, env=environ).stdout.decode()
    assert "portofcall-connect - standard input and output to a target" in shown
    assert "--ticket-command CMD" in shown
    assert "       130    interrupted" in shown
