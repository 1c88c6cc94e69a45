"""A VNC desktop with programs on it, and what noVNC shows of it."""

import base64
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.backends import closed_port
from tests.e2e.browser import Browser
from tests.e2e.gateway import need
from tests.e2e.support import accepts, until
from tests.e2e.wsclient import DEADLINE

WIDTH, HEIGHT = 640, 480
#: The canvas that noVNC draws on, as bytes: red, green, blue, alpha.
_CANVAS = f"""(() => {{
    const canvas = document.querySelector("canvas");
    if (canvas?.width !== {WIDTH} || canvas.height !== {HEIGHT}) return "";
    const pixels = canvas.getContext("2d").getImageData(0, 0, {WIDTH}, {HEIGHT}).data;
    let text = "";
    for (let start = 0; start < pixels.length; start += 32768)
        text += String.fromCharCode(...pixels.subarray(start, start + 32768));
    return btoa(text);
}})()"""
#: JPEG, which the server uses where there are many colours, changes them a little.
_TOLERANCE = 24


class Desktop:
    """TigerVNC's X server, and programs of X11.

    Args:
        folder: for its log.

    Attributes:
        port: of VNC, on 127.0.0.1.
        display: the name of the X server.
    """

    def __init__(self, folder: Path) -> None:
        self.port = closed_port()
        self._programs: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "vnc.log").open("wb")
        reading, writing = os.pipe()
        command = [
            need("Xtigervnc"), "-displayfd", str(writing), "-rfbport", str(self.port), "-localhost=1",
            "-SecurityTypes", "None", "-geometry", f"{WIDTH}x{HEIGHT}", "-depth", "24", "-nolisten", "tcp",
        ]  # fmt: skip
        self._server = subprocess.Popen(command, pass_fds=[writing], stdout=self._log, stderr=self._log)
        os.close(writing)
        with os.fdopen(reading) as display:
            self.display = f":{display.readline().strip()}"
        until(lambda: accepts(self.port))

    def run(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program on the desktop."""
        program = subprocess.Popen(
            [need(command[0]), "-display", self.display, *command[1:]], stdout=self._log, stderr=self._log
        )
        self._programs.append(program)
        return program

    def picture(self) -> bytes:
        """What the X server itself has on its screen: 4 bytes a pixel, blue, green, red and none."""
        command = [need("xwd"), "-root", "-silent", "-display", self.display]
        return subprocess.run(command, capture_output=True, timeout=DEADLINE, check=True).stdout[
            -WIDTH * HEIGHT * 4 :
        ]

    def share_of(self, colour: str) -> float:
        """How much of the screen has a colour, such as ``#2a9d8f``."""
        pixel = bytes.fromhex(colour[1:])[::-1] + b"\0"
        return self.picture().count(pixel) / (WIDTH * HEIGHT)

    def show(self, program: Sequence[str], colour: str, share: float) -> None:
        """Start a program and wait until its colour has at least a share of the screen."""
        self.run(*program)
        until(lambda: self.share_of(colour) >= share)

    def stop(self) -> None:
        """End the programs and the server."""
        for program in (*self._programs, self._server):
            program.terminate()
            program.wait(DEADLINE)
        self._log.close()


@contextmanager
def desktop(folder: Path) -> Iterator[Desktop]:
    """Run a desktop with a background, a clock and a pair of eyes."""
    made = Desktop(folder)
    try:
        backdrop = ("xlogo", "-geometry", f"{WIDTH}x{HEIGHT}+0+0", "-bg", "#14213d", "-fg", "#274c77")
        clock = ("xclock", "-geometry", "180x180+30+30", "-bg", "#2a9d8f", "-fg", "white")
        eyes = ("xeyes", "+render", "-geometry", "180x120+430+40", "-center", "#e9c46a")
        made.show(backdrop, "#14213d", 0.5)
        made.show(clock, "#2a9d8f", 0.05)
        made.show(eyes, "#e9c46a", 0.01)
        yield made
    finally:
        made.stop()


def difference(window: Browser, shown: Desktop) -> float:
    """How much of the desktop noVNC does not show as it is, from 0 to 1."""
    canvas = base64.b64decode(window.value(_CANVAS))
    screen = shown.picture()
    if not canvas:
        return 1
    wrong: set[int] = set()
    for at, other in ((0, 2), (1, 1), (2, 0)):
        there, here = canvas[at::4], screen[other::4]
        if there != here:
            pairs = enumerate(zip(there, here, strict=True))
            wrong |= {pixel for pixel, (one, two) in pairs if abs(one - two) > _TOLERANCE}
    return len(wrong) / (WIDTH * HEIGHT)


def wait_for_desktop(window: Browser, shown: Desktop) -> None:
    """Wait until noVNC shows the desktop, but for what changes at the moment."""
    until(lambda: difference(window, shown) < 0.01)
