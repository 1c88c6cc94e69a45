"""Headless Chromium, driven through ChromeDriver's own protocol (W3C WebDriver)."""

import base64
import http.client
import http.server
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.gateway import need
from tests.e2e.wsclient import DEADLINE, TEXT

_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
    # Nothing but this machine is ever looked up. insecure.test is its name without a secure context.
    "--host-resolver-rules=MAP insecure.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip


#: Keys that are no characters (W3C WebDriver, keyboard actions).
KEYS = {
    "Backspace": "\ue003", "Tab": "\ue004", "Enter": "\ue007", "Shift": "\ue008",
    "Control": "\ue009",
    "ArrowUp": "\ue013", "ArrowRight": "\ue014",
}  # fmt: skip


class Browser:
    """One window of a headless Chromium.

    Args:
        port: ChromeDriver's.
        profile: a folder for the browser's own files.
        records_network: whether to keep the events of its network, for `take_frames`.
    """

    def __init__(self, port: int, profile: Path, *, records_network: bool = False) -> None:
        self._port = port
        self._path = ""
        logs = {"browser": "ALL", **({"performance": "ALL"} if records_network else {})}
        options = {"binary": need("chromium"), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {
            "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": logs,
            }
        }
        session = self._ask("POST", "/session", {"capabilities": wanted})
        self._path = f"/session/{session['sessionId']}"

    def open(self, url: str) -> None:
        """Load a page."""
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; its last argument is what it calls with its result."""
        return self._ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def command(self, name: str, /, **parameters: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self._ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def value(self, expression: str) -> Any:
        """Evaluate an expression in the page, also where the page's own policy forbids `eval`."""
        result = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = DEADLINE) -> Any:
        """Wait until an expression is true; return its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := self.value(f"(found => found instanceof Node || found)({expression})"):
                return value
            time.sleep(0.05)
        raise AssertionError(
            f"{expression} is still false; the page: {self.value('document.body.innerText')}"
        )

    def type(self, text: str, held: str = "") -> None:
        """Type where the focus is; a key such as Tab or Enter has its code in `KEYS`.

        Args:
            text: the keys, one after the other.
            held: a key such as Shift that is held meanwhile.
        """
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        if held:
            keys = [{"type": "keyDown", "value": held}, *keys, {"type": "keyUp", "value": held}]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def insert(self, text: str) -> None:
        """Insert text where the focus is, at once, as an input method does."""
        self.command("Input.insertText", text=text)

    def forget(self, origin: str) -> None:
        """Empty the local storage of an origin."""
        self.command("Storage.clearDataForOrigin", origin=origin, storageTypes="local_storage")

    def log(self) -> list[str]:
        """Take what the browser has logged: errors of the page, and violations of its policy."""
        entries = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def take_frames(self) -> list[tuple[str, int, bytes]]:
        """Take the frames of WebSockets (not of WebSocketStreams): event, opcode and payload."""
        found = []
        for entry in self._ask("POST", "/se/log", {"type": "performance"}):
            event = json.loads(entry["message"])["message"]
            if event["method"] in ("Network.webSocketFrameSent", "Network.webSocketFrameReceived"):
                frame = event["params"]["response"]
                text, opcode = frame["payloadData"], int(frame["opcode"])
                payload = text.encode() if opcode == TEXT else base64.b64decode(text)
                found.append((event["method"], opcode, payload))
        return found

    def screenshot(self) -> bytes:
        """Take a picture of the whole page, as PNG."""
        shot = self.command("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

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
def browser(folder: Path, *, records_network: bool = False) -> Iterator[Browser]:
    """Run a browser, see `Browser`."""
    driver = subprocess.Popen(
        [need("chromedriver"), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert driver.stdout is not None
        ports = (re.search(r"started successfully on port (\d+)", line) for line in driver.stdout)
        port = next(int(match[1]) for match in ports if match)
        window = Browser(port, folder / "profile", records_network=records_network)
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.terminate()
        driver.communicate(timeout=DEADLINE)


class _Page(http.server.BaseHTTPRequestHandler):
    """An empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def another_site() -> Iterator[str]:
    """Serve pages of another origin; give that origin."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
