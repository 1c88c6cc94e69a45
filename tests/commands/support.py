"""An admin listener that responds as the test says."""

import argparse
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any


class FakeListener:
    """Responses by method and path, and the requests that came.

    Attributes:
        url: for ``--admin``.
        responses: status and body; bytes go as they are, anything else as JSON.
        requests: method, path and Authorization header, in order.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.responses: dict[tuple[str, str], tuple[int, Any]] = {}
        self.requests: list[tuple[str, str, str | None]] = []

    def respond(self, method: str, path: str, authorization: str | None) -> tuple[int, bytes]:
        """Return what is sent for a request."""
        self.requests.append((method, path, authorization))
        missing = (404, {"success": False, "error": "there is nothing here", "code": "not-found"})
        status, body = self.responses.get((method, path), missing)
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()


class _UnixServer(socketserver.UnixStreamServer):
    """HTTP over a UNIX socket."""

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)


@contextmanager
def fake_listener(path: Path | None = None) -> Iterator[FakeListener]:
    """Run a listener on 127.0.0.1, or on a UNIX socket at ``path``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = listener.respond(self.command, self.path, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_DELETE = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Print nothing."""

    server: Any = HTTPServer(("127.0.0.1", 0), Handler) if path is None else _UnixServer(str(path), Handler)
    listener = FakeListener(f"unix:{path}" if path else f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def parse(command: ModuleType, *arguments: str) -> argparse.Namespace:
    """Parse the command line of one command."""
    parser = argparse.ArgumentParser("portofcall")
    command.add_arguments(parser.add_subparsers())
    return parser.parse_args([command.__name__.rpartition(".")[2], *arguments])


def options_of(command: ModuleType) -> list[str]:
    """Return the options of one command."""
    subparsers = argparse.ArgumentParser("portofcall").add_subparsers()
    command.add_arguments(subparsers)
    (parser,) = subparsers.choices.values()
    return [name for action in parser._actions for name in action.option_strings]
