"""The JSON API responds as documented, and its errors name the field."""

from typing import Any

import pytest
from twisted.internet import error

from portofcall.limits.values import Limits, MiB
from portofcall.testing import PUBLIC, Response, World, request
from tests.support import Post


def test_ping_returns_the_round_trip_time() -> None:
    """Host, port, and the time with at most two decimals, in the form that programs know."""
    world = World()
    post = Post(world, "/api/ping", {"host": PUBLIC, "port": 443})
    world.accept()
    answer = post.response
    assert answer.status == 200
    rtt = answer.json["rtt"]
    assert rtt == round(rtt, 2)
    assert answer.json == {
        "success": True,
        "host": PUBLIC,
        "port": 443,
        "rtt": rtt,
        "message": f"TCP Ping Success: {rtt}ms",
    }


def test_banner_is_returned_in_parts() -> None:
    """The default port is 22."""
    world = World()
    post = Post(world, "/api/ssh/connect", {"host": PUBLIC})
    assert world.dialed == [(PUBLIC, 22)]
    backend: Any = world.accept()
    backend.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    answer = post.response.json
    assert answer.pop("rtt") >= 0
    assert answer == {
        "success": True,
        "message": "SSH server reachable",
        "host": PUBLIC,
        "port": 22,
        "banner": "SSH-2.0-OpenSSH_9.2p1 Debian-2",
        "software": "OpenSSH_9.2p1",
        "protocol": "2.0",
        "comments": "Debian-2",
    }


@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[1]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe{}", "body"),
        ('{"host": "10.0.0.1", "port": 1}'.encode("utf-16"), "body"),
        (b'{"host": "\xed\xa0\x80.example.com", "port": 1}', "body"),
        (b"[" * 3000, "body"),
        (b'{"port": 1}', "host"),
        (b'{"host": 5, "port": 1}', "host"),
        (b'{"host": null, "port": 1}', "host"),
        (b'{"host": "a.example.com", "port": "22"}', "port"),
        (b'{"host": "a.example.com", "port": true}', "port"),
        (b'{"host": "a.example.com", "port": 22.0}', "port"),
        (b'{"host": "a.example.com", "port": 0}', "port"),
        (b'{"host": "a.example.com", "port": 65536}', "port"),
        (b'{"host": "a.example.com", "port": null}', "port"),
        (b'{"host": "a.example.com", "port": 1, "timeout": "5"}', "timeout"),
        (b'{"host": "a.example.com", "port": 1, "timeout": true}', "timeout"),
        (b'{"host": "a.example.com", "port": 1, "timeout": NaN}', "body"),
        (b'{"host": "127.1", "port": 1}', "host"),
        (b'{"host": "a b", "port": 1}', "host"),
        (b'{"host": "", "port": 1}', "host"),
    ],
)
def test_bad_body_is_400_and_names_the_field(path: str, body: bytes, field: str) -> None:
    """No guessing: strings are not ports, booleans are not numbers."""
    world = World()
    answer = request(world, "POST", path, body)
    assert answer.status == 400
    assert answer.json["success"] is False
    assert field in answer.json["error"]
    assert answer.json["code"] in {"invalid-field", "invalid-target"}
    assert world.dialed == []


def test_ping_needs_a_port() -> None:
    """Only the SSH probe has a default."""
    assert "port" in request(World(), "POST", "/api/ping", b'{"host": "a.example.com"}').json["error"]


@pytest.mark.parametrize(("timeout", "seconds"), [(1, 1), (1000, 1), (2500, 2.5), (99999, 30), (None, 10)])
def test_timeout_is_in_milliseconds_and_clamped(timeout: int | None, seconds: float) -> None:
    """From 1000 to 30000, with a default of 10000."""
    world = World()
    payload = {"host": PUBLIC, "port": 443} | ({} if timeout is None else {"timeout": timeout})
    post = Post(world, "/api/ping", payload)
    world.reactor.advance(seconds - 0.1)
    assert post.transport.take() == b""
    world.reactor.advance(0.2)
    answer = post.response
    assert (answer.status, answer.json["code"]) == (504, "connect-timeout")


@pytest.mark.parametrize(
    ("problem", "status", "code"),
    [
        (error.ConnectionRefusedError(), 502, "refused"),
        (error.NoRouteError(), 502, "unreachable"),
        (error.TimeoutError(), 504, "connect-timeout"),
    ],
)
def test_failed_dial_has_its_status(problem: Exception, status: int, code: str) -> None:
    """One sentence for people, one slug for programs."""
    world = World()
    post = Post(world, "/api/ping", {"host": PUBLIC, "port": 443})
    world.refuse(problem)
    answer = post.response
    assert answer.status == status
    assert answer.json["code"] == code
    assert PUBLIC in answer.json["error"]


def test_blocked_target_is_403() -> None:
    """The error names the address."""
    answer = request(World(), "POST", "/api/ping", b'{"host": "10.1.2.3", "port": 22}')
    assert (answer.status, answer.json["code"]) == (403, "blocked")
    assert "10.1.2.3" in answer.json["error"]


def test_unknown_name_is_502_and_slow_dns_504() -> None:
    """Names fail in two ways."""
    world = World(names={"slow.example.com": None})
    answer = request(world, "POST", "/api/ping", b'{"host": "no.example.com", "port": 22}')
    assert (answer.status, answer.json["code"]) == (502, "name-not-found")
    post = Post(world, "/api/ping", {"host": "slow.example.com", "port": 22})
    world.reactor.advance(5.1)
    answer = post.response
    assert (answer.status, answer.json["code"]) == (504, "dns-timeout")


def test_silent_ssh_server_is_504_and_others_are_502() -> None:
    """Each of these failures has a slug of its own."""
    world = World()
    codes = []
    for happen in (
        lambda backend: world.reactor.advance(10.1),
        lambda backend: backend.send(b"HTTP/1.1 400 Bad Request" + b" " * 255),
        lambda backend: backend.lose(),
    ):
        post = Post(world, "/api/ssh/connect", {"host": PUBLIC})
        happen(world.accept())
        answer = post.response
        codes.append((answer.status, answer.json["code"]))
    assert codes == [(504, "banner-timeout"), (502, "not-ssh"), (502, "closed-early")]


def test_client_that_disconnects_cancels_the_probe() -> None:
    """The connection attempt is given up."""
    world = World()
    post = Post(world, "/api/ping", {"host": PUBLIC, "port": 443})
    post.transport.lose()
    assert world.given_up == [(PUBLIC, 443)]


def test_unexpected_error_is_500_and_logged(logged: list[str]) -> None:
    """The details are in the log only."""
    world = World()
    world.resolver.names["a.example.com"] = ["not an address"]
    answer = request(world, "POST", "/api/ping", b'{"host": "a.example.com", "port": 22}')
    assert (answer.status, answer.json["code"]) == (500, "internal-error")
    assert "address" not in answer.json["error"]
    assert any("/api/ping" in line for line in logged)


@pytest.mark.parametrize(
    ("accept", "kind", "body"),
    [
        ("*/*", "text/plain; charset=utf-8", b"error  see the gateway's log\ncode   internal-error\n"),
        ("application/json", "application/json", None),
    ],
)
def test_unexpected_error_of_a_probe_by_path_has_the_form_that_was_asked_for(
    accept: str, kind: str, body: bytes | None
) -> None:
    """Like every other error."""
    world = World()
    world.resolver.names["a.example.com"] = ["not an address"]
    answer = request(world, "GET", "/ping/a.example.com:22", Accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (500, kind)
    if body is None:
        assert answer.json["code"] == "internal-error"
    else:
        assert answer.body == body


def test_response_that_fails_is_logged_and_aborts_the_connection(
    logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client does not wait for ever."""

    def broken(*_: object, **__: object) -> bytes:
        raise ZeroDivisionError

    monkeypatch.setattr("portofcall.web.api_resource.error_response", broken)
    transport = World().connect()
    transport.send(b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}")
    assert transport.log == ["reset"]
    assert any("could not respond" in line for line in logged)


@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
def test_wrong_method_is_405_with_allow(path: str) -> None:
    """Probes are POST only."""
    answer = request(World(), "GET", path)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json["code"] == "method-not-allowed"


def test_large_body_is_refused_before_it_is_read() -> None:
    """The response comes right after the headers, and the connection is closed."""
    transport = World().connect()
    transport.send(b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nContent-Length: 4097\r\n\r\n")
    answer = Response(transport.take())
    assert answer.status == 413
    assert answer.json["code"] == "body-too-large"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["connection"] == "close"


def test_large_chunked_body_is_refused_when_it_gets_too_large() -> None:
    """A body without a length is counted."""
    transport = World().connect()
    transport.send(b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nTransfer-Encoding: chunked\r\n\r\n")
    transport.send(b"1000\r\n" + b" " * 4096 + b"\r\n")
    assert transport.take() == b""
    transport.send(b"1\r\n \r\n0\r\n\r\n")
    assert Response(transport.take()).status == 413


def test_client_that_was_refused_may_finish_sending() -> None:
    """Its bytes are dropped so that it gets the response, for a limited time and amount."""
    world = World()
    for end in (lambda _: world.reactor.advance(2.1), lambda transport: transport.send(bytes(8 * MiB))):
        transport = world.connect()
        transport.send(b"POST /api/ping HTTP/1.1\r\nHost: gateway\r\nContent-Length: 99999999\r\n\r\n{")
        transport.send(b"GET / HTTP/1.1\r\n\r\n" + bytes(1 * MiB))
        assert Response(transport.take()).status == 413
        assert transport.log == []
        end(transport)
        assert transport.log == ["close"]
        transport.lose()
        world.reactor.advance(0)
        assert world.reactor.getDelayedCalls() == []


def test_largest_allowed_body_is_read() -> None:
    """4096 bytes are not too many."""
    body = b'{"host": "10.0.0.1", "port": 1}'.ljust(4096)
    assert request(World(), "POST", "/api/ping", body).status == 403


def test_large_body_in_an_embedding_site_is_refused_too() -> None:
    """Another Site has read the body by then, but it is not parsed."""
    from twisted.web.server import Site

    world = World(limits=Limits(max_body_bytes=64))
    world.site = Site(world.gateway.resource())
    answer = request(world, "POST", "/api/ping", b'{"host": "10.0.0.1", "port": 1}'.ljust(65))
    assert answer.status == 413


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/ssh", "/api/ssh/x", "/api/ping/x"])
def test_unknown_api_paths_are_404_in_json(path: str) -> None:
    """The API's errors are JSON at any depth."""
    answer = request(World(), "GET", path)
    assert answer.status == 404
    assert answer.json == {"success": False, "error": "there is nothing here", "code": "not-found"}


@pytest.mark.parametrize("path", ["/nothing", "/a/b/c", "//", "/index.html"])
def test_unknown_paths_elsewhere_are_404_in_text(path: str) -> None:
    """Errors elsewhere are plain text."""
    answer = request(World(), "GET", path)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.body) < 100


def test_front_page_describes_the_service() -> None:
    """It lists the paths, to GET and HEAD only."""
    answer = request(World(), "GET", "/")
    assert answer.status == 200
    assert b"/api/connect" in answer.body
    assert request(World(), "HEAD", "/").status == 200
    refused = request(World(), "POST", "/", b"")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/x"), ("GET", "/api/x"), ("GET", "/api/ping"), ("GET", "/api/connect")],
)
def test_every_response_has_the_security_headers(method: str, path: str) -> None:
    """Errors as well."""
    headers = request(World(), method, path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers.get("cache-control") == ("no-store" if path.startswith("/api") else None)
