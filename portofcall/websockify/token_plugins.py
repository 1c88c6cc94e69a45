"""websockify's token plugins for files: ``lookup(token)`` returns host and port, a UNIX socket, or None.

A UNIX socket is ``unix_socket`` and its path. They are called in threads, several at a time.
"""

import os
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from twisted.logger import Logger

from portofcall.egress.line_file import read_text
from portofcall.egress.named_target import NamedTarget, Targets, TargetsError
from portofcall.egress.token_file import read_tokens
from portofcall.errors import printable
from portofcall.target import Target, Token
from portofcall.websockify.plugin_errors import PluginError

#: What a look-up finds: two words, as websockify's plugins return them.
Found = Sequence[str] | None

#: A file that was changed so shortly before it was read may have been changed again within the same tick of
#: the clock of its file system.
_SETTLED_SECONDS: Final = 2.0
_SOCKET: Final = "unix_socket"

_log = Logger()


def demand_source(source: str | None, what: str) -> str:
    """Return the argument of a plugin.

    Raises:
        PluginError: it is missing.
    """
    if not source:
        raise PluginError(f"expected {what}")
    return source


class ReadOnlyTokenFile:
    """A file of tokens, or a directory of such files, read once: at the first look-up.

    Args:
        source: the path.
    """

    def __init__(self, source: str | None) -> None:
        self._path = Path(demand_source(source, "a file or a directory")).absolute()
        self._targets: Targets | None = None

    def lookup(self, token: str) -> Found:
        """Return the target of a token; None if there is none."""
        if self._targets is None:
            self._targets = self._read()
        target = self._targets.get(Token(token))
        return None if target is None else words(target)

    def _read(self) -> Targets:
        try:
            found = read_tokens(self._path)
        except TargetsError as problem:
            raise PluginError(f"{printable(str(self._path), 200)}: {problem}") from None
        for line in found.problems:
            _log.warn("{path}: {line}", path=printable(str(self._path), 200), line=line)
        return found.targets


class TokenFile(ReadOnlyTokenFile):
    """The same, read again at a look-up after a change."""

    _read_from: object = None

    def lookup(self, token: str) -> Found:
        """Return the target of a token; None if there is none."""
        state, changed_at = self._state()
        if self._targets is None or state != self._read_from:
            read_at = time.time()
            self._targets = self._read()
            self._read_from = state if changed_at < read_at - _SETTLED_SECONDS else None
        return super().lookup(token)

    def _state(self) -> tuple[object, float]:
        """Return what differs after a change, and the time of the last one."""
        try:
            states = [(path, path.stat()) for path in self._files()]
        except OSError as problem:
            raise PluginError(f"{printable(str(self._path), 200)}: {problem.strerror}") from None
        seen = [(path, s.st_mtime_ns, s.st_ctime_ns, s.st_size, s.st_ino) for path, s in states]
        return seen, max((max(s.st_mtime, s.st_ctime) for _, s in states), default=0.0)

    def _files(self) -> Iterator[Path]:
        yield self._path
        if self._path.is_dir():
            yield from sorted(path for path in self._path.iterdir() if not path.name.startswith("."))


class TokenFileName:
    """A directory with one file for each token, whose content is the target.

    Args:
        source: the directory.
    """

    def __init__(self, source: str | None) -> None:
        self._folder = Path(demand_source(source, "a directory")).absolute()
        if not self._folder.is_dir():
            raise PluginError("expected a directory")

    def lookup(self, token: str) -> Found:
        """Return the target of a token; None if there is none. Only its last part counts, as of a path."""
        name = os.path.basename(token)
        if not name or name.startswith(".") or "\0" in name:
            return None
        path = self._folder / name
        try:
            if not stat.S_ISREG(path.stat().st_mode):
                return None
            text = read_text(path, TargetsError)
        except OSError:
            return None
        except TargetsError as problem:
            raise PluginError(f"a token's file: {problem}") from None
        return split_target(text.strip())


class UnixDomainSocketDirectory:
    """A directory of UNIX sockets, whose names are the tokens.

    Args:
        source: the directory.
    """

    def __init__(self, source: str | None) -> None:
        self._folder = Path(demand_source(source, "a directory")).resolve()

    def lookup(self, token: str) -> Found:
        """Return the socket of a token; None if there is none."""
        try:
            path = (self._folder / token).resolve(strict=True)
            is_socket = stat.S_ISSOCK(path.stat().st_mode)
        except (OSError, RuntimeError, ValueError):
            return None
        return (_SOCKET, str(path)) if is_socket and path.is_relative_to(self._folder) else None


def words(target: NamedTarget) -> Sequence[str]:
    """Return a target as plugins do."""
    place = target.place
    return (place.host, str(place.port)) if isinstance(place, Target) else (_SOCKET, str(place))


def split_target(text: str) -> Sequence[str]:
    """Split ``HOST:PORT`` at its last colon.

    Raises:
        PluginError: it has none.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        raise PluginError("expected HOST:PORT, got no colon")
    return (host, port)
