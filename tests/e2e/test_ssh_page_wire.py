"""What the gateway can see of an SSH session in the page, and what the page loads."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from portofcall.web.static_files import FOLDER
from tests.e2e.backends import closed_port
from tests.e2e.browser import Browser, browser
from tests.e2e.gateway import LOOPBACK, GatewayProcess, gateway_process
from tests.e2e.page import ENTER, needs_page
from tests.e2e.recorder import frames, recorder
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView
from tests.e2e.wsclient import BINARY, CLOSE, EOF, PING, PONG, TEXT

pytestmark = [pytest.mark.slow, needs_page]

#: Output that is not typed as such.
TYPED, SHOWN = "echo SECRET''MARK", b"SECRETMARK"
#: The two lines in clear that begin each direction (RFC 4253 §4.2).
VERSION = re.compile(rb"SSH-2\.0-[!-~ ]+\r?\n")


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser that keeps what its WebSockets carry."""
    with browser(tmp_path_factory.mktemp("browser"), records_network=True) as window:
        yield window


@pytest.mark.parametrize("without", ["", "delete globalThis.WebSocketStream"])
def test_no_frame_holds_a_secret(
    window: Browser, gateway: GatewayProcess, ssh_servers: SshServers, without: str
) -> None:
    """Neither password, user name, typed text nor output: on the wire, and as the browser itself sees it."""
    account, server = ssh_servers.account, ssh_servers["all"]
    script = window.command("Page.addScriptToEvaluateOnNewDocument", source=without)["identifier"]
    window.take_frames()
    with recorder(gateway.port) as recorded:
        ssh = SshView(window, f"http://127.0.0.1:{recorded.port}/")
        ssh.log_in(server, account)
        ssh.enter(TYPED)
        ssh.wait_for_screen(SHOWN.decode())
        ssh.enter("exit 42")
        ssh.end()
        ssh.assert_nothing_foreign()
        (tunnel,) = recorded.websockets()
        requests = b"".join(bytes(one.up) for one in recorded.recordings if not one.is_websocket)
    window.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    head, up, down = bytes(tunnel.up), frames(bytes(tunnel.up)), frames(bytes(tunnel.down))
    assert {frame.opcode for frame in (*up, *down)} <= {BINARY, TEXT, CLOSE, PING, PONG}
    # The only text is the end of one direction, with portofcall.v1.
    assert {frame.payload for frame in (*up, *down) if frame.opcode == TEXT} <= {EOF}
    sent = b"".join(frame.payload for frame in up if frame.opcode == BINARY)
    received = b"".join(frame.payload for frame in down if frame.opcode == BINARY)
    assert len(sent) > 2000
    assert len(received) > 2000
    assert VERSION.match(sent)
    assert VERSION.match(received)
    seen = b"".join(payload for _, _, payload in window.take_frames())
    if without:
        assert len(seen) >= len(sent) + len(received)
    secrets = (account.password, account.name, "exit 42", TYPED, SHOWN.decode(), "Exit status")
    for secret in secrets:
        for carried in (sent, received, seen):
            assert secret.encode() not in carried, secret
    # Nor does any request name the user: neither the one for the tunnel nor one for a file.
    assert account.name.encode() not in head.partition(b"\r\n\r\n")[0]
    assert account.name.encode() not in requests
    assert f"port={server.port}".encode() in head


def test_gateway_logs_no_user_of_the_server(
    gateway: GatewayProcess, ssh: SshView, ssh_servers: SshServers
) -> None:
    """Who, where to, how much and when is all that it knows."""
    server = ssh_servers["ed25519"]
    ssh.log_in(server, ssh_servers.account)
    ssh.enter("exit")
    ssh.end()
    gateway.wait_for_log(rf"127\.0\.0\.1:{server.port} closed: ")
    assert ssh_servers.account.name not in gateway.log


def test_ssh_is_loaded_when_it_is_wanted_and_small(ssh: SshView, ssh_servers: SshServers) -> None:
    """Nothing of it with the page; at most 230 KB compressed with gzip, of which the browser loads less."""
    ssh.open(f"#ssh/{ssh_servers.account.name}@127.0.0.1:{ssh_servers['all'].port}")
    names = "performance.getEntriesByType('resource').map(({name}) => name.split('/').pop())"
    before = set(ssh.window.value(names))
    assert not any(name.startswith(("ssh-", "bcrypt-")) for name in before)
    ssh.window.type(ENTER)
    ssh.trust(ssh_servers["all"])
    ssh.wait_for_state("sign-in")
    ssh.sign_in(ssh_servers.account.password)
    ssh.wait_for_prompt()
    loaded = {name for name in set(ssh.window.value(names)) - before if name.endswith((".js", ".css"))}
    assert any(name.startswith("ssh-") for name in loaded)
    workers = {path.name for path in FOLDER.glob("bcrypt-*.js")}
    sizes = {name: len(gzip.compress((FOLDER / name).read_bytes(), 9)) for name in loaded | workers}
    print(f"the SSH view, with gzip: {sum(sizes.values())} bytes, {sizes}")
    assert sum(sizes.values()) <= 230_000, sizes


def test_accessibility_of_every_state(ssh: SshView, ssh_servers: SshServers) -> None:
    """axe-core finds nothing serious, and at 360 pixels nothing is cut off."""
    account, server = ssh_servers.account, ssh_servers["all"]
    ssh.window.command(
        "Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True
    )
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        found[state] = ssh.serious_violations()
        assert ssh.window.value("document.documentElement.scrollWidth") <= 360, state

    try:
        ssh.dial(server, account)
        ssh.wait_for_state("host-key")
        look("host-key")
        ssh.trust(server)
        ssh.wait_for_state("sign-in")
        look("sign-in")
        ssh.sign_in(account.password)
        ssh.wait_for_prompt()
        look("open")
        ssh.press("Known hosts")
        look("known hosts")
        ssh.window.value(f"{ssh.find('.xterm-helper-textarea')}.focus()")
        ssh.enter("exit 42")
        ssh.end()
        look("ended")
    finally:
        ssh.window.command("Emulation.clearDeviceMetricsOverride")
    assert {state: problems for state, problems in found.items() if problems} == {}
    ssh.assert_nothing_foreign()


def test_no_secure_context(window: Browser, ssh_servers: SshServers, tmp_path: Path) -> None:
    """On http:// of another host SSH says why it can't run; the rest of the page works."""
    port = closed_port()
    url = f"http://insecure.test:{port}"
    options = (*LOOPBACK, "--listen", f"tcp:{port}:interface=127.0.0.1", "--origin", url)
    with gateway_process(tmp_path, *options):
        ssh = SshView(window, f"{url}/")
        ssh.open(f"#ssh/{ssh_servers.account.name}@127.0.0.1:{ssh_servers['all'].port}")
        assert ssh.window.value("isSecureContext") is False
        ssh.window.type(ENTER)
        text = ssh.wait_for_text("SSH needs a secure context", ".failure")
        assert "https" in text
        ssh.open(f"#banner/127.0.0.1:{ssh_servers['all'].port}")
        ssh.window.type(ENTER)
        ssh.wait_for_text("OpenSSH_")
        # Chromium notes that it ignores one header there; nothing else is amiss.
        assert not [line for line in ssh.window.log() if "Cross-Origin-Opener-Policy" not in line]
