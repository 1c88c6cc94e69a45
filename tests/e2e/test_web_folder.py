"""A running gateway with --web: its files in a client's hands."""

import hashlib
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from tests.e2e.backends import MiB, digest, stream
from tests.e2e.gateway import GatewayProcess, gateway_process
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow

SIZE = 64 * MiB


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that serves a folder."""
    folder = tmp_path_factory.mktemp("served")
    web = folder / "web"
    (web / "app").mkdir(parents=True)
    (web / "index.html").write_text("<h1>front</h1>")
    (web / "app" / "ui.mjs").write_text("export {}")
    (web / "app" / "core.wasm").write_bytes(b"\0asm")
    (web / "app" / "a b&c.tar.gz").write_bytes(b"\x1f\x8b")
    (web / "inside").symlink_to(web / "app" / "ui.mjs")
    with (web / "large").open("wb") as large:
        for piece in stream(SIZE):
            large.write(piece)
    with gateway_process(folder, "--web", str(web), "--web-listing") as running:
        yield running


def get(gateway: GatewayProcess, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    """Make one request."""
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("/", "text/html", b"<h1>front</h1>"),
        ("/index.html", "text/html", b"<h1>front</h1>"),
        ("/app/ui.mjs", "text/javascript", b"export {}"),
        ("/app/core.wasm", "application/wasm", b"\0asm"),
        ("/app/a%20b%26c.tar.gz", "application/gzip", b"\x1f\x8b"),
        ("/inside", "text/javascript", b"export {}"),
    ],
)
def test_files_have_the_types_that_browsers_need(
    gateway: GatewayProcess, path: str, kind: str, body: bytes
) -> None:
    """Modules run, archives stay archives; pages of the same site may frame them."""
    response, received = get(gateway, path)
    assert (response.status, received) == (200, body)
    assert response.headers.get_content_type() == kind
    assert response.headers["content-encoding"] is None
    assert response.headers["x-frame-options"] == "SAMEORIGIN"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_part_of_a_file_is_served(gateway: GatewayProcess) -> None:
    """As for a video that is played from the middle."""
    response, body = get(gateway, "/", Range="bytes=1-2")
    assert (response.status, body) == (206, b"h1")
    assert response.headers["content-range"] == "bytes 1-2/14"


def test_file_that_the_client_has_is_not_sent_again(gateway: GatewayProcess) -> None:
    """It has a time of its last change."""
    changed = get(gateway, "/")[0].headers["last-modified"]
    again, body = get(gateway, "/", If_Modified_Since=changed)
    assert (again.status, body) == (304, b"")


def test_large_file_arrives_whole_and_is_not_held_in_memory(gateway: GatewayProcess) -> None:
    """A megabyte or so waits for a client, however large the file is."""
    before = gateway.rss_kib()
    response, body = get(gateway, "/large")
    assert response.status == 200
    assert hashlib.sha256(body).hexdigest() == digest(SIZE)
    assert gateway.rss_kib() - before < 16 * 1024
