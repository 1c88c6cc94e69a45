"""The files of ``--target-file``: named targets in our format, or tokens in websockify's. Pure.

::

    PATH                 a file with lines of ``NAME: VALUE``; the names are shown to clients
    websockify:PATH      a file of tokens, or a directory of such files; tokens are secrets

The prefix tells the formats apart, because the files can't: ``db: 10.0.0.5:5432`` is a line of both, and
whether ``db`` is a secret must not be guessed. `portofcall.egress.token_file` has websockify's grammar.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from portofcall.egress.line_file import numbered_lines, read_text
from portofcall.egress.named_target import NamedTarget, Targets, TargetsError
from portofcall.egress.token_file import read_tokens
from portofcall.errors import printable
from portofcall.target import TargetName

_PREFIX: Final = "websockify:"
_LINE: Final = re.compile(r"(?P<name>[^:]*?)[ \t]*:[ \t]+(?P<value>\S.*)")
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True)
class TargetFile:
    """One ``--target-file``.

    Attributes:
        path: absolute, because twistd may change its directory later (``--rundir``).
        has_tokens: whether it is a file, or a directory, in websockify's format.
    """

    path: Path
    has_tokens: bool = False

    @classmethod
    def parse(cls, text: str) -> "TargetFile":
        """Parse ``PATH`` or ``websockify:PATH``.

        Raises:
            ValueError: there is no path; an empty one would be the current directory.
        """
        path = text.removeprefix(_PREFIX)
        if not path:
            raise ValueError(f"expected FILE or {_PREFIX}FILE, got {text!r}")
        return cls(Path(path).absolute(), text.startswith(_PREFIX))

    def __str__(self) -> str:
        """The option's value, safe to log."""
        return f"{_PREFIX if self.has_tokens else ''}{printable(str(self.path))}"

    def read(self, others: Targets) -> Targets:
        """Read the targets: at the start, and at each reload.

        Args:
            others: targets to add to those of the file.

        Raises:
            TargetsError: see `read_targets` and `read_tokens`; a line that has no target is an error too.
        """
        if not self.has_tokens:
            return read_targets(self.path, others)
        targets, problems = read_tokens(self.path)
        if problems:
            raise TargetsError(problems[0])
        return Targets.of([*others.all(), *targets.all()])


def read_targets(path: Path, others: Targets) -> Targets:
    """Read the named targets of a file.

    Args:
        path: a regular file in UTF-8 with at least one line ``NAME: VALUE``; ``#`` begins a comment, at the
            start of a line or after white space.
        others: targets to add to those of the file.

    Raises:
        TargetsError: the file can't be read, has no target (such a file is seldom meant, and often half
            written), a line of it is not one, or its name is there already.
    """
    targets = dict(others.by_name)
    lines = numbered_lines(read_text(path, TargetsError), TargetsError)
    if not lines:
        raise TargetsError("expected at least one target")
    for number, line in lines:
        try:
            target = _parse_line(line)
        except TargetsError as problem:
            raise TargetsError(f"line {number}: {problem}") from None
        assert isinstance(target.name, TargetName)
        if targets.setdefault(target.name, target) is not target:
            raise TargetsError(f"line {number}: expected each name once, got {target.name} again")
    return Targets.of([*targets.values(), *others.by_token.values()])


def read_all_targets(
    texts: Iterable[str], files: Iterable[TargetFile], default: str | None = None
) -> Targets:
    """Read the targets of ``--target``, and those that the files of ``--target-file`` have now.

    Args:
        texts: see `Targets.parse`.
        files: in any order.
        default: ``--default-target``, see `Targets.with_default`; None means none.

    Raises:
        TargetsError: one is not valid; the message begins with the option, and the file where it has one.
    """
    option = "--target"
    try:
        targets = Targets.parse(texts)
        for file in files:
            option = f"--target-file {file}"
            targets = file.read(targets)
        if default is not None:
            option = "--default-target"
            targets = targets.with_default(default)
    except TargetsError as problem:
        raise TargetsError(f"{option}: {problem}") from None
    return targets


def _parse_line(line: str) -> NamedTarget:
    match = _LINE.fullmatch(line)
    if match is None:
        raise TargetsError(f"expected NAME: HOST:PORT, got '{printable(line, _SHOWN)}'")
    return NamedTarget.of(match["name"], match["value"])
