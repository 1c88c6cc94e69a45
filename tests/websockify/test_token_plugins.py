"""websockify's token plugins for files."""

import os
import socket
from pathlib import Path

import pytest

from portofcall.egress.named_target import Targets
from portofcall.websockify.plugin_errors import PluginError
from portofcall.websockify.token_plugins import (
    ReadOnlyTokenFile,
    TokenFile,
    TokenFileName,
    UnixDomainSocketDirectory,
)


@pytest.mark.parametrize("plugin", [TokenFile, ReadOnlyTokenFile])
def test_targets_of_a_file(plugin: type[ReadOnlyTokenFile], tmp_path: Path, logged: list[str]) -> None:
    """Host and port, or a UNIX socket; a line that has none is logged without its token."""
    path = tmp_path / "tokens"
    path.write_text("a: 10.0.0.1:5901\nu: unix_socket:/run/u\nbroken-s3cret\n")
    made = plugin(str(path))
    assert made.lookup("a") == ("10.0.0.1", "5901")
    assert made.lookup("u") == ("unix_socket", "/run/u")
    assert made.lookup("b") is None
    assert "line 3" in logged[0]
    assert "s3cret" not in logged[0]


def test_a_file_is_read_again_after_a_change(tmp_path: Path) -> None:
    """And not at each look-up once it is some seconds old; the other class reads it once."""
    path = tmp_path / "tokens"
    path.write_text("a: h:1\n")
    again, once = TokenFile(str(path)), ReadOnlyTokenFile(str(path))
    assert (again.lookup("a"), once.lookup("a")) == (("h", "1"), ("h", "1"))
    path.write_text("a: h:2\n")
    assert (again.lookup("a"), once.lookup("a")) == (("h", "2"), ("h", "1"))
    path.unlink()
    with pytest.raises(PluginError, match="No such file"):
        again.lookup("a")


def test_a_file_that_has_settled_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand look-ups of unknown tokens parse it once."""
    path = tmp_path / "tokens"
    path.write_text("a: h:1\n")
    made = TokenFile(str(path))
    monkeypatch.setattr("portofcall.websockify.token_plugins.time.time", lambda: path.stat().st_ctime + 60)
    read, count = made._read, []

    def counted() -> Targets:
        count.append(1)
        return read()

    monkeypatch.setattr(made, "_read", counted)
    assert {made.lookup(f"unknown {number}") for number in range(100)} == {None}
    assert len(count) == 1


def test_a_directory_of_files(tmp_path: Path) -> None:
    """All of them, also one that comes later."""
    (tmp_path / "1").write_text("a: h:1\n")
    made = TokenFile(str(tmp_path))
    assert made.lookup("a") == ("h", "1")
    (tmp_path / "2").write_text("b: h:2\n")
    assert made.lookup("b") == ("h", "2")


@pytest.mark.parametrize("plugin", [TokenFile, TokenFileName, UnixDomainSocketDirectory])
def test_a_source_has_to_be_given(plugin: type, tmp_path: Path) -> None:
    """The problem says what was expected."""
    with pytest.raises(PluginError, match="expected a"):
        plugin(None)


def test_files_named_by_tokens(tmp_path: Path) -> None:
    """Only in the directory itself, and only regular ones that are not hidden."""
    folder = tmp_path / "names"
    folder.mkdir()
    (folder / "a").write_text("::1:5901\n")
    (folder / ".hidden").write_text("h:1")
    (folder / "broken").write_text("nothing")
    (folder / "binary").write_bytes(b"\xff")
    (tmp_path / "outside").write_text("h:1")
    os.mkfifo(folder / "pipe")
    made = TokenFileName(str(folder))
    assert made.lookup("a") == made.lookup("../x/a") == ("::1", "5901")
    for token in ("", "..", "../outside", ".hidden", "pipe", "missing", "a\0", "x" * 1_000_000):
        assert made.lookup(token) is None, token[:10]
    for token in ("broken", "binary"):
        with pytest.raises(PluginError):
            made.lookup(token)
    with pytest.raises(PluginError, match="expected a directory"):
        TokenFileName(str(folder / "a"))


def test_sockets_named_by_tokens(tmp_path: Path) -> None:
    """Nothing outside of the directory, through links neither."""
    folder, other = tmp_path / "s", tmp_path / "s2"
    folder.mkdir()
    other.mkdir()
    (folder / "file").write_text("")
    made = UnixDomainSocketDirectory(str(folder))
    with socket.socket(socket.AF_UNIX) as inside, socket.socket(socket.AF_UNIX) as outside:
        inside.bind(str(folder / "x"))
        outside.bind(str(other / "y"))
        (folder / "link").symlink_to(other / "y")
        assert made.lookup("x") == ("unix_socket", str(folder / "x"))
        for token in ("file", "link", "../s2/y", str(other / "y"), "missing", "\0"):
            assert made.lookup(token) is None, token
