"""The HTTP API of a real gateway."""

import json
import re
import socket
from typing import Any

import pytest

from tests.e2e.backends import closed_port, silent_port
from tests.e2e.gateway import GatewayProcess
from tests.e2e.support import ask
from tests.e2e.wsclient import DEADLINE


def test_ping_of_an_open_port(gateway: GatewayProcess) -> None:
    """The time has at most two decimals, and is in the message as well."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        status, _, body = ask(gateway, "POST", "/api/ping", {"host": "127.0.0.1", "port": port})
    assert status == 200
    answer = json.loads(body)
    assert answer["success"] is True
    assert (answer["host"], answer["port"]) == ("127.0.0.1", port)
    assert 0 <= answer["rtt"] < 1000
    assert answer["rtt"] == round(answer["rtt"], 2)
    assert answer["message"] == f"TCP Ping Success: {answer['rtt']}ms"


def test_ping_closes_its_connection(gateway: GatewayProcess) -> None:
    """The target sees EOF at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        ask(gateway, "POST", "/api/ping", {"host": "127.0.0.1", "port": listener.getsockname()[1]})
        connection = listener.accept()[0]
        with connection:
            connection.settimeout(DEADLINE)
            assert connection.recv(1) == b""


@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
def test_unreachable_targets(gateway: GatewayProcess, path: str) -> None:
    """Refused, blocked, invalid: each with its status and slug."""
    for fields, status, code in [
        ({"host": "127.0.0.1", "port": closed_port()}, 502, "refused"),
        ({"host": "127.0.0.2", "port": 80}, 403, "blocked"),
        ({"host": "0x7f.1", "port": 80}, 400, "invalid-target"),
    ]:
        answered, _, body = ask(gateway, "POST", path, fields)
        answer = json.loads(body)
        assert (answered, answer["code"], answer["success"]) == (status, code, False)
        assert answer["error"]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
def test_target_that_does_not_accept_is_504(gateway: GatewayProcess, path: str) -> None:
    """After the timeout of the request."""
    with silent_port() as silent:
        status, _, body = ask(gateway, "POST", path, {"host": "127.0.0.1", "port": silent, "timeout": 1000})
    answer = json.loads(body)
    assert (status, answer["code"], answer["success"]) == (504, "connect-timeout", False)
    assert answer["error"]


@pytest.mark.parametrize(
    ("payload", "field"),
    [(b"{", "body"), ([], "body"), ({"port": 1}, "host"), ({"host": "127.0.0.1", "port": "1"}, "port")],
)
def test_bad_fields_are_named(gateway: GatewayProcess, payload: Any, field: str) -> None:
    """400, and what was expected."""
    status, _, body = ask(gateway, "POST", "/api/ping", payload)
    assert status == 400
    assert json.loads(body)["error"].startswith(("the " + field, field))


def test_large_body_is_413_before_it_is_read(gateway: GatewayProcess) -> None:
    """The response comes although the body does not."""
    with socket.create_connection(("127.0.0.1", gateway.port), DEADLINE) as connection:
        connection.sendall(b"POST /api/ping HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
def test_silent_ssh_server_is_504(gateway: GatewayProcess) -> None:
    """In bounded time, and its connection is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fields = {"host": "127.0.0.1", "port": listener.getsockname()[1], "timeout": 1000}
        status, _, body = ask(gateway, "POST", "/api/ssh/connect", fields)
        assert (status, json.loads(body)["code"]) == (504, "banner-timeout")
        connection = listener.accept()[0]
        with connection:
            connection.settimeout(DEADLINE)
            assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api/ping", 405),
        ("GET", "/api/connect?host=127.0.0.1&port=1", 426),
        ("POST", "/api/ping", 400),
    ],
)
def test_every_response_has_the_security_headers(
    gateway: GatewayProcess, method: str, path: str, status: int
) -> None:
    """And those of the API are not stored."""
    answered, headers, body = ask(gateway, method, path)
    assert answered == status
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == ("no-store" if path.startswith("/api") else None)
    assert headers["Allow"] == ("POST" if status == 405 else None)
    assert headers["Upgrade"] == ("websocket" if status == 426 else None)
    if path.startswith("/api"):
        assert re.fullmatch("[a-z-]+", json.loads(body)["code"])
