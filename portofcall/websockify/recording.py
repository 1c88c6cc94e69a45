"""What tunnels carry, recorded to files and shown on the standard output: ``--record`` and ``--traffic``.

Tunnels pay for it only where one of the two is asked for.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from twisted.logger import Logger

from portofcall.errors import printable
from portofcall.events import Caller, Event, TunnelEnded
from portofcall.relay.interfaces import Buffer
from portofcall.relay.tunnel import Tunnel

_LEGEND = """
Traffic Legend:
    }  - Client receive
    {  - Target receive

    >  - Target send
    <  - Client send
"""

_log = Logger()


class Recorder:
    """Watches tunnels.

    Args:
        record: the beginning of the names of files, to which the number of the tunnel is added; None records
            nothing.
        traffic: whether to show each piece as two characters.
        now: returns monotonic time, in seconds.
        show: writes to the standard output.
    """

    def __init__(
        self,
        record: Path | None,
        *,
        traffic: bool,
        now: Callable[[], float] = time.monotonic,
        show: Callable[[str], object] | None = None,
    ) -> None:
        self._record = record
        self._traffic = traffic
        self._now = now
        self._show = show or _show
        self._begun = 0
        #: By the identity of the request, which lives as long as its tunnel: clients may choose its id.
        self._open: dict[int, Recording] = {}

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return self._traffic or self._record is not None

    def watch(self, tunnel: Tunnel, caller: Caller) -> None:
        """Watch a tunnel that is about to begin."""
        self._begun += 1
        if self._record is not None:
            path = self._record.with_name(f"{self._record.name}.{self._begun}")
            recording = self._open[id(caller)] = Recording(path, now=self._now)
            tunnel.client_sent = _before(tunnel.client_sent, recording.client_sent)
            tunnel.backend_sent = _before(tunnel.backend_sent, recording.target_sent)
        if self._traffic:
            self._mark(_LEGEND)
            tunnel.client_sent = _before(tunnel.client_sent, lambda _: self._mark("}>"))
            tunnel.backend_sent = _before(tunnel.backend_sent, lambda _: self._mark("{<"))

    def happened(self, event: Event) -> None:
        """Note the end of a tunnel: for `portofcall.Gateway.observe`."""
        if isinstance(event, TunnelEnded):
            recording = self._open.pop(id(event.caller), None)
            if recording is not None:
                recording.end()

    def _mark(self, text: str) -> None:
        """Show a text, as long as the standard output takes it."""
        if self._traffic:
            try:
                self._show(text)
            except (OSError, ValueError) as problem:
                # A `ValueError` if it is closed on this side.
                self._traffic = False
                _log.error("--traffic: not shown any more ({problem})", problem=type(problem).__name__)


class Recording:
    """One file in the format of websockify: JavaScript, for noVNC's ``tests/playback.js``.

    Whatever goes wrong with the file ends the recording, not the tunnel.

    Args:
        path: of the file; one that is there is replaced.
        now: returns monotonic time, in seconds.
    """

    def __init__(self, path: Path, *, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._began_at = now()
        self._file: TextIO | None = None
        try:
            self._file = path.open("w", encoding="ascii", newline="\n")
        except OSError as problem:
            self._give_up(problem)
        self._write("var VNC_frame_data = [\n")

    def client_sent(self, data: Buffer) -> None:
        """Record a piece from the client."""
        self._frame("}", data)

    def target_sent(self, data: Buffer) -> None:
        """Record a piece from the target."""
        self._frame("{", data)

    def end(self) -> None:
        """Close the file."""
        self._write("'EOF'];\n")
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as problem:
                self._give_up(problem)

    def _frame(self, mark: str, data: Buffer) -> None:
        if self._file is not None:
            text = bytes(data).decode("latin-1").encode("unicode_escape").decode("ascii").replace("'", "\\'")
            milliseconds = int((self._now() - self._began_at) * 1000)
            self._write(f"'{mark}{milliseconds}{mark}{text}',\n")

    def _write(self, text: str) -> None:
        if self._file is not None:
            try:
                self._file.write(text)
            except OSError as problem:
                self._give_up(problem)

    def _give_up(self, problem: OSError) -> None:
        path = printable(str(self._path), 200)
        _log.error("--record {path}: not recorded ({problem})", path=path, problem=problem.strerror)
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                # What could not be written can't be flushed, either; the descriptor is closed.
                return


def _before(call: Callable[[Buffer], None], first: Callable[[Buffer], object]) -> Callable[[Buffer], None]:
    def both(data: Buffer) -> None:
        # First: a piece may be overwritten once it has been passed on.
        first(data)
        call(data)

    return both


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
