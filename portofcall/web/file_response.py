"""Responses with a file: conditional, in part, and bounded in number while a client takes its time."""

import os
from contextlib import ExitStack
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import datetimeToString
from twisted.web.server import NOT_DONE_YET, Request

from portofcall.limits.admission import Admission
from portofcall.web.conditions import has_current, wanted_part
from portofcall.web.file_body import PIECE_BYTES, FileBody, read_exactly, reset
from portofcall.web.records import Records
from portofcall.web.responses import bytes_response, set_head, text_response
from portofcall.web.safe_open import OpenFile

_HEADERS: Final = {
    "Accept-Ranges": "bytes",
    # To be asked for again each time; one that has not changed is 304.
    "Cache-Control": "no-cache",
    # Pages such as noVNC are framed by others of the same site.
    "X-Frame-Options": "SAMEORIGIN",
}


class FileResponses:
    """Responds with files. What is larger than a piece takes one of ``max_downloads`` places.

    Args:
        records: reports the outcome of requests.
        admission: counts the places.
        clock: for turns and time limits.
    """

    def __init__(self, records: Records, admission: Admission, clock: IReactorTime) -> None:
        self._records = records
        self._admission = admission
        self._clock = clock

    def respond(self, request: Request, file: OpenFile, kind: str) -> bytes | int:
        """Respond with a file, or the part of it that is wanted, or with 304 or 416.

        Its length is that of now: of a file that grows meanwhile no more is sent.

        Args:
            request: a GET or HEAD request.
            file: is closed in the end.
            kind: the media type.

        Raises:
            RequestError: all places are taken, or the client's are.
        """
        with ExitStack() as resources:
            resources.callback(os.close, file.descriptor)
            modified, tag = file.modified_ns // 10**9, f'"{file.modified_ns:x}-{file.size:x}"'
            headers = {**_HEADERS, "ETag": tag, "Last-Modified": datetimeToString(modified).decode()}
            if has_current(request, tag, modified):
                return bytes_response(request, b"", kind=None, status=304, headers=headers)
            part, status = wanted_part(request, file.size, tag, modified), 200
            if part is None:
                part = range(file.size)
            elif part:
                status = 206
                headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
            else:
                headers["Content-Range"] = f"bytes */{file.size}"
                return text_response(request, "The file is shorter.\n", status=416, headers=headers)
            if request.method == b"HEAD" or len(part) <= PIECE_BYTES:
                return self._respond_at_once(request, file, part, kind=kind, status=status, headers=headers)
            client = self._records.caller(request).key
            resources.enter_context(self._admission.enter_download(client))
            set_head(request, kind=kind, size=len(part), status=status, headers=headers)
            taken = resources.pop_all()
        self._send(request, file, part, taken)
        return NOT_DONE_YET

    def _send(self, request: Request, file: OpenFile, part: range, taken: ExitStack) -> None:
        def ended(result: str) -> None:
            taken.close()
            self._records.served(request, result)

        FileBody(request, file.descriptor, part, clock=self._clock, ended=ended)

    @staticmethod
    def _respond_at_once(
        request: Request, file: OpenFile, part: range, *, kind: str, status: int, headers: dict[str, str]
    ) -> bytes | int:
        set_head(request, kind=kind, size=len(part), status=status, headers=headers)
        if request.method == b"HEAD":
            return b""
        try:
            return read_exactly(file.descriptor, part.start, len(part))
        except EOFError:
            reset(request)
            return NOT_DONE_YET
