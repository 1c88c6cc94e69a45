"""The operator has more or less logged about clients, for a time."""

import json
from typing import Any

import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from portofcall.access.gatekeeper import AccessRules
from portofcall.testing import PUBLIC, WebSocketClient, upgrade_request
from tests.admin.support import AdminWorld


def put(world: AdminWorld, **fields: Any) -> Any:
    """Set a level; return the response."""
    return world.ask("PUT", "/loglevel", json.dumps(fields).encode())


def lines(world: AdminWorld, client: str = "192.0.2.7") -> list[tuple[str, str]]:
    """Open a tunnel and let it end; return the level and the text of what is logged."""
    with capturedLogs() as logs:
        tunnel = WebSocketClient(world, upgrade_request(X_Forwarded_For=client))
        tunnel.transport.lose()
        tunnel.backend.lose()
    return [(log["log_level"].name, formatEvent(log)) for log in logs if "log_level" in log]


def behind_a_proxy() -> AdminWorld:
    """Make a gateway whose clients have addresses of their own."""
    return AdminWorld(rules=AccessRules.parse(trusted=["192.0.2.1"]))


def test_steps_of_one_client_are_logged_for_a_time() -> None:
    """With the tunnel's id; the tunnels of others are logged as before."""
    world = behind_a_proxy()
    usual = lines(world)
    assert {level for level, _ in usual} == {"info"}
    assert put(world, level="debug", client="192.0.2.7", seconds=60).status == 200
    traced = [text for level, text in lines(world) if level == "debug"]
    assert any(text.endswith("the dial succeeds: client open, backend open") for text in traced)
    assert len({text.split(":")[0] for text in traced}) == 1
    assert len(lines(world, "192.0.2.8")) == len(usual)
    world.reactor.advance(61)
    assert len(lines(world)) == len(usual)


def test_records_can_be_left_out() -> None:
    """For all clients, or for one that floods the log; warnings are logged all the same."""
    world = behind_a_proxy()
    put(world, level="warn", client="192.0.2.7")
    assert lines(world) == []
    assert lines(world, "192.0.2.8") != []
    put(world, level="warn")
    assert lines(world, "192.0.2.8") == []


def test_levels_in_force_are_shown() -> None:
    """For how much longer, too; null stands for all clients."""
    world = AdminWorld()
    assert world.ask("GET", "/loglevel").json == {"success": True, "levels": []}
    put(world, level="debug", client="::ffff:192.0.2.7")
    shown = put(world, level="warn", seconds=30).json["levels"]
    assert shown == [
        {"client": "192.0.2.7", "level": "debug", "seconds": 600},
        {"client": None, "level": "warn", "seconds": 30},
    ]
    world.reactor.advance(40)
    assert world.ask("GET", "/loglevel").json["levels"] == [
        {"client": "192.0.2.7", "level": "debug", "seconds": 560}
    ]


def test_clients_of_unix_sockets_have_one_level() -> None:
    """They are local to the log."""
    shown = put(AdminWorld(), level="debug", client="local").json["levels"]
    assert [setting["client"] for setting in shown] == ["local"]


def test_level_is_that_of_the_admin_listener_too(logged: list[str]) -> None:
    """What is not to be logged of a client is not logged of its requests there either."""
    world = AdminWorld()
    world.ask("GET", "/nothing")
    put(world, level="warn", client="192.0.2.1")
    before = len(logged)
    world.ask("GET", "/nothing")
    put(world, level="info", client="192.0.2.1")
    assert before == len(logged) - 2, "the change and its own record"
    assert logged[0].startswith("192.0.2.1:40000 refused: not-found: ")


def test_change_is_logged() -> None:
    """Who reads the log later sees why it has gaps."""
    with capturedLogs() as logs:
        put(AdminWorld(), level="warn", seconds=90)
    (text,) = [formatEvent(log) for log in logs if log.get("log_level") is LogLevel.info and "name" in log]
    assert text == "log level warn for all clients, for 90 s"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "level"),
        ({"level": "loud"}, "level"),
        ({"level": ["debug"]}, "level"),
        ({"level": "DEBUG"}, "level"),
        ({"level": "debug", "client": "banana"}, "client"),
        ({"level": "debug", "client": 7}, "client"),
        ({"level": "debug", "client": "10.0.0.0/8"}, "client"),
        ({"level": "debug", "client": ""}, "client"),
        ({"level": "debug", "seconds": 0}, "seconds"),
        ({"level": "debug", "seconds": 1e9}, "seconds"),
        ({"level": "debug", "seconds": "60"}, "seconds"),
        ({"level": "debug", "seconds": True}, "seconds"),
        ({"level": "debug", "clients": "192.0.2.7"}, "body"),
    ],
)
def test_invalid_request_names_the_field(fields: dict[str, Any], named: str) -> None:
    """And changes nothing."""
    world = AdminWorld()
    response = put(world, **fields)
    assert (response.status, response.json["error"].split()[0]) in [(400, named), (400, "the")]
    assert named in response.json["error"]
    assert world.ask("GET", "/loglevel").json["levels"] == []


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b'{"level": NaN}', b"{" * 4000, b"x" * 5000])
def test_malformed_body_is_refused(body: bytes) -> None:
    """As everywhere."""
    assert AdminWorld().ask("PUT", "/loglevel", body).status in (400, 413)


def test_there_are_levels_for_so_many_clients() -> None:
    """The operator's own scripts can't fill the memory."""
    world = AdminWorld()
    for number in range(100):
        assert put(world, level="debug", client=f"192.0.2.{number}").status == 200
    response = put(world, level="debug", client=PUBLIC)
    assert (response.status, response.json["error"]) == (
        400,
        "client: there are levels for 100 clients already",
    )
