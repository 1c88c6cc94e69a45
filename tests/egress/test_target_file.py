"""``--target-file`` reads named targets in our format and tokens in websockify's; errors name the line."""

from pathlib import Path

import pytest

from portofcall.egress.named_target import Targets, TargetsError
from portofcall.egress.target_file import TargetFile, read_all_targets, read_targets
from portofcall.target import Token

FILE = """\
# Our databases.
db: 10.0.0.5:5432   # the first
db6:\t[2001:db8::5]:5432\r

  x-11_a.b  :  unix:/tmp/.X11-unix/X0
mail: tls:Mail.Example.com:993
"""


def test_file_has_a_target_a_line(tmp_path: Path) -> None:
    """With comments, blank lines and white space, in addition to other targets."""
    path = tmp_path / "targets"
    path.write_bytes(FILE.encode())
    targets = read_targets(path, Targets.parse(["first=a.example.com:1"]))
    assert sorted(map(str, targets.by_name.values())) == [
        "db (10.0.0.5:5432)",
        "db6 ([2001:db8::5]:5432)",
        "first (a.example.com:1)",
        "mail (tls:mail.example.com:993)",
        "x-11_a.b (unix:/tmp/.X11-unix/X0)",
    ]


@pytest.mark.parametrize("text", ["", "websockify:"])
def test_path_is_not_empty(text: str) -> None:
    """It would be the current directory, and every file there one of targets."""
    with pytest.raises(ValueError, match="expected FILE or websockify:FILE, got"):
        TargetFile.parse(text)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "expected at least one target"),
        ("# db: 10.0.0.5:5432\n", "expected at least one target"),
        ("a: b:1\nb=10.0.0.5:5432\n", "line 2: expected NAME: HOST:PORT, got 'b=10.0.0.5:5432'"),
        ("db:10.0.0.5:5432\n", "line 1: expected NAME: HOST:PORT, got 'db:10.0.0.5:5432'"),
        (
            "\n\nd b: 10.0.0.5:5432\n",
            'line 3: expected a name of 1 to 63 letters, digits, . _ or -, got "d b"',
        ),
        ("db: 10.0.0.5\n", "line 1: expected HOST:PORT"),
        ("db: b:1\nfirst: c:1\n", "line 2: expected each name once, got first again"),
    ],
)
def test_error_in_a_file_names_the_line(tmp_path: Path, content: str, problem: str) -> None:
    """And a file without targets is an error too, as it is often half written."""
    path = tmp_path / "targets"
    path.write_text(content)
    with pytest.raises(TargetsError) as error:
        read_targets(path, Targets.parse(["first=a.example.com:1"]))
    assert str(error.value).startswith(problem)


def test_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Missing, or no file at all."""
    with pytest.raises(TargetsError, match="expected a readable file"):
        read_targets(tmp_path / "none", Targets())
    with pytest.raises(TargetsError, match="expected a regular file"):
        read_targets(tmp_path, Targets())


def test_prefix_tells_the_formats_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same line is a name without it and a secret with it; ``./`` escapes a file of that name."""
    path = tmp_path / "desks"
    path.write_text("desk: 10.0.0.5:5901\n")
    named = TargetFile.parse(str(path)).read(Targets())
    assert (len(named.by_name), len(named.by_token)) == (1, 0)
    secret = TargetFile.parse(f"websockify:{path}").read(Targets())
    assert (len(secret.by_name), len(secret.by_token)) == (0, 1)
    monkeypatch.chdir(tmp_path)
    assert TargetFile.parse("./websockify:x") == TargetFile(tmp_path / "websockify:x")
    assert TargetFile.parse("websockify:x") == TargetFile(tmp_path / "x", has_tokens=True)


def test_names_and_tokens_of_several_files_are_one_set(tmp_path: Path) -> None:
    """Each name and each token is there once; an error has the option, the file and the line."""
    (tmp_path / "a").write_text("db: 10.0.0.5:5432\n")
    (tmp_path / "b").write_text("secret: 10.0.0.5:5901\n")
    files = [TargetFile.parse(str(tmp_path / "a")), TargetFile.parse(f"websockify:{tmp_path / 'b'}")]
    targets = read_all_targets(["x=unix:/run/x"], [*files])
    assert sorted(map(str, targets.by_name)) == ["db", "x"]
    assert list(targets.by_token) == [Token("secret")]
    assert len(targets) == len(targets.all()) == 3
    with pytest.raises(
        TargetsError, match=r"^--target-file websockify:\S+/b: expected each name once, got token"
    ):
        read_all_targets([], [*files, files[1]])
    (tmp_path / "b").write_text("\nsecret: 10.0.0.5\n")
    with pytest.raises(
        TargetsError, match=r"^--target-file websockify:\S+/b: line 2: expected TOKEN: HOST:PORT"
    ):
        read_all_targets([], files)
