"""Headless Chromium, driven through ChromeDriver's own protocol (W3C WebDriver)."""

import http.client
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.gateway import need
from tests.e2e.wsclient import DEADLINE

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
    # Nothing but this machine is ever looked up.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


class Browser:
    """One window of a headless Chromium.

    Args:
        port: ChromeDriver's.
        profile: a folder for the browser's own files.
    """

    def __init__(self, port: int, profile: Path) -> None:
        self._port = port
        self._path = ""
        options = {"binary": need("chromium"), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        session = self._ask("POST", "/session", {"capabilities": wanted})
        self._path = f"/session/{session['sessionId']}"

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; its last argument is what it calls with its result."""
        return self._ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def close(self) -> None:
        """End the browser."""
        self._ask("DELETE", "")

    def _ask(self, method: str, path: str, payload: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)
        try:
            body = None if payload is None else json.dumps(payload)
            connection.request(method, self._path + path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
            assert answer.status == 200, value
            return value
        finally:
            connection.close()


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a browser."""
    driver = subprocess.Popen(
        [need("chromedriver"), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert driver.stdout is not None
        ports = (re.search(r"started successfully on port (\d+)", line) for line in driver.stdout)
        port = next(int(match[1]) for match in ports if match)
        window = Browser(port, folder / "profile")
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.terminate()
        driver.communicate(timeout=DEADLINE)
