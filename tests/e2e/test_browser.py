"""What a page can do with a gateway, in a real browser."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.backends import backend, echo
from tests.e2e.browser import Browser, another_site
from tests.e2e.gateway import LOOPBACK, TWISTD, GatewayProcess, gateway_process

pytestmark = pytest.mark.slow

#: Opens a tunnel, sends a word, and tells what came of it.
TUNNEL = """
const [url, tell] = arguments;
const tunnel = new WebSocket(url, ["binary"]);
tunnel.binaryType = "arraybuffer";
tunnel.onopen = () => tunnel.send("ahoy");
tunnel.onmessage = ({data}) => { tunnel.onclose = null; tunnel.close();
                                 tell(new TextDecoder().decode(data)); };
tunnel.onclose = ({code, reason}) => tell(`${code} ${reason}`);
"""

#: Asks for a ping as any page can without asking the gateway first: a form's content type.
PING = """
const [url, body, tell] = arguments;
fetch(url, {method: "POST", body, mode: "no-cors"}).then(() => tell("sent"), error => tell(String(error)));
"""


def tunnel(window: Browser, gateway: GatewayProcess, query: str) -> str:
    """Let the page open a tunnel; return the echo, or how it was closed."""
    url = f"ws://127.0.0.1:{gateway.port}/api/connect?{query}"
    return str(window.run(TUNNEL, url))


def test_gateways_own_page_opens_a_tunnel(window: Browser, tmp_path: Path) -> None:
    """And reads close codes and reasons."""
    with gateway_process(tmp_path, *LOOPBACK) as gateway, backend(echo) as server:
        window.open(f"http://127.0.0.1:{gateway.port}/")
        assert tunnel(window, gateway, server.query) == "ahoy"
        refused = tunnel(window, gateway, "host=10.0.0.1&port=22")
        assert refused.startswith("4403 blocked: 10.0.0.1 is private")


def test_page_of_another_origin_opens_none(window: Browser, tmp_path: Path) -> None:
    """Neither a tunnel nor a ping; it learns nothing but that it failed."""
    with another_site() as site, gateway_process(tmp_path, *LOOPBACK) as gateway:
        window.open(f"{site}/")
        assert tunnel(window, gateway, "host=127.0.0.1&port=1") == "1006 "
        window.run(PING, f"http://127.0.0.1:{gateway.port}/api/ping", '{"host": "127.0.0.1", "port": 1}')
        gateway.wait_for_log(r'origin-refused: .* status=403 .*request="POST /api/ping"')
        assert "tunnel " not in gateway.log


def test_page_of_an_origin_that_was_added_opens_one(window: Browser, tmp_path: Path) -> None:
    """``--origin URL``."""
    with another_site() as site, gateway_process(tmp_path, *LOOPBACK, "--origin", site) as gateway:
        window.open(f"{site}/")
        with backend(echo) as server:
            assert tunnel(window, gateway, server.query) == "ahoy"


def test_ticket_works_once(window: Browser, tmp_path: Path) -> None:
    """A page can't send a header with a WebSocket, but it can send a ticket."""
    key = tmp_path / "key"
    key.write_text("an-example-secret-of-more-than-32-bytes")
    command = [str(TWISTD.with_name("portofcall")), "ticket", "--key", str(key), "--once"]
    ticket = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
    with gateway_process(tmp_path, *LOOPBACK, "--ticket-key", str(key)) as gateway:
        window.open(f"http://127.0.0.1:{gateway.port}/")
        with backend(echo) as server:
            assert tunnel(window, gateway, server.query) == "1006 "
            assert tunnel(window, gateway, f"{server.query}&ticket={ticket}") == "ahoy"
            assert tunnel(window, gateway, f"{server.query}&ticket={ticket}") == "1006 "
        assert ticket[:30] not in gateway.log
