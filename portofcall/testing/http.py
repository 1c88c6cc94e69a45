"""HTTP requests to a gateway in memory, and its responses."""

import json
from typing import Any

from portofcall.testing.world import World


class Response:
    """An HTTP response, parsed.

    Args:
        raw: one response, with its whole body.

    Attributes:
        status: such as 200.
        headers: with names in lower case.
        body: the bytes after the head.
    """

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        self.status = int(status_line.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)


def request(world: World, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
    """Make one request on a connection of its own.

    Args:
        world: with the gateway.
        method: such as ``GET``.
        path: with its query, if any.
        body: sent with its Content-Length; None means none.
        headers: in addition to Host. An underscore in a name stands for a hyphen.

    Returns:
        The response, which must be complete without time passing.
    """
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    connection = world.connect()
    connection.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
    return Response(connection.take())
