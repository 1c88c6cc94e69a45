"""A gateway with named targets, tokens and a default, and what its clients get."""

from dataclasses import replace
from typing import Any

from portofcall.egress.named_target import NamedTarget, Targets
from portofcall.errors import printable
from portofcall.target import Target, Token
from portofcall.testing import WebSocketClient, World, upgrade_request

SECRET = "9f86d081884c7d659a2feaa0c55ad015"
NAMED = "desk=10.9.0.5:5901"


def make_world(*, default: str | None = "desk", **settings: Any) -> World:
    """Make a world with a named target and a token.

    Args:
        default: the default target; None means that there is none.
        settings: see `World`.
    """
    world = World(**{"targets": [NAMED], "allow": ("public",), **settings})
    targets = Targets.of([*world.gateway.targets.all(), NamedTarget(Token(SECRET), Target("10.9.0.6", 5902))])
    world.gateway.targets = replace(targets if default is None else targets.with_default(default))
    return world


def upgrade(path: str, **headers: Any) -> bytes:
    """Make an upgrade request for a path and a query."""
    before, _, query = path.partition("?")
    return upgrade_request(query, path=before, **headers)


def response(world: World, path: str, **headers: Any) -> tuple[int, str]:
    """Ask for a tunnel, and return the status and the slug of the error."""
    client = WebSocketClient(world, upgrade(path, **headers))
    status = client.response.status
    client.transport.lose()
    return status, "" if status == 101 else client.response.json["code"]


def no_secret(lines: list[str]) -> bool:
    """Whether there is no token in log lines, and of the known one no more than the first characters."""
    text = printable("\n".join(lines), 1_000_000)
    return bool(lines) and SECRET[:5] not in text
