"""A VNC desktop in a browser, through noVNC of Debian and of npm, in the set-ups of docs/novnc.md."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.backends import closed_port
from tests.e2e.browser import Browser
from tests.e2e.gateway import TWISTD, gateway_process
from tests.e2e.nginx import nginx_with_novnc
from tests.e2e.npm import npm_package
from tests.e2e.support import accepts, logged, running, until
from tests.e2e.vnc import Desktop, desktop, wait_for_desktop
from tests.e2e.wsclient import DEADLINE

pytestmark = pytest.mark.slow

#: Version 1.3, with its own page.
DEBIAN = Path("/usr/share/novnc")
#: For the npm package, which has no page.
PAGE = """<!DOCTYPE html>
<title>noVNC</title>
<script type="module">
    import RFB from "./core/rfb.js";
    const path = new URLSearchParams(location.search).get("path");
    const rfb = new RFB(document.body, new URL(path, location.href.replace("http", "ws")).href);
    rfb.addEventListener("connect", () => rfb.focus());
</script>
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desktop]:
    """A desktop for all of these tests."""
    with desktop(tmp_path_factory.mktemp("desktop")) as made:
        yield made


@pytest.fixture
def debian() -> Path:
    """The folder of Debian's noVNC; without it, the test is skipped, but in CI."""
    if not (DEBIAN / "vnc.html").is_file():
        assert not os.environ.get("CI"), "CI has to install novnc"
        pytest.skip("novnc is not installed")
    return DEBIAN


def quit_by_keyboard(window: Browser, desk: Desktop) -> None:
    """Type into a calculator on the desktop that it is to end."""
    calculator = desk.run("xcalc", "-geometry", "+220+160", "-bg", "#e76f51")
    until(lambda: desk.share_of("#e76f51") > 0.05)
    wait_for_desktop(window, desk)
    window.type("q")
    assert calculator.wait(DEADLINE) == 0
    wait_for_desktop(window, desk)


def test_desktop_of_debian_s_novnc(window: Browser, desk: Desktop, debian: Path, tmp_path: Path) -> None:
    """Version 1.3, served by the gateway, which leads to its default target; keys reach the desktop."""
    options = ("--web", str(debian), "--default-target", f"127.0.0.1:{desk.port}")
    with gateway_process(tmp_path, *options) as gateway:
        window.open(f"http://127.0.0.1:{gateway.port}/vnc.html?autoconnect=1")
        wait_for_desktop(window, desk)
        quit_by_keyboard(window, desk)


def test_desktop_of_novnc_from_npm(window: Browser, desk: Desktop, tmp_path: Path) -> None:
    """Version 1.7, which offers no subprotocol."""
    folder = tmp_path / "web"
    shutil.copytree(npm_package("@novnc/novnc"), folder)
    (folder / "index.html").write_text(PAGE)
    with gateway_process(
        tmp_path, "--web", str(folder), "--target", f"desk=127.0.0.1:{desk.port}"
    ) as gateway:
        window.open(f"http://127.0.0.1:{gateway.port}/?path=websockify%3Ftoken%3Ddesk")
        wait_for_desktop(window, desk)
        quit_by_keyboard(window, desk)


def test_novnc_on_another_origin(window: Browser, desk: Desktop, debian: Path, tmp_path: Path) -> None:
    """Only where the gateway allows it."""
    port = closed_port()
    files = [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(debian), str(port)]
    target = ("--default-target", f"127.0.0.1:{desk.port}")
    with running(files, tmp_path / "files.log"):
        until(lambda: accepts(port))
        origin = f"http://127.0.0.1:{port}"
        link = f"{origin}/vnc.html?autoconnect=1&host=127.0.0.1&port="
        with gateway_process(tmp_path, *target, "--origin", origin) as gateway:
            window.open(link + str(gateway.port))
            wait_for_desktop(window, desk)
        with gateway_process(tmp_path, *target) as gateway:
            window.open(link + str(gateway.port))
            window.wait("document.querySelector('#noVNC_status.noVNC_status_error')")
            assert f"origin {origin} is not allowed" in gateway.log


def test_novnc_behind_nginx(window: Browser, desk: Desktop, debian: Path, tmp_path: Path) -> None:
    """nginx has the files and passes the tunnel on; the page's origin is then the gateway's own."""
    target = ("--default-target", f"127.0.0.1:{desk.port}", "--trust-forwarded", "127.0.0.1", "--no-auth")
    with gateway_process(tmp_path, *target) as gateway, nginx_with_novnc(tmp_path, gateway) as url:
        window.open(f"{url}vnc.html?autoconnect=1")
        wait_for_desktop(window, desk)


def test_launch_script_of_debian(window: Browser, desk: Desktop, debian: Path, tmp_path: Path) -> None:
    """Unmodified, with `portofcall-websockify` on the PATH as `websockify`."""
    ours = TWISTD.with_name("portofcall-websockify")
    (tmp_path / "websockify").symlink_to(ours)
    port, log = closed_port(), tmp_path / "novnc_proxy.log"
    script = [str(debian / "utils" / "novnc_proxy"), "--listen", str(port), "--vnc", f"localhost:{desk.port}"]
    command = ["env", f"PATH={tmp_path}:{os.environ['PATH']}", *script, "--heartbeat", "30"]
    with running(command, log):
        logged(log, "Navigate to this URL:")
        assert f"Using installed websockify at {tmp_path}/websockify" in log.read_text()
        logged(log, f"proxying from :{port} to localhost:{desk.port}")
        window.open(f"http://127.0.0.1:{port}/vnc.html?autoconnect=1&host=127.0.0.1&port={port}")
        wait_for_desktop(window, desk)
    until(lambda: not accepts(port))
