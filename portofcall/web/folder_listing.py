"""A page that lists the names in a folder, as links."""

import os
from collections.abc import Iterator
from enum import Enum, auto
from html import escape
from typing import Final
from urllib.parse import quote

from portofcall.web.safe_open import find, open_folder

#: The most entries of a folder that are looked at, which takes about 2 ms of the event loop. A symbolic link
#: counts as several: it has to be resolved.
MOST_ENTRIES: Final = 500
LINK_ENTRIES: Final = 10
_PAGE: Final = """\
<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<h1>{title}</h1><ul>
{items}
</ul>
"""


def listing(top: str, parts: tuple[str, ...]) -> str:
    """Return the HTML of a folder's listing: what may be served of it, and no more than `MOST_ENTRIES` names.

    Args:
        top: see `portofcall.web.safe_open.find`.
        parts: as returned by that.

    Raises:
        OSError: the folder can't be listed.
    """
    names, left = [], MOST_ENTRIES
    for name, kind in _entries(top, parts):
        left -= LINK_ENTRIES if kind is _Kind.LINK else 1
        if left < 0:
            break
        if kind is _Kind.HIDDEN:
            continue
        if kind is _Kind.LINK:
            names += _behind_link(top, parts, name)
        else:
            names.append(name + "/" * (kind is _Kind.FOLDER))
    items = [f'<li><a href="./{quote(os.fsencode(name))}">{_shown(name)}</a>' for name in sorted(names)]
    if left < 0:
        items.append("<li>and more")
    return _PAGE.format(title=_shown("/".join(("", *parts, ""))), items="\n".join(items))


class _Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    HIDDEN = auto()


def _entries(top: str, parts: tuple[str, ...]) -> Iterator[tuple[str, _Kind]]:
    """Yield the name of each entry, and its kind; neither needs a look at more than the folder."""
    descriptor = open_folder(top, parts)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                yield entry.name, _kind(entry)
    finally:
        os.close(descriptor)


def _kind(entry: os.DirEntry[str]) -> _Kind:
    if entry.name.startswith("."):
        return _Kind.HIDDEN
    if entry.is_symlink():
        return _Kind.LINK
    if entry.is_dir(follow_symlinks=False):
        return _Kind.FOLDER
    return _Kind.FILE if entry.is_file(follow_symlinks=False) else _Kind.HIDDEN


def _behind_link(top: str, parts: tuple[str, ...], name: str) -> list[str]:
    """Return the name of a symbolic link, unless it leads to nothing that may be served."""
    try:
        return [name + "/" * find(top, [*parts, name]).is_folder]
    except OSError:
        return []


def _shown(name: str) -> str:
    """Return a name as HTML; bytes that are no UTF-8 are replaced."""
    return escape(os.fsencode(name).decode("utf-8", "replace"))
