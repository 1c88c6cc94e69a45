"""Headless Firefox, driven through its own protocol (Marionette): Debian has no geckodriver."""

import base64
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.backends import closed_port
from tests.e2e.browser import Browser
from tests.e2e.gateway import need
from tests.e2e.support import until
from tests.e2e.wsclient import DEADLINE

_SETTINGS: dict[str, str | int | bool] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "devtools.console.stdout.content": True,
    "app.normandy.enabled": False,
    "messaging-system.rsexperimentloader.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    # Nothing but this machine is ever looked up.
    "network.dns.localDomains": "insecure.test",
    "network.proxy.no_proxies_on": "127.0.0.1, insecure.test",
    "network.proxy.socks": "127.0.0.1",
    "network.proxy.socks_port": 9,
    "network.proxy.socks_remote_dns": True,
    "network.proxy.type": 1,
    "security.csp.reporting.script-sample.max-length": 40,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}


class Firefox(Browser):
    """One window of a headless Firefox; what needs the DevTools protocol of Chromium is not there.

    Args:
        port: of its Marionette.
        log: what it prints.
    """

    def __init__(self, port: int, log: Path) -> None:
        self._log = log
        self._read = 0
        self._number = 0
        self._socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self._stream = self._socket.makefile("rb")
        assert self._receive()["marionetteProtocol"] == 3
        self._send("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
        timeouts = {"script": DEADLINE * 1000, "pageLoad": DEADLINE * 1000}
        self._send("WebDriver:SetTimeouts", **timeouts)

    def open(self, url: str) -> None:
        """Load a page."""
        self._send("WebDriver:Navigate", url=url)

    def value(self, expression: str) -> Any:
        """Evaluate an expression in the page, also where the page's own policy forbids `eval`."""
        script = (
            "const [tell] = arguments; Promise.resolve().then(() => (" + expression + "))"
            ".then((value) => tell([value ?? null]), (error) => tell([null, String(error)]))"
        )
        value, *problem = self._send("WebDriver:ExecuteAsyncScript", script=script, args=[])["value"]
        assert not problem, (expression, problem)
        return value

    def wait(self, expression: str, seconds: float = DEADLINE) -> Any:
        """Wait until an expression is true; return its value."""
        found: list[Any] = []

        def look() -> bool:
            value = self.value(f"(found => found instanceof Node || found)({expression})")
            found.append(value)
            return bool(value)

        until(look, seconds)
        return found[-1]

    def type(self, text: str, held: str = "") -> None:
        """Type where the focus is; see `Browser.type`."""
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        if held:
            keys = [{"type": "keyDown", "value": held}, *keys, {"type": "keyUp", "value": held}]
        self._send("WebDriver:PerformActions", actions=[{"type": "key", "id": "keyboard", "actions": keys}])

    def insert(self, text: str) -> None:
        """Type it."""
        self.type(text)

    def forget(self, origin: str) -> None:
        """Empty the local storage of an origin."""
        self.open(f"{origin}/")
        self.value("localStorage.clear()")

    def log(self) -> list[str]:
        """Take what it has printed since the last time: errors of pages, and violations of their policy."""
        text = self._log.read_text(errors="replace")
        new, self._read = text[self._read :], len(text)
        # Not what the browser says of its own parts, by name. What pages say is quoted, or in parentheses.
        said = re.compile(r"JavaScript error: http|console\.error: (?![\w.]+: )|Content-Security-Policy")
        return [line for line in new.splitlines() if said.search(line)]

    def screenshot(self) -> bytes:
        """Take a picture of the window, as PNG."""
        return base64.b64decode(self._send("WebDriver:TakeScreenshot", full=False)["value"])

    def close(self) -> None:
        """End the browser."""
        self._send("Marionette:Quit", flags=["eForceQuit"])
        self._stream.close()
        self._socket.close()

    def _send(self, name: str, **parameters: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, name, parameters])
        self._socket.sendall(f"{len(message)}:{message}".encode())
        _, number, error, value = self._receive()
        assert number == self._number
        assert error is None, (name, error)
        return value

    def _receive(self) -> Any:
        digits = b""
        while (byte := self._stream.read(1)) != b":":
            assert byte.isdigit(), "Firefox has closed the connection"
            digits += byte
        return json.loads(self._stream.read(int(digits)))


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """Run Firefox, with a profile of its own."""
    port, log, profile = closed_port(), folder / "firefox.log", folder / "profile"
    profile.mkdir()
    settings = _SETTINGS | {"marionette.port": port}
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items())
    (profile / "user.js").write_text("".join(lines))
    command = [need("firefox-esr"), "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: f"Listening on port {port}" in log.read_text(errors="replace"))
        window = Firefox(port, log)
        try:
            yield window
        finally:
            window.close()
    finally:
        process.terminate()
        process.wait(DEADLINE)
