"""A folder of the operator's that is served beside the tunnel, such as noVNC."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request
from twisted.web.static import loadMimeTypes

from portofcall.errors import Busy, RequestError
from portofcall.limits.admission import Admission
from portofcall.web.file_response import FileResponses
from portofcall.web.folder_listing import listing
from portofcall.web.records import Records
from portofcall.web.responses import (
    bytes_response,
    no_file,
    only_get,
    status_headers,
    text_response,
    to_folder,
)
from portofcall.web.safe_open import find, open_file
from portofcall.web.upgrade import is_upgrade

_INDEX: Final = ("index.html", "index.htm")
#: With those that are not known to every system, or known as something that browsers refuse to run.
_TYPES: Final = {
    **loadMimeTypes(),
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
}
#: Of everything else, and of a compressed file, which is sent as it is.
_ANY_TYPE: Final = "application/octet-stream"
_LISTING_HEADERS: Final = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'"}
_NOT_THERE: Final = frozenset({errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
_NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})


def with_folder(tree: Resource, folder: "WebFolder") -> Resource:
    """Serve a folder at ``/``, and a gateway's tree beside it.

    Of the tree, ``/api``, ``/websockify``, ``/v1``, ``/healthz`` and ``/readyz`` stay where they are: no file
    is served under these names. So does an upgrade at ``/``. All of the tree, with its page, is below
    ``/portofcall/`` as well.

    Args:
        tree: as `portofcall.Gateway.resource` makes it.
        folder: the folder.

    Returns:
        The root of the site.
    """
    for name in (b"api", b"websockify", b"v1", b"healthz", b"readyz"):
        folder.putChild(name, tree.children[name])
    folder.putChild(b"portofcall", tree)
    return folder


class WebFolder(Resource):
    """A folder: GET and HEAD of regular files, one range of them, and an index page.

    There are no names that begin with a dot, and nothing that leads out of the folder, as symbolic links may.

    Args:
        folder: absolute. If it is a symbolic link, where that leads now.
        lists: whether a folder without an index page lists its files.
        records: reports the outcome of requests.
        admission: counts downloads.
        clock: for their turns and time limits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lists: bool = False,
        records: Records,
        admission: Admission,
        clock: IReactorTime,
    ) -> None:
        super().__init__()
        self._top = os.path.realpath(folder)
        self._lists = lists
        self._files = FileResponses(records, admission, clock)
        self._records = records

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return what responds to every path but those of children, or to an upgrade at ``/``."""
        if not path and b"websockify" in self.children and is_upgrade(request):
            return cast(IResource, self.children[b"websockify"])
        return cast(IResource, _Path(self, (path, *(request.postpath or ()))))

    def render(self, request: Request) -> bytes:
        """Send a client that left out the last slash to the folder."""
        return to_folder(request)

    def respond(self, request: Request, segments: Sequence[bytes]) -> bytes | int:
        """Respond to a request.

        Args:
            request: any request.
            segments: of its path below the folder, decoded; one that ends in a slash has an empty one.
        """
        try:
            return self._respond(request, *map(os.fsdecode, segments))
        except RequestError as error:
            return self._refuse(request, error)
        except OSError as problem:
            return self._explain(request, problem)

    def _respond(self, request: Request, *names: str) -> bytes | int:
        as_folder = not names[-1]
        found = find(self._top, names[:-1] if as_folder else names)
        if as_folder and not found.is_folder:
            raise FileNotFoundError
        if request.method not in (b"GET", b"HEAD"):
            return only_get(request)
        if not found.is_folder:
            return self._file(request, found.parts)
        return self._folder(request, found.parts) if as_folder else to_folder(request)

    def _file(self, request: Request, parts: Sequence[str]) -> bytes | int:
        kind = _TYPES.get(os.path.splitext(parts[-1])[1].lower(), _ANY_TYPE)
        return self._files.respond(request, open_file(self._top, parts), kind)

    def _folder(self, request: Request, parts: tuple[str, ...]) -> bytes | int:
        for name in _INDEX:
            try:
                index = find(self._top, [*parts, name])
            except FileNotFoundError:
                continue
            if not index.is_folder:
                return self._file(request, index.parts)
        if not self._lists:
            raise FileNotFoundError
        page = listing(self._top, parts).encode()
        return bytes_response(request, page, kind="text/html; charset=utf-8", headers=_LISTING_HEADERS)

    def _explain(self, request: Request, problem: OSError) -> bytes:
        """Respond with why something can't be read, or raise the problem if the fault is not the client's."""
        if problem.errno in _NO_DESCRIPTORS:
            return self._refuse(request, Busy("no file descriptors are left", retry_after_seconds=1))
        if isinstance(problem, PermissionError):
            return text_response(request, "The gateway is not allowed to read this.\n", status=403)
        if isinstance(problem, FileNotFoundError) or problem.errno in _NOT_THERE:
            return no_file(request)
        raise problem

    def _refuse(self, request: Request, error: RequestError) -> bytes:
        self._records.refused(request, error)
        status = error.http_status
        return text_response(request, f"{error.sentence}\n", status=status, headers=status_headers(error))


class _Path(Resource):
    """A path below the folder."""

    isLeaf = True

    def __init__(self, folder: WebFolder, segments: Sequence[bytes]) -> None:
        super().__init__()
        self._folder = folder
        self._segments = segments

    def render(self, request: Request) -> bytes | int:
        return self._folder.respond(request, self._segments)
