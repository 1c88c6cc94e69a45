"""The page and its files: caching, codings, headers, and what is served without them."""

import gzip
import re
from pathlib import Path

import pytest
from twisted.web.resource import Resource
from twisted.web.server import Site

from portofcall.access.authenticator import Credentials
from portofcall.access.gatekeeper import AccessRules
from portofcall.access.ticket_key import TicketKey
from portofcall.testing import PUBLIC, Response, World, request
from portofcall.web.shown_targets import Suggestion
from portofcall.web.static_files import read_files

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
HTML = '<script type="module" src="static/app-ABCDEFGH.js"></script>'
FILES = {
    "index.html": HTML.encode(),
    "app-ABCDEFGH.js": b"let page",
    "app-ABCDEFGH.js.br": b"brotli",
    "app-ABCDEFGH.js.gz": b"gzip",
    "portofcall.js": b"export {}",
    "portofcall.d.ts": b"export {}",
    "licenses.txt": b"MIT",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a page, as setup.py builds one."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make a gateway whose page is built."""
    monkeypatch.setattr("portofcall.gateway.FOLDER", folder)
    return World()


def test_browser_gets_the_page(world: World) -> None:
    """With a policy that lets it load nothing from elsewhere."""
    answer = request(world, "GET", "/", Accept=BROWSER)
    assert (answer.status, answer.body.decode()) == (200, HTML)
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("path", ["/ping/a.example.com:1", "/ssh/a.example.com", "/ping/anything"])
def test_page_at_the_address_of_a_probe_probes_nothing(world: World, path: str) -> None:
    """It is one folder deeper, and its links lead to the same files."""
    answer = request(world, "GET", path, Accept=BROWSER)
    assert answer.body.decode() == HTML.replace('"static', '"../static')
    assert (world.dialed, world.resolver.asked) == ([], [])


@pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
def test_curl_gets_a_text(world: World, accept: str) -> None:
    """It lists what there is."""
    answer = request(world, "GET", "/", Accept=accept)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for path in ("/ping/HOST:PORT", "/ssh/HOST", "/api/connect", "/api/targets"):
        assert path in answer.body.decode()
    assert request(world, "GET", "/?format=xml", Accept=BROWSER).body == answer.body


def test_files_with_a_hash_in_their_names_never_change(world: World) -> None:
    """Others are asked for again, with the tag of what is known."""
    hashed = request(world, "GET", "/static/app-ABCDEFGH.js")
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashed.headers["content-type"] == "text/javascript; charset=utf-8"
    assert hashed.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in hashed.headers
    stable = request(world, "GET", "/static/portofcall.js")
    assert stable.headers["cache-control"] == "no-cache"
    assert stable.headers["access-control-allow-origin"] == "*"
    assert stable.headers["cross-origin-resource-policy"] == "cross-origin"
    for other in ("portofcall.d.ts", "licenses.txt"):
        answer = request(world, "GET", f"/static/{other}")
        assert answer.headers["cache-control"] == "no-cache"
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    tag = stable.headers["etag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}'):
        again = request(world, "GET", "/static/portofcall.js", If_None_Match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert request(world, "GET", "/static/portofcall.js", If_None_Match='"x"').status == 200


@pytest.mark.parametrize(
    ("accepted", "coding", "body"),
    [
        ("gzip, deflate, br", "br", b"brotli"),
        ("gzip", "gzip", b"gzip"),
        ("gzip;q=1.0, br;q=0", "gzip", b"gzip"),
        ("GZIP ; q=0.5", "gzip", b"gzip"),
        ("br;q=0.000,gzip;q=0", None, b"let page"),
        ("identity", None, b"let page"),
        ("", None, b"let page"),
    ],
)
def test_files_are_sent_as_they_were_compressed(
    world: World, accepted: str, coding: str | None, body: bytes
) -> None:
    """In a coding that the client accepts; each has a tag of its own."""
    answer = request(world, "GET", "/static/app-ABCDEFGH.js", Accept_Encoding=accepted)
    assert (answer.headers.get("content-encoding"), answer.body) == (coding, body)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["etag"].endswith(f'-{coding}"') is (coding is not None)


def test_page_is_compressed_too(world: World) -> None:
    """By gzip, because it differs with the depth of its path."""
    answer = request(world, "GET", "/", Accept=BROWSER, Accept_Encoding="gzip, br")
    assert gzip.decompress(answer.body).decode() == HTML


def test_other_paths_and_methods_of_files(world: World) -> None:
    """Nothing outside of the folder, and no listing."""
    for path in ("/static", "/static/", "/static/x.js", "/static/app-ABCDEFGH.js.gz", "/static/%2e%2e/x"):
        assert request(world, "GET", path).status == 404, path
    assert request(world, "GET", "/static/portofcall.js/x").status == 404
    answer = request(world, "POST", "/static/portofcall.js", b"")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert request(world, "HEAD", "/static/portofcall.js").body == b""


def test_page_below_a_path_prefix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mounted at ``/gateway``, that address leads to ``/gateway/``, where relative links work."""
    monkeypatch.setattr("portofcall.gateway.FOLDER", folder)
    world = World()
    root = Resource()
    root.putChild(b"gateway", world.gateway.resource())
    world.site = Site(root)
    for path, where in (("/gateway", "./gateway/"), ("/gateway?a=b", "./gateway/?a=b")):
        answer = request(world, "GET", path, Accept=BROWSER)
        assert (answer.status, answer.headers["location"]) == (308, where)
    assert request(world, "GET", "/gateway/", Accept=BROWSER).body.decode() == HTML
    assert request(world, "GET", "/gateway/static/portofcall.js").status == 200


def test_gateway_without_a_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``gateway.site(page=False)``: browsers get the text, and there are no files."""
    monkeypatch.setattr("portofcall.gateway.FOLDER", folder)
    world = World()
    world.site = world.gateway.site(page=False)
    answer = request(world, "GET", "/", Accept=BROWSER)
    assert answer.headers["content-type"].startswith("text/plain")
    assert "not part of this installation" not in answer.body.decode()
    assert request(world, "GET", "/static/portofcall.js").status == 404
    assert request(world, "GET", "/ping/10.0.0.1:1", Accept=BROWSER, Sec_Fetch_Site="none").status == 403


def test_gateway_whose_page_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Browsers learn what is missing and how to add it; everything else works."""
    monkeypatch.setattr("portofcall.gateway.FOLDER", tmp_path / "missing")
    world = World()
    answer = request(world, "GET", "/", Accept=BROWSER)
    assert re.search(r"not part of this installation.*\n.*pip install", answer.body.decode())
    assert request(world, "GET", "/ping/10.0.0.1:1", Accept=BROWSER, Sec_Fetch_Site="none").status == 403


def test_files_are_read_once(folder: Path) -> None:
    """However many gateways there are."""
    assert read_files(folder) is read_files(folder)
    assert set(read_files(folder)) == {name for name in FILES if not name.endswith((".br", ".gz"))}


def test_shown_targets() -> None:
    """The names of targets without what they lead to, and suggestions."""
    world = World(targets=["db=10.0.0.5:5432", "Web=10.0.0.6:80"])
    world.gateway.suggestions = [Suggestion("echo", "127.0.0.1", 7, "sends back what you send")]
    assert request(world, "GET", "/api/targets").json == {
        "success": True,
        "targets": ["Web", "db"],
        "suggestions": [
            {"name": "echo", "host": "127.0.0.1", "port": 7, "description": "sends back what you send"}
        ],
    }


def test_targets_are_shown_only_with_credentials() -> None:
    """Where credentials are required."""
    key = TicketKey.load(b"k" * 32)
    world = World(targets=["db=10.0.0.5:5432"], credentials=Credentials(ticket_key=key))
    assert request(world, "GET", "/api/targets").status == 401
    ticket = key.issue(now=world.now, ttl_seconds=60)
    assert request(world, "GET", f"/api/targets?ticket={ticket}").json["targets"] == ["db"]


def test_targets_are_not_shown_to_a_rebound_name() -> None:
    """A page whose own name leads to loopback sends no Origin with GET, so that Host decides."""
    world = World(rules=AccessRules.parse(origins=["http://known.example"]))
    for host, status in (("evil.example", 403), ("localhost", 200), ("known.example", 200)):
        connection = world.connect(local_host="127.0.0.1")
        port = connection.getHost().port
        connection.send(f"GET /api/targets HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        assert Response(connection.take()).status == status, host


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403)]
)
def test_targets_are_not_shown_to_other_sites(site: str, status: int) -> None:
    """Browsers send no Origin with GET, but Sec-Fetch-Site; over plain HTTP the page's own have neither."""
    answer = request(World(), "GET", "/api/targets", Sec_Fetch_Site=site, User_Agent="Mozilla/5.0")
    assert answer.status == status
    if status == 403:
        assert answer.json["code"] == "origin-refused"
    assert request(World(), "GET", "/api/targets", User_Agent="Mozilla/5.0").status == 200


def test_page_needs_no_credentials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no secrets, and its user has to see where to enter theirs."""
    monkeypatch.setattr("portofcall.gateway.FOLDER", folder)
    world = World(credentials=Credentials(ticket_key=TicketKey.load(b"k" * 32)))
    assert request(world, "GET", "/", Accept=BROWSER).status == 200
    assert request(world, "GET", f"/ping/{PUBLIC}:1", Accept=BROWSER).status == 200
