"""Token files are read as websockify reads them; what it would fail over is an error that names its line."""

import os
import warnings
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockify.token_plugins import ReadOnlyTokenFile

from portofcall.egress.line_file import MAX_FILE_CHARACTERS, MAX_FILE_LINES
from portofcall.egress.named_target import TargetsError
from portofcall.egress.token_file import MAX_TOKEN_CHARACTERS, read_tokens
from portofcall.target import Target, Token

FILE = """\
# Our desktops.
a1b2: 10.0.0.5:5901
  tab:\tVM-7.example.com:5902  \r
six: 2001:db8::5:5903
brackets: [2001:db8::5]:5903
with:colon: 10.0.0.6:5904
white space : 10.0.0.6:5905
sock: unix_socket:/run/vnc.sock

#a1b2: 10.0.0.9:1
a1b2: 10.0.0.7:5901
"""


def found(path: Path) -> dict[str, object]:
    """Read the tokens and their places."""
    targets, problems = read_tokens(path)
    assert problems == ()
    return {token.secret: target.place for token, target in targets.by_token.items()}


def test_file_has_a_token_a_line(tmp_path: Path) -> None:
    """With comments, white space, colons in tokens, IPv6 and UNIX sockets; the last of two counts."""
    path = tmp_path / "tokens"
    path.write_bytes(FILE.encode())
    assert found(path) == {
        "a1b2": Target("10.0.0.7", 5901),
        "tab": Target("vm-7.example.com", 5902),
        "six": Target("2001:db8::5", 5903),
        "brackets": Target("2001:db8::5", 5903),
        "with:colon": Target("10.0.0.6", 5904),
        "white space ": Target("10.0.0.6", 5905),
        "sock": PurePosixPath("/run/vnc.sock"),
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(FILE.splitlines()),
            st.text(alphabet="a:# \t\r\n\x0b\x85\u2028.1", max_size=12),
            st.from_regex(r"[a:# ]{0,3}:[ \t]{0,2}[a1.]{1,4}(:[0-9]{0,5})?[ #]{0,2}", fullmatch=True),
        ),
        max_size=6,
    )
)
def test_any_file_has_the_tokens_that_websockify_finds(tmp_path: Path, lines: list[str]) -> None:
    """Those whose target is valid; websockify itself reads the file for comparison."""
    path = tmp_path / "tokens"
    path.write_bytes("\n".join(lines).encode())
    theirs = ReadOnlyTokenFile(str(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it closes no file
        theirs._load_targets()
    ours, problems = read_tokens(path)
    for token, target in ours.by_token.items():
        fields = theirs.lookup(token.secret)
        if isinstance(target.place, Target):
            assert target.place == Target.parse(*fields)
        else:
            assert fields == ["unix_socket", str(target.place)]
    if not problems:
        assert {token.secret for token in ours.by_token} == set(theirs._targets)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("secret", "expected TOKEN: HOST:PORT, with one colon"),
        ("secret:10.0.0.5:5901", "expected TOKEN: HOST:PORT, with one colon"),
        ("secret: 10.0.0.5: 5901", "expected TOKEN: HOST:PORT, with one colon"),
        (": 10.0.0.5:5901", "expected a token of 1 to 4096 characters, got 0"),
        ("s" * (MAX_TOKEN_CHARACTERS + 1) + ": a:1", "expected a token of 1 to 4096 characters, got 4097"),
        ("secret: 10.0.0.5", "expected TOKEN: HOST:PORT or TOKEN: unix_socket:PATH"),
        ("secret: 10.0.0.5:vnc", "port: expected 1 to 65535 in digits"),
        ("secret: 10.0.0.5:5901 # desk", "port: expected 1 to 65535 in digits"),
        ("secret: 127.1:5901", "host: expected four decimal numbers"),
        ("secret: unix_socket:run/vnc", "unix: expected an absolute path"),
    ],
)
def test_line_without_a_target_is_a_problem_without_its_token(
    tmp_path: Path, line: str, problem: str
) -> None:
    """The other lines count all the same; the problem has the number of the line."""
    path = tmp_path / "tokens"
    path.write_text(f"good: 10.0.0.5:5901\n{line}\nalso: 10.0.0.5:5902\n")
    targets, (shown,) = read_tokens(path)
    assert set(targets.by_token) == {Token("good"), Token("also")}
    assert shown.startswith(f"line 2: {problem}")
    assert "secret" not in shown


def test_directory_is_the_sum_of_its_files(tmp_path: Path) -> None:
    """Links are followed and hidden files left out; a problem has the name of its file."""
    (tmp_path / "b").write_text("two: 10.0.0.2:1\nsame: 10.0.0.2:1\n")
    (tmp_path / "a").write_text("one: 10.0.0.1:1\nsame: 10.0.0.2:1\n")
    (tmp_path / ".a.swp").write_text("not a token\n")
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "c").write_text("three: 10.0.0.3:1\n")
    (tmp_path / "c").symlink_to("..data/c")
    assert list(found(tmp_path)) == ["one", "same", "two", "three"]
    (tmp_path / "b").write_text("\ntwo 10.0.0.2:1\n")
    assert read_tokens(tmp_path).problems == (
        "b: line 2: expected TOKEN: HOST:PORT, with one colon that white space follows",
    )
    (tmp_path / "b").write_text("same: 10.0.0.9:1\n")
    with pytest.raises(
        TargetsError, match=r"^b: token s~.* is in another file already, with another target$"
    ):
        read_tokens(tmp_path)


def test_nothing_is_no_problem(tmp_path: Path) -> None:
    """Tokens come and go."""
    assert found(tmp_path) == {}
    (tmp_path / "empty").write_text("")
    assert found(tmp_path) == {}


def test_what_cannot_be_read_is_an_error_with_its_name(tmp_path: Path) -> None:
    """A pipe would block for ever, and a folder or a dangling link is seldom meant."""
    with pytest.raises(TargetsError, match=r"^expected a readable file \(No such file"):
        read_tokens(tmp_path / "none")
    bad = tmp_path / "bad"
    os.mkfifo(bad)
    with pytest.raises(TargetsError, match=r"^bad: expected a regular file$"):
        read_tokens(tmp_path)
    bad.unlink()
    bad.mkdir()
    with pytest.raises(TargetsError, match=r"^bad: expected a regular file$"):
        read_tokens(tmp_path)
    bad.rmdir()
    bad.symlink_to("nowhere")
    with pytest.raises(TargetsError, match=r"^bad: expected a readable file \(No such file"):
        read_tokens(tmp_path)
    bad.unlink()
    bad.write_bytes(b"\xff: a:1\n")
    with pytest.raises(TargetsError, match=r"^bad: line 1: expected a file in UTF-8$"):
        read_tokens(tmp_path)


def test_size_of_a_directory_is_bounded(tmp_path: Path) -> None:
    """In characters and lines of all files together, and in files."""
    (tmp_path / "a").write_text("#" * (MAX_FILE_CHARACTERS - 1))
    (tmp_path / "b").write_text("##")
    with pytest.raises(TargetsError, match=r"^b: expected at most 1048576 characters and 10000 lines in all"):
        read_tokens(tmp_path)
    (tmp_path / "a").write_text("\n" * MAX_FILE_LINES)
    with pytest.raises(TargetsError, match=r"^b: expected at most"):
        read_tokens(tmp_path)


def test_token_is_redacted_wherever_it_is_written() -> None:
    """Its first four characters, of a short one at most a quarter, and a hash that tells tokens apart."""
    token = Token("abcdefghijklmnopqrst")
    assert str(token) == repr(token)
    assert str(token).startswith("token abcd~")
    assert len(str(token)) == len("token abcd~01234567")
    assert str(token) == str(Token("abcdefghijklmnopqrst")) != str(Token("abcdefghijklmnopqrsu"))
    assert str(Token("abcd")).startswith("token a~")
    assert str(Token("abc")).startswith("token ~")
    assert "\n" not in str(Token("\n\ud800é\x00" * 8))
