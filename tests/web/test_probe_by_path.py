"""``GET /ping/HOST:PORT`` and ``GET /ssh/HOST[:PORT]``: text, JSON, or the page for a browser."""

import pytest
from twisted.internet import error

from portofcall.access.authenticator import Credentials
from portofcall.access.ticket_key import TicketKey
from portofcall.errors import InvalidTarget
from portofcall.limits.values import Limits
from portofcall.target import Target, TargetName
from portofcall.testing import PUBLIC, FakeTransport, Response, World
from portofcall.web.probe_by_path import align, parse_place

BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"


def get(world: World, path: str, *headers: str, method: str = "GET") -> FakeTransport:
    """Send a request without a body."""
    transport = world.connect()
    transport.send("\r\n".join([f"{method} {path} HTTP/1.1", "Host: gateway", *headers, "", ""]).encode())
    return transport


def test_ping_is_a_few_aligned_lines() -> None:
    """The target and the round trip."""
    world = World()
    transport = get(world, f"/ping/{PUBLIC}:443")
    world.accept()
    answer = Response(transport.take())
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    lines = answer.body.decode().splitlines()
    assert lines[0] == f"target  {PUBLIC}:443"
    assert lines[1].startswith("rtt     ")
    assert lines[1].endswith(" ms")
    assert len(lines) == 2


@pytest.mark.parametrize("path", [f"/ssh/{PUBLIC}", f"/ssh/{PUBLIC}:22", f"/ssh/[::ffff:{PUBLIC}]"])
def test_banner_is_a_few_aligned_lines(path: str) -> None:
    """The default port is 22."""
    world = World()
    transport = get(world, path)
    assert world.dialed == [(PUBLIC, 22)] or "ffff" in path
    world.accept().send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
    lines = Response(transport.take()).body.decode().splitlines()
    assert [line.split()[0] for line in lines] == [
        "target", "banner", "software", "protocol", "comments", "rtt",
    ]  # fmt: skip
    assert lines[1] == "banner    SSH-2.0-OpenSSH_9.2p1 Debian-2"


@pytest.mark.parametrize(("query", "header"), [("?format=json", "X: y"), ("", "Accept: application/json")])
def test_json_is_what_the_api_returns(query: str, header: str) -> None:
    """With ``Accept: application/json`` or ``?format=json``."""
    world = World()
    transport = get(world, f"/ping/{PUBLIC}:443{query}", header)
    world.accept()
    answer = Response(transport.take()).json
    assert answer.pop("rtt") >= 0
    assert answer.pop("message").startswith("TCP Ping Success")
    assert answer == {"success": True, "host": PUBLIC, "port": 443}


def test_errors_have_the_status_of_the_api() -> None:
    """In text, and in JSON."""
    world = World()
    answer = Response(get(world, "/ping/10.0.0.1:22").take())
    assert answer.status == 403
    assert answer.body.decode().splitlines()[-1] == "code   blocked"
    assert answer.body.startswith(b"error  10.0.0.1 is private")
    answer = Response(get(world, "/ping/10.0.0.1:22?format=json").take())
    assert (answer.status, answer.json["code"]) == (403, "blocked")
    assert answer.json["success"] is False
    transport = get(world, f"/ping/{PUBLIC}:1")
    world.refuse(error.ConnectionRefusedError())
    assert Response(transport.take()).status == 502


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/ping/a.example.com", "unknown-target"),
        ("/ping/::1", "invalid-target"),
        ("/ping/a.example.com:0", "invalid-target"),
        ("/ping/a%20b:22", "invalid-target"),
        ("/ssh/a..b", "invalid-target"),
        (f"/ping/{PUBLIC}:1?format=xml", "invalid-field"),
        (f"/ping/{PUBLIC}:1?timeout=x", "invalid-field"),
        (f"/ping/{PUBLIC}:1?timeout=1&timeout=2", "invalid-field"),
        ("/ping/%ff:22", "not-found"),
    ],
)
def test_bad_input_names_what_was_expected(path: str, slug: str) -> None:
    """Nothing is dialled."""
    world = World()
    answer = Response(get(world, path).take())
    assert 400 <= answer.status < 500
    assert answer.body.decode().endswith(f"code   {slug}\n")
    assert world.dialed == []


@pytest.mark.parametrize("path", ["/ping", "/ping/", "/ssh/", "/ping/a/b", "/ssh/a:1/"])
def test_other_depths_are_not_found(path: str) -> None:
    """A target is one segment of the path; the response says so, as text or as JSON."""
    answer = Response(get(World(), path).take())
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain; charset=utf-8")
    assert answer.body.startswith(b"error  expected one target in the path")
    assert answer.body.endswith(b"\ncode   not-found\n")
    answer = Response(get(World(), path, "Accept: application/json").take())
    assert (answer.status, answer.json["code"]) == (404, "not-found")


@pytest.mark.parametrize("path", [f"/ping/{PUBLIC}:443", f"/ssh/{PUBLIC}"])
def test_other_methods_are_not_allowed(path: str) -> None:
    """The response is text, or JSON for clients that want that."""
    answer = Response(get(World(), path, "Content-Length: 0", method="POST").take())
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.body == b"error  POST is not allowed here\ncode   method-not-allowed\n"
    json = get(World(), path, "Content-Length: 0", "Accept: application/json", method="POST").take()
    assert (Response(json).status, Response(json).json["code"]) == (405, "method-not-allowed")


def test_head_has_no_body() -> None:
    """Some monitors send HEAD."""
    world = World()
    transport = get(world, f"/ping/{PUBLIC}:443", method="HEAD")
    world.accept()
    assert transport.take().endswith(b"\r\n\r\n")


@pytest.mark.parametrize("header", ["Sec-Fetch-Site: cross-site", "User-Agent: Mozilla/5.0"])
def test_page_of_another_site_causes_no_dial(header: str) -> None:
    """An image with such an address is refused before anything is dialled."""
    world = World()
    answer = Response(get(world, f"/ping/{PUBLIC}:443", "Accept: image/*", header).take())
    assert (answer.status, world.dialed) == (403, [])
    answer = Response(get(world, f"/ping/{PUBLIC}:443?format=json", BROWSER, header).take())
    assert (answer.status, answer.json["code"], world.dialed) == (403, "origin-refused", [])


def test_page_that_rebinds_its_name_causes_no_dial() -> None:
    """It is of the same origin, so that it may change User-Agent; Host is still its own name."""
    for host, status in (("evil.example:8080", 403), ("localhost:8080", None), ("127.0.0.1:8080", None)):
        world = World()
        transport = world.connect(local_host="127.0.0.1")
        transport.send(f"GET /ping/{PUBLIC}:443 HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        if status is None:
            assert world.dialed == [(PUBLIC, 443)]
        else:
            assert (Response(transport.take()).status, world.dialed) == (status, [])


def test_timeout_is_in_milliseconds() -> None:
    """Within the range of the API."""
    world = World()
    transport = get(world, f"/ping/{PUBLIC}:443?timeout=2000")
    world.reactor.advance(2.1)
    assert Response(transport.take()).status == 504


def test_same_admission_as_the_api() -> None:
    """A ticket where tickets are required, and the limits of the client."""
    key = TicketKey.load(b"k" * 32)
    world = World(credentials=Credentials(ticket_key=key), limits=Limits(max_per_client=1))
    answer = Response(get(world, f"/ping/{PUBLIC}:443").take())
    assert (answer.status, world.dialed) == (401, [])
    assert answer.headers["www-authenticate"]


def test_target_without_a_port_is_a_name() -> None:
    """For SSH it is a host."""
    assert parse_place("db", None) == TargetName("db")
    assert parse_place("db", 22) == Target("db", 22)
    assert parse_place("[::1]:80", None) == Target("::1", 80)
    assert parse_place("::1", 22) == Target("::1", 22)
    assert parse_place("[::1]", 22) == Target("::1", 22)
    with pytest.raises(InvalidTarget, match="in brackets"):
        parse_place("::1", None)


def test_columns_are_aligned() -> None:
    """No line ends in white space."""
    assert align({"a": "1", "long": ""}) == "a     1\nlong\n"
