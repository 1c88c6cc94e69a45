"""A ``portofcall-websockify`` in memory."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from portofcall.testing import World
from portofcall.websockify.arguments import parse
from portofcall.websockify.output import Output
from portofcall.websockify.plugins import load_plugins
from portofcall.websockify.service import Root
from portofcall.websockify.settings import make_settings
from portofcall.websockify.tls import read_contexts


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
        # As its threads are those of tests, which are the reactor's.
        self.reactor.callFromThread = lambda call, *arguments: call(*arguments)
        self.output = Lines()
        self.socket = socket.socket()
        args = parse(line.split())
        self.root = Root(
            self.reactor,
            make_settings(args),
            self.socket,
            self.output,
            plugins=load_plugins(args),
            contexts=read_contexts(args),
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
