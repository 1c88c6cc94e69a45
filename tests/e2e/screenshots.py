"""Make the screenshots of the documentation: ``python -m tests.e2e.screenshots docs/screenshots``."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.backends import Backend, backend, closed_port
from tests.e2e.browser import KEYS, Browser, browser
from tests.e2e.gateway import GatewayProcess, gateway_process, need
from tests.e2e.ssh_account import Account, account
from tests.e2e.ssh_servers import SshServers
from tests.e2e.ssh_view import SshView
from tests.e2e.vnc import desktop, wait_for_desktop

ENTER = KEYS["Enter"]
WIDE, NARROW = 1080, 360


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """Run a Redis server; give its port."""
    port = closed_port()
    command = [
        need("redis-server"),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait()


class Camera:
    """Takes pictures of a gateway's page, in one colour scheme."""

    def __init__(self, window: Browser, gateway: GatewayProcess, folder: Path, scheme: str) -> None:
        self._window = window
        self._url = f"http://127.0.0.1:{gateway.port}/"
        self._folder = folder
        self._scheme = scheme
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        window.command("Emulation.setEmulatedMedia", features=features)
        self.resize(WIDE)

    def resize(self, width: int) -> None:
        """Set the width of the window."""
        self._width = width
        self._window.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=680, deviceScaleFactor=1, mobile=True
        )

    def open(self, link: str = "", ready: str = ".offers h2") -> None:
        """Load the page, and connect if there is a link."""
        self._window.open("about:blank")
        self._window.open(self._url + link)
        self._window.wait("document.querySelector('.offers h2')")
        if link:
            self._window.type(ENTER)
        self._window.wait(f"document.querySelector('{ready}')")

    def take(self, name: str) -> None:
        """Write a picture."""
        # A picture is as high as the window was; it is to be as high as the page.
        height = self._window.value("Math.max(680, document.body.scrollHeight)")
        self._window.command(
            "Emulation.setDeviceMetricsOverride",
            width=self._width,
            height=height,
            deviceScaleFactor=1,
            mobile=True,
        )
        (self._folder / f"{name}-{self._scheme}.png").write_bytes(self._window.screenshot())
        self.resize(self._width)


def demo(camera: Camera, window: Browser, gateway: GatewayProcess) -> None:
    """Take the pictures of a gateway with ``--demo``."""
    window.open("about:blank")
    camera.open()
    window.value("localStorage.clear()")
    camera.open()
    camera.take("front")
    chargen = gateway.wait_for_log(r"demo chargen on ([^,]+),")[1]
    camera.open(f"#tcp/{chargen}", ".sending")
    time.sleep(4)
    window.value("document.querySelector('[value=hex]').click()")
    window.value(
        "[...document.querySelectorAll('button')].find(b => b.textContent === 'Pause reading').click()"
    )
    time.sleep(3)
    camera.take("backpressure")
    camera.open("#tcp/10.0.0.1:22", ".failure")
    camera.take("failure")


def redis_session(camera: Camera, window: Browser) -> None:
    """Take the pictures of a gateway with the target ``cache``."""
    camera.open("#tcp/cache", ".sending")
    for line in ("PING", "SET ship Endeavour", "GET ship"):
        window.type(f"{line}{ENTER}")
        time.sleep(0.7)
    time.sleep(3)
    camera.take("console")
    camera.resize(NARROW)
    camera.take("narrow")
    camera.resize(WIDE)
    camera.open("#ping/cache", ".figures")
    time.sleep(15)
    camera.take("ping")


def banner(camera: Camera) -> None:
    """Take the picture of an SSH server's banner, from a gateway with the target ``shell``."""
    camera.open("#banner/shell", ".facts")
    camera.take("banner")


#: What the shell of the pictures runs at its start.
_PROFILE = r"""
PS1='\[\e[1;32m\]pilot@harbour\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]\$ '
alias ls='ls --color=always'
mkdir -p charts logs && touch charts/north.map charts/south.map crew.tar.gz
echo "Weigh anchor at dawn." > notes.md; chmod +x notes.md
clear
"""
#: In true colour, on a line of their own: when the size changes, the shell redraws that of its prompt.
_COLOURS = r"""for i in {0..79}; do echo -en "\e[48;2;$[255-i*3];$[90+i*2];$[i*3]m "; done; echo -e '\e[m'"""


def ssh_session(view: SshView, camera: Camera, servers: SshServers, name: str) -> None:
    """Take the pictures of SSH, in a gateway with the target ``harbour``."""
    login = f"{name}@harbour"
    camera.open(f"#ssh/{login}", "[data-state=host-key]")
    camera.take("ssh-fingerprint")
    view.press("Trust this key")
    view.wait_for_state("sign-in")
    view.sign_in(servers.account.password)
    view.wait_for_state("open")
    view.wait_for_screen("harbour")
    for line in ("ls -l", "cat notes.md", _COLOURS):
        view.enter(line)
        time.sleep(0.5)
    camera.take("ssh-shell")
    view.enter("vi /etc/ssh/ssh_config")
    time.sleep(2)
    camera.take("ssh-vi")
    view.window.type(":q!\n")
    other = servers["rsa"].keys[0].with_suffix(".pub").read_text().split()
    view.window.value(
        f"localStorage.setItem('portofcall.known-hosts', 'target/harbour {other[0]} {other[1]}\\n')"
    )
    camera.open(f"#ssh/{login}", "[data-state=changed-key]")
    camera.take("ssh-changed-key")


def ssh_pictures(folder: Path, destination: Path, window: Browser, scheme: str, who: Account) -> None:
    """Take the pictures of SSH, with a server and a gateway of their own."""
    who.put(".bash_profile", _PROFILE, 0o644)
    folder = folder / scheme
    folder.mkdir()
    servers = SshServers(folder, who)
    try:
        place = f"harbour=127.0.0.1:{servers['ed25519'].port}"
        with gateway_process(folder, "--target", place) as gateway:
            view = SshView(window, f"http://127.0.0.1:{gateway.port}/")
            ssh_session(view, Camera(window, gateway, destination, scheme), servers, who.name)
    finally:
        servers.stop()


def novnc(folder: Path, destination: Path, window: Browser) -> None:
    """Take the picture of noVNC, which has one colour scheme, with a desktop of its own."""
    with desktop(folder) as desk:
        desk.run("xcalc", "-geometry", "+220+160", "-bg", "#e76f51")
        options = ("--web", "/usr/share/novnc", "--default-target", f"127.0.0.1:{desk.port}")
        with gateway_process(folder, *options) as gateway:
            window.command(
                "Emulation.setDeviceMetricsOverride", width=800, height=480, deviceScaleFactor=1, mobile=False
            )
            window.open(f"http://127.0.0.1:{gateway.port}/vnc.html?autoconnect=1")
            wait_for_desktop(window, desk)
            time.sleep(6)  # until its message is gone
            (destination / "novnc.png").write_bytes(window.screenshot())


def ssh_server(server: Backend) -> None:
    """Identify itself like an SSH server."""
    server.connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r\n")
    server.receive()


def main(destination: Path) -> None:
    """Make all of them."""
    destination.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, browser(Path(temporary)) as window:
        folder = Path(temporary)
        novnc(folder, destination, window)
        for scheme in ("light", "dark"):
            with gateway_process(folder, "--demo") as gateway:
                demo(Camera(window, gateway, destination, scheme), window, gateway)
            with (
                redis(folder) as port,
                gateway_process(folder, "--target", f"cache=127.0.0.1:{port}") as gateway,
            ):
                redis_session(Camera(window, gateway, destination, scheme), window)

            with backend(ssh_server) as server:
                place = f"shell=127.0.0.1:{server.port}"
                with gateway_process(folder, "--target", place) as gateway:
                    banner(Camera(window, gateway, destination, scheme))
            with account("pilot") as who:
                ssh_pictures(folder, destination, window, scheme, who)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
