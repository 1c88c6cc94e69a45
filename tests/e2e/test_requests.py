"""The HTTP API and the command line, as careless and hostile clients use them."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.backends import closed_port
from tests.e2e.gateway import GatewayProcess, gateway_process
from tests.e2e.support import ask, twistd
from tests.e2e.wsclient import DEADLINE


@pytest.mark.parametrize(("length", "status"), [(4096, 200), (4097, 413)], ids=["4 KiB", "one more"])
def test_body_of_4_kib_is_the_largest(gateway: GatewayProcess, length: int, status: int) -> None:
    """One byte more is 413."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        text = json.dumps({"host": "127.0.0.1", "port": listener.getsockname()[1]}).encode()
        assert ask(gateway, "POST", "/api/ping", text.ljust(length))[0] == status


def test_endless_chunked_body_is_cut_off(gateway: GatewayProcess) -> None:
    """A body without a length is counted."""
    chunk = b"1000\r\n" + b" " * 4096 + b"\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), DEADLINE) as connection:
        connection.sendall(b"POST /api/ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        before = gateway.rss_kib()
        with pytest.raises(ConnectionError):
            connection.sendall(chunk * 16384)
        assert gateway.rss_kib() - before < 4 * 1024


@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"host": None}, "host"), ({"host": 1}, "host"), ({"host": ["a"]}, "host"),
        ({"port": "22"}, "port"), ({"port": True}, "port"), ({"port": 22.0}, "port"),
        ({"port": None}, "port"),
        ({"port": 0}, "port"), ({"port": 65536}, "port"), ({"port": -1}, "port"), ({"port": 2**64}, "port"),
        ({"timeout": "1"}, "timeout"), ({"timeout": False}, "timeout"),
    ],
)  # fmt: skip
def test_each_field_has_its_type(gateway: GatewayProcess, path: str, change: Any, field: str) -> None:
    """No strings, booleans or floats for a port; 400 names the field."""
    status, _, body = ask(gateway, "POST", path, {"host": "127.0.0.1", "port": closed_port(), **change})
    answer = json.loads(body)
    assert (status, answer["success"]) == (400, False)
    assert answer["error"].startswith(field)


@pytest.mark.parametrize("text", [b"", b"\xff", b"null", b'"x"', b"[" * 4000])
def test_body_that_is_not_a_json_object_is_400(gateway: GatewayProcess, text: bytes) -> None:
    """And the error says that an object was expected."""
    status, _, body = ask(gateway, "POST", "/api/ping", text)
    assert status == 400
    assert "object" in json.loads(body)["error"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/ping", "/api/ssh/connect"])
def test_only_post_is_allowed(gateway: GatewayProcess, method: str, path: str) -> None:
    """405 with Allow, whatever the method."""
    status, headers, _ = ask(gateway, method, path)
    assert (status, headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/ping/x", "/api/ssh", "/api/connect/x", "/api/..%2f"])
def test_unknown_path_of_the_api_is_json_404(gateway: GatewayProcess, path: str) -> None:
    """At any depth."""
    status, headers, body = ask(gateway, "GET", path)
    assert (status, json.loads(body)["code"]) == (404, "not-found")
    assert headers.get_content_type() == "application/json"


@pytest.mark.parametrize("path", ["/x", "/x/y", "/index.html", "/apix", "//"])
def test_unknown_path_elsewhere_is_short_text(gateway: GatewayProcess, path: str) -> None:
    """Of one line."""
    status, headers, body = ask(gateway, "GET", path)
    assert (status, headers.get_content_type()) == (404, "text/plain")
    assert len(body) < 200


def test_connection_is_kept_after_an_error(gateway: GatewayProcess) -> None:
    """Several requests over one connection, good ones and bad ones."""
    with closing(HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE)) as connection:
        connection.connect()
        first = connection.sock
        for method, path, status in [("GET", "/x", 404), ("POST", "/api/ping", 400), ("GET", "/", 200)] * 3:
            connection.request(method, path)
            response = connection.getresponse()
            response.read()
            assert response.status == status
        assert connection.sock is first


@contextmanager
def ssh_like(*pieces: bytes) -> Iterator[int]:
    """Run a server that sends ``pieces``, each in a segment of its own, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)

        def serve() -> None:
            connection = listener.accept()[0]
            with connection:
                connection.settimeout(DEADLINE)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(DEADLINE)


BANNER = b"SSH-2.0-Ship_1.0 at anchor"


@pytest.mark.parametrize(
    "pieces",
    [
        [BANNER + b"\r\n"],
        [BANNER + b"\n\x00\x00\x01\xff"],
        [bytes([byte]) for byte in BANNER + b"\r\n"],
        [b"Welcome\r\n" * 50, BANNER + b"\r\n"],
    ],
    ids=["whole", "binary behind it", "byte by byte", "behind 50 lines"],
)
def test_banner_is_read_whole(gateway: GatewayProcess, pieces: list[bytes]) -> None:
    """However it is cut (RFC 4253 §4.2)."""
    with ssh_like(*pieces) as port:
        status, _, body = ask(gateway, "POST", "/api/ssh/connect", {"host": "127.0.0.1", "port": port})
    answer = json.loads(body)
    assert (status, answer["banner"]) == (200, BANNER.decode())
    assert (answer["software"], answer["protocol"], answer["comments"]) == ("Ship_1.0", "2.0", "at anchor")


@pytest.mark.parametrize(
    ("pieces", "code"),
    [([b"HTTP/1.1 400 Bad\r\n" * 51], "not-ssh"), ([b"x" * 300], "not-ssh"), ([], "closed-early")],
)
def test_server_without_ssh_is_502(gateway: GatewayProcess, pieces: list[bytes], code: str) -> None:
    """With a code of its own."""
    with ssh_like(*pieces) as port:
        status, _, body = ask(gateway, "POST", "/api/ssh/connect", {"host": "127.0.0.1", "port": port})
    assert (status, json.loads(body)["code"]) == (502, code)


@pytest.mark.slow
def test_help_shows_default_and_unit_of_every_option(tmp_path: Path) -> None:
    """The same as the docs."""
    shown = " ".join(twistd(tmp_path, "portofcall", "--help").stdout.split())
    for option, default in [
        ("listen ENDPOINT", "tcp:8080:interface=127.0.0.1"), ("allow RULE", "public"), ("deny RULE", "none"),
        ("high-water BYTES", "1M"), ("max-message BYTES", "1M"), ("request-rate RATE", "100:400 per second"),
        ("connect-timeout SECONDS", "10 seconds"), ("dns-timeout SECONDS", "5 seconds"), ("demo", "off"),
    ]:  # fmt: skip
        assert re.search(
            rf"--{option} [^\[]*(\[(?!default)[^\[]*)*\[default: {re.escape(default)}\]", shown
        ), option


@pytest.mark.slow
def test_unix_socket_serves_as_well(tmp_path: Path) -> None:
    """Two endpoints, one gateway."""
    path = tmp_path / "socket"
    options = ("--listen", "tcp:0:interface=127.0.0.1", "--listen", f"unix:{path}")
    with gateway_process(tmp_path, *options) as gateway:
        gateway.wait_for_log(re.escape(f"listening on http://unix:{path}"))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(DEADLINE)
            connection.connect(str(path))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert ask(gateway, "GET", "/")[0] == 200
