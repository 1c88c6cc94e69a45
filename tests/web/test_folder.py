"""A folder of the operator's is served beside the tunnel: its regular files, and nothing else."""

import errno
import os
from pathlib import Path

import pytest

from portofcall.limits.values import Limits, Rate
from portofcall.testing import Response, World, request, upgrade_request
from portofcall.web.folder import WebFolder, with_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with what may be served, and with what may not."""
    (tmp_path / "secret").write_text("secret")
    top = tmp_path / "web"
    (top / "app" / ".git").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "index.html").write_text("<h1>front</h1>")
    (top / "app" / "ui.mjs").write_text("export {}")
    (top / "app" / "a b&c.tar.gz").write_bytes(b"\x1f\x8b")
    (top / "app" / ".htpasswd").write_text("secret")
    (top / "app" / ".git" / "config").write_text("secret")
    (top / "api").write_text("shadow")
    (top / "healthz").write_text("shadow")
    (top / "static").mkdir()
    (top / "static" / "own.css").write_text("p {}")
    (top / "out").symlink_to(tmp_path / "secret")
    (top / "up").symlink_to(tmp_path)
    (top / "hidden").symlink_to(top / "app" / ".htpasswd")
    (top / "loop").symlink_to(top / "loop")
    (top / "inside").symlink_to(top / "app" / "ui.mjs")
    (top / "within").symlink_to("app")
    (top / "old").mkdir()
    (top / "old" / "index.htm").write_text("<h1>old</h1>")
    (top / os.fsdecode(b"caf\xe9")).write_text("latin")
    (top / "back\\slash").write_text("kept")
    (top / "API").write_text("no shadow")
    os.mkfifo(top / "pipe")
    return top


def world(folder: Path, *, lists: bool = False, limits: Limits | None = None) -> World:
    """A gateway that serves the folder."""
    made = World(limits=limits)
    gateway = made.gateway
    root = WebFolder(
        folder, lists=lists, records=gateway.records, admission=gateway.admission, clock=made.reactor
    )
    made.site = gateway.site(root=with_folder(gateway.resource(), root))
    return made


@pytest.mark.parametrize(
    "path",
    [
        "/app/.htpasswd", "/app/.git/config", "/app/.git/", "/hidden", "/app/./ui.mjs", "/%2ehtpasswd",
        "/.", "/..", "/../secret", "/app/../../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret",
        "/..%5csecret", "/app%2fui.mjs", "/app%5cui.mjs", "//index.html", "//secret", "/app//",
        "/app//ui.mjs", "/out", "/up/secret", "/up/", "/up", "/loop", "/loop/x", "/pipe", "/pipe/",
        "/missing", "/index.html/more", "/index.html/", "/index.html%00", "/%00", "/%ff%fe", "/" + "a" * 1000,
        "/" + "a/" * 90, "/APP/ui.mjs", "/Healthz/", "/api/missing", "/%61pi/app", "/api",
        "/healthz/x", "/portofcall/index.html", "/portofcall/app/ui.mjs", "/portofcall/portofcall/healthz",
    ],
)  # fmt: skip
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    """Neither hidden files, nor what is outside, by any link; a named pipe holds nobody up."""
    response = request(world(folder, lists=True), "GET", path)
    assert response.status == 404
    assert b"secret" not in response.body


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", b"<h1>front</h1>"),
        ("/index.html?x=1", b"<h1>front</h1>"),
        ("/app/ui.mjs", b"export {}"),
        ("/%61pp/ui%2emjs", b"export {}"),
        ("/inside", b"export {}"),
        ("/within/ui.mjs", b"export {}"),
        ("/static/own.css", b"p {}"),
        ("/old/", b"<h1>old</h1>"),
        ("/caf%e9", b"latin"),
        ("/back%5cslash", b"kept"),
        ("/API", b"no shadow"),
    ],
)
def test_files_are_served_by_their_names(folder: Path, path: str, body: bytes) -> None:
    """Also through links that stay inside, and with names that are not UTF-8."""
    response = request(world(folder), "GET", path)
    assert (response.status, response.body) == (200, body)
    assert response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/", "/app/"])
def test_only_get_is_allowed(folder: Path, path: str) -> None:
    """There is nothing to upload to."""
    made = world(folder, lists=True)
    assert request(made, "POST", path, b"data").status == 405
    head = request(made, "HEAD", path)
    assert (head.status, head.body) == (200, b"")


def test_folder_is_not_listed_unless_that_is_asked_for(folder: Path) -> None:
    """Neither is one that is empty."""
    assert request(world(folder), "GET", "/app/").status == 404
    listing = request(world(folder, lists=True), "GET", "/app/")
    assert listing.status == 200
    assert b'<li><a href="./a%20b%26c.tar.gz">a b&amp;c.tar.gz</a>' in listing.body
    assert b"htpasswd" not in listing.body
    assert b".git" not in listing.body.replace(b"tar.gz", b"")
    assert request(world(folder, lists=True), "GET", "/empty/").status == 200


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/app?x=1", "./app/?x=1"),
        ("/within", "./within/"),
        ("/evil.example%3ax", "./evil.example:x/"),
        ("/%5cevil.example", "./%5Cevil.example/"),
        ("/caf%c3%a9?q=%c3%a9", "./caf%C3%A9/?q=%c3%a9"),
        ("/nbsp\xa0?\xa0", "./nbsp%A0/?%A0"),
    ],
)
def test_folder_without_its_slash_is_redirected(folder: Path, path: str, location: str) -> None:
    """Relative links would lead elsewhere; no name leads to another host."""
    for name in (b"evil.example:x", b"\\evil.example", "café".encode(), b"nbsp\xa0"):
        (folder / os.fsdecode(name)).mkdir()
    connection = world(folder).connect()
    connection.send(f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode("latin-1"))
    response = Response(connection.take())
    assert (response.status, response.headers["location"]) == (308, location)


def test_folder_with_the_name_of_an_index_page_is_none(folder: Path) -> None:
    """The other name counts."""
    (folder / "old" / "index.html").mkdir()
    response = request(world(folder), "GET", "/old/")
    assert (response.status, response.body) == (200, b"<h1>old</h1>")


def test_folder_may_be_anywhere_in_a_tree(folder: Path) -> None:
    """Below a name, with a slash or without."""
    made = World()
    gateway = made.gateway
    files = WebFolder(folder, records=gateway.records, admission=gateway.admission, clock=made.reactor)
    root = gateway.resource()
    root.putChild(b"files", files)
    made.site = gateway.site(root=root)
    assert request(made, "GET", "/files").headers["location"] == "./files/"
    assert request(made, "GET", "/files/").body == b"<h1>front</h1>"
    assert request(made, "GET", "/files/app/ui.mjs").body == b"export {}"


def test_file_that_may_not_be_read_is_403(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the form of other refusals. A superuser may read everything, so the kernel is asked to refuse."""
    made = world(folder)

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("portofcall.web.safe_open.os.open", refuse)
    response = request(made, "GET", "/index.html")
    assert (response.status, response.body) == (403, b"The gateway is not allowed to read this.\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/index.html", "/app/"])
def test_without_descriptors_nothing_is_broken(
    folder: Path, path: str, monkeypatch: pytest.MonkeyPatch, logged: list[str]
) -> None:
    """The client is asked to come back, and the log has a line, not a traceback."""
    made = world(folder, lists=True)

    def refuse(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("portofcall.web.safe_open.os.open", refuse)
    response = request(made, "GET", path)
    assert (response.status, response.headers["retry-after"]) == (503, "1")
    (line,) = logged
    assert " refused: busy: no file descriptors are left " in line


def test_disk_that_fails_is_500(folder: Path, monkeypatch: pytest.MonkeyPatch, logged: list[str]) -> None:
    """With the reason in the log."""
    made = world(folder)

    def fail(*_: object, **__: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("portofcall.web.safe_open.os.open", fail)
    assert request(made, "GET", "/index.html").json["code"] == "internal-error"
    assert "/index.html" in logged


@pytest.mark.parametrize(
    ("path", "beginning"),
    [
        ("/healthz", b"ok"),
        ("/readyz", b"ok"),
        ("/api/targets", b'{"success": true'),
        ("/portofcall/", b"Port of Call "),
        ("/portofcall/api/targets", b'{"success": true'),
    ],
)
def test_gateways_own_paths_are_never_shadowed(folder: Path, path: str, beginning: bytes) -> None:
    """Its page, and all the rest of it, is below /portofcall/."""
    response = request(world(folder), "GET", path)
    assert response.status == 200
    assert response.body.startswith(beginning)


@pytest.mark.parametrize("path", ["/healthz", "/portofcall/healthz", "/portofcall/readyz?x"])
def test_health_checks_are_neither_counted_nor_logged(folder: Path, path: str, logged: list[str]) -> None:
    """At either place; anything else is."""
    made = world(folder, limits=Limits(request_rate=Rate(1, 1)))
    assert [request(made, "GET", path).status for _ in range(5)] == [200] * 5
    assert logged == []
    assert request(made, "GET", "/app/healthz").status == 404
    assert request(made, "GET", "/app/healthz").status == 429


def test_upgrades_are_tunnels_beside_a_folder(folder: Path) -> None:
    """At ``/``, ``/websockify`` and ``/v1``, whatever files there are; a GET of ``/`` is the folder's."""
    (folder / "websockify").write_text("shadow")
    (folder / "v1").mkdir()
    served = world(folder)
    served.gateway.targets = served.gateway.targets.with_default("10.0.0.5:5901")
    assert request(served, "HEAD", "/").headers["content-length"] == "14"
    for path in ("/", "/websockify", "/v1"):
        client = served.connect()
        client.send(upgrade_request("", path=path))
        served.accept()
        assert client.take().startswith(b"HTTP/1.1 101 ")
    assert served.dialed == [("10.0.0.5", 5901)] * 3
    assert request(served, "GET", "/websockify").status == 426
