"""HTTP requests to a gateway in memory, and its responses taken apart."""

import json
from typing import Any

from portofcall.testing.world import World


class Response:
    """An HTTP answer, taken apart."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        self.status = int(status_line.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def request(world: World, method: str, path: str, body: bytes | None = None, **headers: str) -> Response:
    """Send one request and take its answer apart."""
    lines = [f"{method} {path} HTTP/1.1", "Host: gateway"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return Response(world.request("\r\n".join([*lines, "", ""]).encode() + (body or b"")))
