"""The operator's commands reach the admin listener, or say in one line why not."""

import contextlib
import re
import socket
import ssl
import threading
from base64 import b64decode
from pathlib import Path
from types import ModuleType

import pytest

from portofcall.commands import kill, tunnels
from portofcall.commands.admin_api import ENVIRONMENT, AdminAPI, AdminError
from tests.certificates import Authority
from tests.commands.support import fake_listener, options_of, parse


def problem(*arguments: str) -> str:
    """Return the error of a request."""
    with pytest.raises(AdminError) as caught:
        AdminAPI(parse(kill, *arguments)).request("GET", "/tunnels")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("command", [kill, tunnels])
def test_each_option_is_documented(command: ModuleType) -> None:
    """On the page about monitoring."""
    options = {name for name in options_of(command) if name.startswith("--")} - {"--help"}
    page = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text("utf-8")
    assert len(options) > 6
    assert options <= set(re.findall(r"`(--[a-z-]+)", page))


def test_url_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line counts more; without both, the error names them."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert problem() == "expected --admin URL, or PORTOFCALL_ADMIN in the environment"
    with fake_listener() as listener:
        listener.responses["GET", "/tunnels"] = (200, {"tunnels": []})
        monkeypatch.setenv(ENVIRONMENT, listener.url)
        assert AdminAPI(parse(kill)).request("GET", "/tunnels") == {"tunnels": []}
        assert problem("--admin", "unix:/nowhere") == "unix:/nowhere: No such file or directory"


def test_unix_socket(tmp_path: Path) -> None:
    """``unix:PATH``."""
    with fake_listener(tmp_path / "admin") as listener:
        listener.responses["GET", "/tunnels"] = (200, {"tunnels": []})
        assert AdminAPI(parse(kill, "--admin", listener.url)).request("GET", "/tunnels") == {"tunnels": []}


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9090",
        "http://",
        "http://127.0.0.1:banana",
        "http://127.0.0.1:99999",
        "ftp://127.0.0.1",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/metrics",
        "http://127.0.0.1?x",
        "http://[::1",
    ],
)
def test_malformed_url_is_refused(url: str) -> None:
    """With what is expected; a password in it would be seen in the list of processes."""
    expected = "--admin: expected http://127.0.0.1:9090, https://HOST:PORT or unix:PATH, got "
    assert problem("--admin", url).startswith(expected)


def test_password_comes_from_a_file_or_from_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first line of the file, without its end; it is never on the command line."""
    (tmp_path / "password").write_bytes(b"s3cret \r\nmore\n")
    monkeypatch.setattr("portofcall.commands.admin_api.getpass", lambda prompt: f"typed at {prompt}")
    with fake_listener() as listener:
        listener.responses["GET", "/tunnels"] = (200, {"tunnels": []})
        for more in (["--password-file", str(tmp_path / "password")], []):
            AdminAPI(parse(kill, "--admin", listener.url, "--user", "ops", *more)).request("GET", "/tunnels")
    logins = [(authorization or "").partition(" ")[2] for _, _, authorization in listener.requests]
    assert [b64decode(login) for login in logins] == [b"ops:s3cret ", b"ops:typed at Password of ops: "]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--user", "ops", "--password-file", "/nowhere/x"],
            "--password-file /nowhere/x: No such file or directory",
        ),
        (["--cacert", "/nowhere/x"], "--cacert /nowhere/x: No such file or directory"),
        (["--cacert", "/dev/null"], "--cacert /dev/null: expected certificates in PEM"),
        (["--cert", "/nowhere/x"], "--cert /nowhere/x: No such file or directory"),
        (["--cert", "/dev/null"], "--cert /dev/null: expected a certificate, and its key, in PEM"),
        (["--key", "/nowhere/x"], "--key: expected --cert with it"),
        (["--password-file", "/nowhere/x"], "--password-file: needs --user"),
    ],
)
def test_invalid_credentials_are_one_line(arguments: list[str], expected: str) -> None:
    """Before anything is sent."""
    assert problem("--admin", "https://127.0.0.1:1", *arguments) == expected


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "unix:/run/admin"])
@pytest.mark.parametrize("option", ["--cacert", "--cert", "--key"])
def test_options_of_tls_need_https(url: str, option: str) -> None:
    """Without TLS they would have no effect, and the operator would not notice."""
    assert problem("--admin", url, option, "/x") == f"{option}: needs --admin https://HOST:PORT"
    assert problem("--admin", "ftp://x", option, "/x").startswith("--admin: expected ")


def test_password_file_is_text(tmp_path: Path) -> None:
    """The error does not show what is in it."""
    (tmp_path / "password").write_bytes(b"\xff")
    arguments = ["--user", "ops", "--password-file", str(tmp_path / "password")]
    assert problem("--admin", "unix:/x", *arguments).endswith("password: expected UTF-8")


def test_https_is_verified(certificate: Path) -> None:
    """Against the platform's authorities, or those that are given."""
    server = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def respond() -> None:
        for _ in range(2):
            connection, _ = server.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1000)
                secure.sendall(b"HTTP/1.0 200 OK\r\n\r\n{}")

    thread = threading.Thread(target=respond)
    thread.start()
    url = f"https://localhost:{server.getsockname()[1]}"
    assert "certificate verify failed" in problem("--admin", url)
    api = AdminAPI(parse(kill, "--admin", url, "--cacert", str(certificate)))
    assert api.request("GET", "/tunnels") == {}
    thread.join()
    server.close()


def test_client_certificate_is_sent(certificate: Path, tmp_path: Path) -> None:
    """Where the listener requires one; the key may be in the same file."""
    clients = Authority("Operators")
    own, key = clients.issue(subject="ops", client=True).write(tmp_path, "own")
    both = tmp_path / "both.pem"
    both.write_bytes(own.read_bytes() + key.read_bytes())
    server = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(clients.write(tmp_path))
    context.verify_mode = ssl.CERT_REQUIRED

    def respond() -> None:
        for _ in range(2):
            connection, _ = server.accept()
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1000)
                secure.sendall(b"HTTP/1.0 200 OK\r\n\r\n{}")

    thread = threading.Thread(target=respond)
    thread.start()
    url = f"https://localhost:{server.getsockname()[1]}"
    for identity in (["--cert", str(own), "--key", str(key)], ["--cert", str(both)]):
        api = AdminAPI(parse(kill, "--admin", url, "--cacert", str(certificate), *identity))
        assert api.request("GET", "/tunnels") == {}
    thread.join()
    server.close()


def test_refused_connection_is_reported() -> None:
    """With the address that was tried."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert problem("--admin", url) == f"{url}: Connection refused"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ((403, {"success": False, "error": "no\nway", "code": "x"}), "no\\nway"),
        ((401, {"success": False, "error": "this gateway requires a user", "code": "x"}), "requires a user"),
        ((200, b"<html>"), "is no admin listener (HTTP 200)"),
        ((500, b"[1]"), "is no admin listener (HTTP 500)"),
        ((404, b"{}"), "is no admin listener (HTTP 404)"),
    ],
)
def test_other_responses_are_errors(response: tuple[int, object], expected: str) -> None:
    """The listener's own sentence where it has one, in plain characters."""
    with fake_listener() as listener:
        listener.responses["GET", "/tunnels"] = response
        assert expected in problem("--admin", listener.url)


def test_broken_response_is_reported() -> None:
    """Something that does not speak HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def respond() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=respond)
        thread.start()
        text = problem("--admin", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert "SSH-2.0" in text
