"""A folder of the operator's is served beside the tunnel: its regular files, and nothing else."""

import os
from pathlib import Path

import pytest

from portofcall.limits.values import Limits, Rate
from portofcall.testing import World, request
from portofcall.web.folder import with_folder


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
    os.mkfifo(top / "pipe")
    return top


def world(folder: Path, *, listing: bool = False, limits: Limits | None = None) -> World:
    """A gateway that serves the folder."""
    made = World(limits=limits)
    made.site = made.gateway.site(root=with_folder(made.gateway.resource(), folder, listing=listing))
    return made


@pytest.mark.parametrize(
    "path",
    [
        "/app/.htpasswd", "/app/.git/config", "/hidden",
        "/.", "/..", "/../secret", "/app/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/app%2fui.mjs",
        "/out", "/up/secret", "/up/", "/loop", "/pipe",
        "/missing", "/index.html/more", "/index.html/", "/%00", "/%ff%fe", "/" + "a" * 1000,
    ],
)  # fmt: skip
def test_nothing_else_is_served(folder: Path, path: str) -> None:
    """Neither hidden files, nor what is outside, by any link; a named pipe holds nobody up."""
    response = request(world(folder, listing=True), "GET", path)
    assert response.status == 404
    assert b"secret" not in response.body


@pytest.mark.parametrize("path", ["/", "/app/"])
def test_only_get_is_allowed(folder: Path, path: str) -> None:
    """There is nothing to upload to."""
    made = world(folder, listing=True)
    assert request(made, "POST", path, b"data").status == 405
    head = request(made, "HEAD", path)
    assert (head.status, head.body) == (200, b"")


def test_folder_is_not_listed_unless_that_is_asked_for(folder: Path) -> None:
    """Neither is one that is empty."""
    assert request(world(folder), "GET", "/app/").status == 404
    listing = request(world(folder, listing=True), "GET", "/app/")
    assert listing.status == 200
    assert b'<li><a href="./a%20b%26c.tar.gz">a b&amp;c.tar.gz</a>' in listing.body
    assert b"htpasswd" not in listing.body
    assert b".git" not in listing.body.replace(b"tar.gz", b"")
    assert request(world(folder, listing=True), "GET", "/empty/").status == 200


def test_folder_without_its_slash_is_redirected(folder: Path) -> None:
    """Relative links would lead elsewhere."""
    response = request(world(folder), "GET", "/app?x=1")
    assert (response.status, response.headers["location"]) == (308, "./app/?x=1")


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
