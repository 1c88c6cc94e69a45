"""Files that operators write line by line: how they are read, and where their comments are."""

import re
import stat
from pathlib import Path

#: Larger files are refused before any work is done on them.
MAX_FILE_CHARACTERS = 1 << 20
#: Parsed in about a third of a second, at the start and at each reload, during which nothing else runs.
MAX_FILE_LINES = 10_000

_COMMENT = re.compile(r"(?:^|[ \t])#.*$")


def read_text(path: Path, error: type[ValueError]) -> str:
    """Read a regular file in UTF-8. A pipe could be read only once; reading it again would block for ever.

    Args:
        path: the file.
        error: is raised, with what was expected, if the file can't be read or is larger than
            `MAX_FILE_CHARACTERS` bytes.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise error("expected a regular file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_CHARACTERS + 1)
        if len(content) > MAX_FILE_CHARACTERS:
            raise error(f"expected at most {MAX_FILE_CHARACTERS} bytes")
    except OSError as problem:
        raise error(f"expected a readable file ({problem.strerror})") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(f"line {line}: expected a file in UTF-8") from None


def numbered_lines(text: str, error: type[ValueError]) -> list[tuple[int, str]]:
    """Number the lines from 1, and return those that have more than comments, without these.

    Args:
        text: a file. ``#`` begins a comment, at the start of a line or after white space.
        error: is raised for too much text, with the number of the first line too many.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        raise error(f"expected at most {MAX_FILE_CHARACTERS} characters, got {len(text)}")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) > MAX_FILE_LINES:
        raise error(f"line {MAX_FILE_LINES + 1}: expected at most {MAX_FILE_LINES} lines, got {len(lines)}")
    bare = (_COMMENT.sub("", line.removesuffix("\r")).strip(" \t") for line in lines)
    return [(number, line) for number, line in enumerate(bare, start=1) if line]
