"""A ``portofcall-websockify`` in memory."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from portofcall.testing import World
from portofcall.websockify.arguments import parse
from portofcall.websockify.output import Output
from portofcall.websockify.service import Root
from portofcall.websockify.settings import make_settings


class Lines(Output):
    """Keeps the lines.

    Attributes:
        lines: what was said.
    """

    def __init__(self) -> None:
        super().__init__(verbose=False)
        self.lines: list[str] = []

    def say(self, line: str, level: int = logging.INFO) -> None:
        self.lines.append(line)


class WebsockifyWorld(World):
    """A world whose gateway is made of a command line. It does not listen; `connect` connects.

    Args:
        line: the command line.
        names: what names resolve to.

    Attributes:
        root: the service.
        output: the lines.
    """

    def __init__(
        self, line: str = "6080 192.0.2.7:5901", names: dict[str, list[str] | None] | None = None
    ) -> None:
        super().__init__(names=names)
        self.output = Lines()
        self.socket = socket.socket()
        self.root = Root(
            self.reactor,
            make_settings(parse(line.split())),
            self.socket,
            self.output,
            resolver=self.resolver,
            local_networks=lambda: self.local_networks,
            monotonic=self.reactor.seconds,
        )
        self.gateway = self.root.gateway
        self.site = self.root.site


@contextmanager
def websockify_world(
    line: str = "6080 192.0.2.7:5901", names: dict[str, list[str] | None] | None = None
) -> Iterator[WebsockifyWorld]:
    """Make such a world, and close its socket."""
    world = WebsockifyWorld(line, names)
    with world.socket:
        yield world


def upgrade(path: str = "/websockify", **changes: Any) -> bytes:
    """Make an upgrade request for a path; see `portofcall.testing.upgrade_request`."""
    from portofcall.testing import upgrade_request

    return upgrade_request(**changes).replace(b"/api/connect?host=93.184.215.14&port=22", path.encode())
