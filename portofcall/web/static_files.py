"""The built page: files with a hash in their names, compressed when they were built, kept in memory."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple, cast

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from portofcall.web.conditions import has_current
from portofcall.web.responses import Headers, Nothing, bytes_response, no_file, only_get

#: Where setup.py builds it to.
FOLDER: Final = Path(__file__).with_name("static")
#: The one module that pages of other origins may import.
_SHARED: Final = "portofcall.js"
_HASHED: Final = re.compile(r".+-[0-9A-Z]{8}\.\w+")
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
}
_PLAIN: Final = "text/plain; charset=utf-8"
#: Content codings in the order of preference, with the suffix of their files.
_CODINGS: Final = {"br": ".br", "gzip": ".gz"}


class StaticFile(NamedTuple):
    """A file in all its codings.

    Attributes:
        name: of the file.
        content: the file as it is.
        coded: the compressed variants by content coding.
    """

    name: str
    content: bytes
    coded: Mapping[str, bytes]

    @property
    def tag(self) -> str:
        """A name of this content."""
        return _tag(self.content)

    def headers(self) -> Headers:
        """Return the headers of the response that depend on the file."""
        shared = self.name == _SHARED
        return {
            "Cache-Control": _IMMUTABLE if _HASHED.fullmatch(self.name) else "no-cache",
            "Cross-Origin-Resource-Policy": "cross-origin" if shared else "same-origin",
            **({"Access-Control-Allow-Origin": "*"} if shared else {}),
        }


@cache
def _tag(content: bytes) -> str:
    """Return a name of some content. It is computed once: any client can request it, at any rate."""
    return hashlib.sha256(content).hexdigest()[:20]


class StaticFiles(Resource):
    """``/static/``: the files of the page.

    Args:
        files: by name.
    """

    def __init__(self, files: Mapping[str, StaticFile]) -> None:
        super().__init__()
        self._files = files

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return the file with this name, or what responds with 404."""
        file = None if request.postpath else self._files.get(path.decode("latin-1"))
        return cast(IResource, Nothing() if file is None else _Served(file))

    def render(self, request: Request) -> bytes | int:
        """Respond with 404: there is no listing."""
        return no_file(request)


class _Served(Resource):
    """One file."""

    isLeaf = True

    def __init__(self, file: StaticFile) -> None:
        super().__init__()
        self._file = file

    def render(self, request: Request) -> bytes | int:
        if request.method not in (b"GET", b"HEAD"):
            return only_get(request)
        return file_response(request, self._file, self._file.headers())


def file_response(request: Request, file: StaticFile, headers: Headers) -> bytes:
    """Respond with a file, or with 304 if the client has it already (RFC 9110 §13.1.2).

    Args:
        request: a GET or HEAD request.
        file: in all codings.
        headers: of the response, in addition to those of its coding.
    """
    coding = _coding(request, file.coded)
    tag = f'"{file.tag}{"" if coding is None else "-" + coding}"'
    headers = {"Vary": "Accept-Encoding", **headers, "ETag": tag}
    if has_current(request, tag):
        return bytes_response(request, b"", kind=None, status=304, headers=headers)
    if coding is not None:
        headers = {**headers, "Content-Encoding": coding}
    body = file.content if coding is None else file.coded[coding]
    return bytes_response(request, body, kind=_TYPES.get(Path(file.name).suffix, _PLAIN), headers=headers)


def _coding(request: Request, coded: Mapping[str, bytes]) -> str | None:
    """Choose a content coding that the client accepts (RFC 9110 §12.5.3); None means as it is."""
    accepted = set()
    for value in request.requestHeaders.getRawHeaders(b"accept-encoding", []):
        for item in value.lower().split(b","):
            name, _, quality = item.replace(b" ", b"").decode("latin-1").partition(";q=")
            if not re.fullmatch(r"0(\.0*)?", quality):
                accepted.add(name)
    return next((coding for coding in _CODINGS if coding in coded and coding in accepted), None)


@cache
def read_files(folder: Path) -> Mapping[str, StaticFile]:
    """Read the built files of a folder, once.

    Returns:
        The files by name; none if the page is not built.
    """
    if not (folder / "index.html").is_file():
        return {}
    suffixes = set(_CODINGS.values())
    contents = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    return {
        name: StaticFile(name, content, _variants(name, contents))
        for name, content in contents.items()
        if Path(name).suffix not in suffixes
    }


def _variants(name: str, contents: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {
        coding: contents[name + suffix] for coding, suffix in _CODINGS.items() if name + suffix in contents
    }


def compressed(name: str, content: bytes) -> StaticFile:
    """Make a file of content that is known only now."""
    return StaticFile(name, content, {"gzip": gzip.compress(content, 9, mtime=0)})
