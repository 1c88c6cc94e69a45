"""Files with secrets are read at the start; a broken one ends it with one line that quotes nothing."""

import os
from pathlib import Path

import pytest
from twisted.python import usage

from tests.service.support import parse


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("ada:lovelace\nsecret\n", "line 2: expected user:password"),
        ("", "expected at least one line user:password"),
        (None, "expected a readable file (No such file or directory)"),
    ],
)
def test_broken_password_file_ends_the_start(tmp_path: Path, text: str | None, problem: str) -> None:
    """It names the file and the line."""
    path = tmp_path / "passwords"
    if text is not None:
        path.write_text(text)
    with pytest.raises(usage.UsageError) as caught:
        parse(f"--auth=file:{path}")
    assert str(caught.value) == f"--auth file:{path}: {problem}"


def test_secrets_in_pipes_are_refused(tmp_path: Path) -> None:
    """They could be read once, and reading them again would block for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for option in ("--auth=file:", "--ticket-key="):
        with pytest.raises(usage.UsageError, match="expected a regular file"):
            parse(f"{option}{pipe}")


def test_relative_paths_are_those_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """twistd may change its directory later, before the first reload."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "passwords").write_text("ada:lovelace")
    (checker,) = parse("--auth=file:passwords")["credCheckers"]
    monkeypatch.chdir("/")
    assert checker.read() == {b"ada": b"lovelace"}
