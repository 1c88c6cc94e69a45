"""A file of lines is read if it is a small regular one in UTF-8, and its comments are left out."""

import os
from pathlib import Path

import pytest

from portofcall.egress.line_file import MAX_FILE_CHARACTERS, MAX_FILE_LINES, numbered_lines, read_text


class WrongError(ValueError):
    """The error that the caller wants."""


def test_lines_are_numbered_as_an_editor_does() -> None:
    """Those that have nothing but comments are left out; a # within a word is no comment."""
    text = "# first\n one  # two\r\n\n\ttwo#2 three\t# four\nlast"
    assert numbered_lines(text, WrongError) == [(2, "one"), (4, "two#2 three"), (5, "last")]
    assert numbered_lines("", WrongError) == []


def test_too_much_text_is_an_error() -> None:
    """Before any work is done on it."""
    assert numbered_lines("a\n" * MAX_FILE_LINES, WrongError)[-1] == (MAX_FILE_LINES, "a")
    with pytest.raises(WrongError, match=f"line {MAX_FILE_LINES + 1}: expected at most"):
        numbered_lines("a\n" * (MAX_FILE_LINES + 1), WrongError)
    with pytest.raises(WrongError, match="characters"):
        numbered_lines("a" * (MAX_FILE_CHARACTERS + 1), WrongError)


@pytest.mark.timeout(10)
def test_only_small_regular_files_in_utf_8_are_read(tmp_path: Path) -> None:
    """A pipe would block for ever."""
    path = tmp_path / "file"
    path.write_bytes("ä\n".encode() * 1000)
    assert read_text(path, WrongError) == "ä\n" * 1000
    path.write_bytes(b"\n\n\xff")
    with pytest.raises(WrongError, match=r"^line 3: expected a file in UTF-8"):
        read_text(path, WrongError)
    path.write_bytes(b"a" * (MAX_FILE_CHARACTERS + 1))
    with pytest.raises(WrongError, match=f"expected at most {MAX_FILE_CHARACTERS} bytes"):
        read_text(path, WrongError)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WrongError, match="expected a regular file"):
        read_text(tmp_path / "pipe", WrongError)
    with pytest.raises(WrongError, match="expected a readable file"):
        read_text(tmp_path / "missing", WrongError)
