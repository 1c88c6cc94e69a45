"""websockify's token files: secrets, and the target of each (``TokenFile`` of websockify 0.13).

::

    TOKEN: HOST:PORT             a TCP port
    TOKEN: unix_socket:PATH      a UNIX socket

A line is split at the one colon that white space follows, and its target at the last colon; so a token may
have colons, and an IPv6 address needs no brackets (it may have them). Lines that begin with ``#`` are
comments; what follows a target is not. A token that is repeated has its last target.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final, NamedTuple

from portofcall.egress.line_file import MAX_FILE_CHARACTERS, MAX_FILE_LINES, read_text
from portofcall.egress.named_target import NamedTarget, Targets, TargetsError, parse_socket_path
from portofcall.errors import InvalidTarget, printable
from portofcall.target import Target, Token

#: Longer tokens are a problem of their line: no request could have them.
MAX_TOKEN_CHARACTERS: Final = 4096

_SEPARATOR: Final = re.compile(r":\s")
_SOCKET: Final = "unix_socket"


class Tokens(NamedTuple):
    """What is in a file of tokens, or in a directory of such files.

    Attributes:
        targets: each of them with its token.
        problems: one line about each line that has no target, with its file and its number, but without a
            token; such lines were left out.
    """

    targets: Targets
    problems: tuple[str, ...]


def read_tokens(path: Path) -> Tokens:
    """Read a file of tokens, or all files of a directory, in the order of their names.

    In a directory, names that begin with a dot are left out (editors have such files, and Kubernetes); a
    symbolic link stands for its file. There may be no token at all: tokens come and go.

    Args:
        path: a regular file in UTF-8, or a directory of only such files; together at most
            `MAX_FILE_CHARACTERS` characters and `MAX_FILE_LINES` lines.

    Raises:
        TargetsError: a file can't be read, or is not a regular one, or there is too much of it, or two files
            have the same token with different targets; the message names the file in the directory.
    """
    found: dict[Token, NamedTarget] = {}
    problems: list[str] = []
    characters = lines = 0
    for file, shown in _files(path):
        try:
            text = read_text(file, TargetsError)
        except TargetsError as problem:
            raise TargetsError(f"{shown}{problem}") from None
        texts = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
        characters, lines = characters + len(text), lines + len(texts)
        if characters > MAX_FILE_CHARACTERS or lines > MAX_FILE_LINES:
            raise TargetsError(
                f"{shown}expected at most {MAX_FILE_CHARACTERS} characters and {MAX_FILE_LINES} lines in all"
            )
        own: dict[Token, NamedTarget] = {}
        for number, line in enumerate(map(str.strip, texts), start=1):
            if line and not line.startswith("#"):
                try:
                    token, place = _split(line)
                    # If its last target is not valid, it has none.
                    own.pop(token, None)
                    own[token] = NamedTarget(token, _parse_place(place))
                except TargetsError as problem:
                    problems.append(f"{shown}line {number}: {problem}")
        for token, target in own.items():
            if found.setdefault(token, target) != target:
                raise TargetsError(f"{shown}{token} is in another file already, with another target")
    return Tokens(Targets(by_token=MappingProxyType(found)), tuple(problems))


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file, and what comes before a message about it."""
    try:
        if not path.is_dir():
            yield path, ""
            return
        names = []
        for entry in path.iterdir():
            names.append(entry.name)
            if len(names) > MAX_FILE_LINES:
                raise TargetsError(f"expected at most {MAX_FILE_LINES} files")
    except OSError as problem:
        raise TargetsError(f"expected a readable file or directory ({problem.strerror})") from None
    for name in sorted(names):
        if not name.startswith("."):
            yield path / name, f"{printable(name)}: "


def _split(line: str) -> tuple[Token, str]:
    """Split a line at its separator. No message repeats it, as it may have a token anywhere."""
    parts = _SEPARATOR.split(line)
    if len(parts) != 2:
        raise TargetsError("expected TOKEN: HOST:PORT, with one colon that white space follows")
    token, place = parts
    if not 1 <= len(token) <= MAX_TOKEN_CHARACTERS:
        raise TargetsError(f"expected a token of 1 to {MAX_TOKEN_CHARACTERS} characters, got {len(token)}")
    return Token(token), place.strip()


def _parse_place(text: str) -> Target | PurePosixPath:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise TargetsError("expected TOKEN: HOST:PORT or TOKEN: unix_socket:PATH, got no colon in the target")
    if host == _SOCKET:
        return parse_socket_path(port)
    try:
        return Target.parse(host, port)
    except InvalidTarget as problem:
        raise TargetsError(problem.sentence) from None
