"""The operator's commands reach the admin listener, or say in one line why not."""

import socket
from base64 import b64encode
from pathlib import Path

import pytest

from portofcall.commands import kill
from portofcall.commands.admin_api import ENVIRONMENT, AdminAPI, AdminError
from tests.commands.support import fake_listener, parse


def problem(*arguments: str) -> str:
    """Return the error of a request."""
    with pytest.raises(AdminError) as caught:
        AdminAPI(parse(kill, *arguments)).request("GET", "/tunnels")
    assert "\n" not in str(caught.value)
    return str(caught.value)


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


def test_credentials_come_from_a_file(tmp_path: Path) -> None:
    """Its last line break is no part of the password."""
    (tmp_path / "login").write_text("ops:s3cret \n")
    with fake_listener() as listener:
        listener.responses["GET", "/tunnels"] = (200, {"tunnels": []})
        args = parse(kill, "--admin", listener.url, "--admin-auth-file", str(tmp_path / "login"))
        AdminAPI(args).request("GET", "/tunnels")
    assert listener.requests == [("GET", "/tunnels", f"Basic {b64encode(b'ops:s3cret ').decode()}")]


@pytest.mark.parametrize("option", ["--admin-auth-file", "--cafile"])
def test_missing_file_is_named(option: str) -> None:
    """Before anything is sent."""
    text = problem("--admin", "https://127.0.0.1:1", option, "/nowhere/x")
    assert "No such file or directory" in text


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
        import threading

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
