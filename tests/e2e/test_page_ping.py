"""The page's repeated ping in a real browser."""

import json
import socket
from pathlib import Path

import pytest

from tests.e2e.browser import Browser
from tests.e2e.gateway import gateway_process
from tests.e2e.page import ENTER, Page, needs_page
from tests.e2e.support import until

pytestmark = [pytest.mark.slow, needs_page]


def test_ping_repeats_and_its_plot_moves(window: Browser, tmp_path: Path) -> None:
    """With figures, a stop and a start."""
    with gateway_process(tmp_path, "--demo") as gateway:
        page = Page(window, f"http://127.0.0.1:{gateway.port}/")
        page.open(f"#ping/{gateway.wait_for_log(r'demo echo on ([^,]+),')[1]}")
        window.type(ENTER)
        plot = "document.querySelector('.chart canvas').toDataURL()"
        window.wait("/: [2-9] pings/.test(document.querySelector('.chart')?.ariaLabel)")
        before = window.value(plot)
        window.wait(f"{plot} !== {json.dumps(before)}")
        figures = "document.querySelector('.figures').textContent"
        for figure in ("Last", "Min", "Median", "p99", "Loss0 %"):
            assert figure in window.value(figures)
        page.click("Stop")
        sent = window.value(figures)
        window.value("new Promise(resolve => setTimeout(resolve, 1200))")
        assert window.value(figures) == sent
        page.click("Start")
        window.wait(f"{figures} !== {json.dumps(sent)}")
        page.assert_nothing_foreign()


#: Lets a test respond to the page's requests: with [status, headers, body], or null for a lost network.
RESPOND = """
(real => {
  globalThis.responses = [];
  globalThis.fetch = async (...request) => {
    if (!responses.length) return real(...request);
    const next = responses.shift();
    if (!next) throw new TypeError("Failed to fetch");
    return new Response(next[2], {status: next[0], headers: next[1]});
  };
})(fetch)
"""


def test_ping_series_outlives_what_passes(page: Page, tmp_path: Path) -> None:
    """A limit is waited for, a blip is a loss, and an expired ticket stops the series without losing it."""
    page.window.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        page.open(f"#ping/127.0.0.1:{port}")
        page.window.value(RESPOND)
        limited = [429, {"Retry-After": "2"}, '{"error": "slow down", "code": "too-many-requests"}']
        expired = [401, {}, '{"error": "the ticket has expired", "code": "unauthorized"}']
        page.window.value(f"responses.push({json.dumps(limited)}, [502, {{}}, '<h1>Bad gateway</h1>'], null)")
        page.window.type(ENTER)
        page.wait_for_text("Slow down", ".failure")
        page.wait_for_text("Sent0")
        page.wait_for_text("http-error", ".failure")
        page.wait_for_text("unreachable-gateway", ".failure")
        page.window.wait("!document.querySelector('.failure')")
        assert "Sent3" in page.window.value("document.querySelector('.figures').textContent")
        page.window.value(f"responses.push({json.dumps(expired)})")
        page.wait_for_text("The ticket has expired", ".failure")
        page.wait_for_text("Enter a ticket", ".failure")
        page.wait_for_text("Loss66.7 %Sent3")
        page.click("Start")
        page.wait_for_text("Loss50.0 %Sent4")
        page.click("Save CSV")
    saved = tmp_path / f"ping 127.0.0.1_{port}.csv"
    until(lambda: saved.is_file() and saved.read_text().count("\n") == 5)
    rows = [line.split(",") for line in saved.read_text().splitlines()]
    assert rows[0] == ["time", "rtt_ms", "error"]
    assert [row[2] for row in rows[1:]] == ["http-error", "unreachable-gateway", "", ""]
    assert [bool(row[1]) for row in rows[1:]] == [False, False, True, True]
