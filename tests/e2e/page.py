"""The page of a gateway in a browser, and what all its tests do there."""

import json
import os

import pytest

from portofcall.web.static_files import FOLDER
from tests.e2e.backends import Backend
from tests.e2e.browser import KEYS, Browser

needs_page = pytest.mark.skipif(
    not (FOLDER / "index.html").is_file() and not os.environ.get("CI"), reason="the page is not built"
)
ENTER, TAB = KEYS["Enter"], KEYS["Tab"]
_AXE = FOLDER.parent / "page" / "node_modules" / "axe-core" / "axe.min.js"


class Page:
    """The page of a gateway, in a window.

    Args:
        window: the window.
        url: of the gateway, with its path prefix.
    """

    def __init__(self, window: Browser, url: str) -> None:
        self.window = window
        self.url = url

    def open(self, link: str = "") -> None:
        """Load the page with a link such as ``#tcp/host:port``, as a new visitor."""
        self.window.open("about:blank")
        self.window.log()
        self.window.open(self.url + link)
        self.window.wait('document.activeElement?.id === "place"')

    def connect(self, server: Backend) -> None:
        """Open a console to a backend, with the keyboard."""
        self.open(f"#tcp/127.0.0.1:{server.port}")
        self.window.type(ENTER)
        self.window.wait('document.querySelector(".sending")')

    def click(self, label: str) -> None:
        """Click the button with this label."""
        found = self.window.value(
            f"(found => (found?.click(), found !== undefined))([...document.querySelectorAll('button')]"
            f".find(button => button.textContent === {json.dumps(label)}))"
        )
        assert found, f"no button {label}"

    def wait_for_text(self, text: str, selector: str = "#view") -> str:
        """Wait until a part of the page has this text; return all of it."""
        element = f"document.querySelector({json.dumps(selector)})"
        found = self.window.wait(
            f"{element}?.textContent.includes({json.dumps(text)}) && {element}.textContent"
        )
        return str(found)

    def assert_nothing_foreign(self) -> None:
        """No error in the console, no violation of the policy, and no request to another origin."""
        assert self.window.log() == []
        names = self.window.value('performance.getEntriesByType("resource").map(({name}) => name)')
        assert names
        origin = self.window.value("location.origin")
        assert [name for name in names if not name.startswith(f"{origin}/")] == []

    def serious_violations(self) -> list[str]:
        """Return what axe-core finds serious or critical; skip the test without axe-core."""
        if not _AXE.is_file() and not os.environ.get("CI"):
            pytest.skip("axe-core is not installed: run npm ci in portofcall/web/page")
        self.window.value(f"{_AXE.read_text('utf-8')}; undefined")
        found = self.window.value(
            "axe.run(document, {resultTypes: ['violations']})"
            ".then(({violations}) => violations"
            ".filter(({impact}) => ['serious', 'critical'].includes(impact))"
            ".map(({id, nodes}) => `${id}: ${nodes.map(({html}) => html)}`))"
        )
        return list(found)
