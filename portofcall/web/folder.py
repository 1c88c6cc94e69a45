"""A folder of the operator's that is served beside the tunnel, such as noVNC."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from twisted.web.static import File, loadMimeTypes

from portofcall.web.responses import Nothing, bytes_response, no_file, only_get, text_response

_INDEX: Final = ("index.html", "index.htm")
#: Not known to every system, or known as something that browsers refuse to run.
_TYPES: Final = {".mjs": "text/javascript", ".js": "text/javascript", ".wasm": "application/wasm"}
#: The most names in a listing.
_MOST_NAMES: Final = 5000
_PAGE: Final = """\
<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<h1>{title}</h1><ul>
{items}
</ul>
"""


def with_folder(tree: Resource, folder: Path, *, listing: bool = False) -> Resource:
    """Serve a folder at ``/``, and a gateway's tree beside it.

    Of the tree, ``/api``, ``/healthz`` and ``/readyz`` stay where they are: no file is served under these
    names. All of it, with its page, is below ``/portofcall/`` as well.

    Args:
        tree: as `portofcall.Gateway.resource` makes it.
        folder: absolute.
        listing: whether a folder without an index page lists its files.

    Returns:
        The root of the site.
    """
    root = WebFolder(folder.resolve(), folder.resolve(), listing=listing)
    for name in (b"api", b"healthz", b"readyz"):
        root.putChild(name, tree.children[name])
    root.putChild(b"portofcall", tree)
    return root


class WebFolder(Resource):
    """One folder: GET and HEAD of regular files, their ranges, and an index page.

    There are no names that begin with a dot, and nothing that leads out of the folder, as symbolic links may.

    Args:
        folder: this one, without symbolic links.
        top: the one that nothing leads out of.
        listing: whether it lists its files if it has no index page.
    """

    def __init__(self, folder: Path, top: Path, *, listing: bool) -> None:
        super().__init__()
        self._folder = folder
        self._top = top
        self._listing = listing

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return the file or the folder with this name."""
        if not path:
            return self._index()
        found = self._find(os.fsdecode(path))
        if found is None:
            return Nothing()
        if found.is_dir():
            return WebFolder(found, self._top, listing=self._listing)
        return _Regular(found)

    def render(self, request: Request) -> bytes:
        """Send a client that left out the slash to the folder: links in its page are relative."""
        path, question_mark, query = request.uri.partition(b"?")
        where = b"./" + path.rpartition(b"/")[2] + b"/" + question_mark + query
        return text_response(request, "", status=308, headers={"Location": where.decode("latin-1")})

    def _index(self) -> IResource:
        for name in _INDEX:
            found = self._find(name)
            if found is not None and found.is_file():
                return _Regular(found)
        return _Listing(self._folder.name, self._names()) if self._listing else Nothing()

    def _find(self, name: str) -> Path | None:
        """Return a regular file or a folder that may be served; without symbolic links."""
        if name.startswith(".") or "/" in name or "\0" in name:
            return None
        try:
            found = (self._folder / name).resolve(strict=True)
        except (OSError, RuntimeError):  # not there, not readable, or a loop of links
            return None
        inside = found.is_relative_to(self._top) and not _is_hidden(found.relative_to(self._top))
        return found if inside and (found.is_file() or found.is_dir()) else None

    def _names(self) -> list[str]:
        names = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                found = self._find(entry.name)
                if found is not None:
                    names.append(entry.name + "/" * found.is_dir())
                if len(names) == _MOST_NAMES:
                    break
        return sorted(names)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class _Regular(File):
    """A regular file. Others are never opened: to open a named pipe would hold up every tunnel."""

    isLeaf = True
    contentTypes = {**loadMimeTypes(), **_TYPES}  # noqa: RUF012 - Twisted's type
    #: A .gz is sent as it is, not as a coding that browsers undo.
    contentEncodings: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), defaultType="application/octet-stream")

    def render(self, request: Request) -> bytes | int:
        """Respond to GET and HEAD; other methods are 405."""
        if request.postpath:
            return no_file(request)
        if request.method not in (b"GET", b"HEAD"):
            return only_get(request)
        # Pages such as noVNC are framed by others of the same site.
        request.setHeader(b"X-Frame-Options", b"SAMEORIGIN")
        return cast("bytes | int", self.render_GET(request))


class _Listing(Resource):
    """The names in a folder, as links."""

    isLeaf = True

    def __init__(self, title: str, names: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._names = names

    def render(self, request: Request) -> bytes:
        if request.method not in (b"GET", b"HEAD"):
            return only_get(request)
        items = "\n".join(f'<li><a href="./{quote(name)}">{escape(name)}</a>' for name in self._names)
        page = _PAGE.format(title=escape(self._title), items=items)
        headers = {"Content-Security-Policy": "default-src 'none'"}
        body = page.encode("utf-8", "surrogateescape")
        return bytes_response(request, body, kind="text/html; charset=utf-8", headers=headers)
