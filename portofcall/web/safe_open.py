"""Find and open what is below a folder, and nothing else: not by a name, and not by a symbolic link.

A path is first resolved and judged. Then each of its parts is opened relative to the one before, following no
link, so that what is opened is what was judged, whatever has been renamed or linked meanwhile.
"""

import os
import stat
from collections.abc import Sequence
from typing import Final, NamedTuple

_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW
#: Not blocking, in case a named pipe has taken the place of the file that was judged.
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class Found(NamedTuple):
    """A regular file or a folder.

    Attributes:
        parts: its path below the top folder, without symbolic links.
        is_folder: whether it is a folder.
    """

    parts: tuple[str, ...]
    is_folder: bool


class OpenFile(NamedTuple):
    """A regular file that is open for reading.

    Attributes:
        descriptor: the owner closes it.
        size: the length in bytes, when it was opened.
        modified_ns: when it changed last, in nanoseconds since 1970.
    """

    descriptor: int
    size: int
    modified_ns: int


def find(top: str, names: Sequence[str]) -> Found:
    """Find a regular file or a folder.

    Args:
        top: the folder that nothing leads out of: absolute, without symbolic links.
        names: the segments of the path below it.

    Raises:
        FileNotFoundError: there is none; or it is something else, or hidden (a part of its path begins with a
            dot, before or behind symbolic links), or elsewhere.
        OSError: it can't be examined.
    """
    if any(not name or name.startswith(".") or "/" in name or "\0" in name for name in names):
        raise FileNotFoundError
    path = os.path.realpath(os.path.join(top, *names), strict=True)
    if os.path.commonpath((top, path)) != top:
        raise FileNotFoundError
    parts = tuple(filter(None, path[len(top) :].split("/")))
    if any(part.startswith(".") for part in parts):
        raise FileNotFoundError
    mode = os.lstat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FileNotFoundError
    return Found(parts, stat.S_ISDIR(mode))


def open_file(top: str, parts: Sequence[str]) -> OpenFile:
    """Open a regular file for reading, following no link.

    Args:
        top: as for `find`.
        parts: as `find` has returned them, one at least.

    Raises:
        FileNotFoundError: it is no regular file any more.
        OSError: it can't be opened; or a part of the path is a symbolic link by now.
    """
    folder = _open_path(top, parts[:-1])
    try:
        # To open a device may do something.
        if not stat.S_ISREG(os.stat(parts[-1], dir_fd=folder, follow_symlinks=False).st_mode):
            raise FileNotFoundError
        descriptor = os.open(parts[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise FileNotFoundError
    return OpenFile(descriptor, status.st_size, status.st_mtime_ns)


def open_folder(top: str, parts: Sequence[str]) -> int:
    """Open a folder to list its names, following no link; return its descriptor.

    Args:
        top: as for `find`.
        parts: as `find` has returned them.

    Raises:
        OSError: it can't be opened; or a part of the path is a symbolic link by now.
    """
    folder = _open_path(top, parts)
    try:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    finally:
        os.close(folder)


def _open_path(top: str, parts: Sequence[str]) -> int:
    """Open a folder to find something in it, which takes no permission to list it."""
    descriptor = os.open(top, _FOLDER)
    for part in parts:
        above = descriptor
        try:
            descriptor = os.open(part, _FOLDER, dir_fd=above)
        finally:
            os.close(above)
    return descriptor
